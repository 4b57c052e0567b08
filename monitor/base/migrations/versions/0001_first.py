"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("disabled_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.UniqueConstraint("name", name="uq_accounts_name"),
    )
    op.create_table(
        "audit_events",
        sa.Column("id", ROW_NUMBER, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject_type", sa.String(), nullable=False),
        sa.Column("subject_id", sa.String(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_events"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_events_subject_type_subject_id", "audit_events", ["subject_type", "subject_id"], unique=False)
    op.create_table(
        "likenesses",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_key", sa.String(), nullable=False),
        sa.Column("deceased_on", sa.Date(), nullable=True),
        sa.Column("holder", sa.String(), nullable=True),
        sa.Column("territory", sa.String(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("removed_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_likenesses"),
    )
    op.create_index(
        "uq_likenesses_active_name_key",
        "likenesses",
        ["name_key"],
        unique=True,
        sqlite_where=sa.text("removed_at IS NULL"),
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_table(
        "registry_state",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_registry_state"),
    )
    op.create_table(
        "vector_spaces",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("weights_sha256", sa.String(), nullable=False),
        sa.Column("preprocessing", sa.String(), nullable=False),
        sa.Column("dim", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_vector_spaces"),
    )
    op.create_table(
        "videos",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("duration_s", sa.Double(), nullable=True),
        sa.Column("truncated_at_s", sa.Double(), nullable=True),
        sa.Column("provenance", sa.JSON(), nullable=False),
        sa.Column("first_seen_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_videos"),
    )
    op.create_table(
        "cases",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("likeness_id", sa.String(), nullable=False),
        sa.Column("video_sha256", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=True),
        sa.Column("risk", sa.Double(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("versions", sa.JSON(), nullable=False),
        sa.Column("opened_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("lease_owner", sa.String(), nullable=True),
        sa.Column("lease_token", sa.BigInteger(), nullable=False),
        sa.Column("lease_expires_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["video_sha256"], ["videos.sha256"], name="fk_cases_video_sha256_videos"),
        sa.PrimaryKeyConstraint("id", name="pk_cases"),
        sa.UniqueConstraint("likeness_id", "video_sha256", name="uq_cases_likeness_id_video_sha256"),
    )
    op.create_index("ix_cases_queue", "cases", ["state", "risk", "opened_at", "id"], unique=False)
    op.create_table(
        "consents",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("likeness_id", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("platform", sa.String(), nullable=True),
        sa.Column("valid_from", INSTANT, nullable=False),
        sa.Column("valid_until", INSTANT, nullable=True),
        sa.Column("granted_at", INSTANT, nullable=False),
        sa.Column("revoked_at", INSTANT, nullable=True),
        sa.Column("note", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["likeness_id"], ["likenesses.id"], name="fk_consents_likeness_id_likenesses"),
        sa.PrimaryKeyConstraint("id", name="pk_consents"),
    )
    op.create_index("ix_consents_likeness_id_account", "consents", ["likeness_id", "account"], unique=False)
    op.create_table(
        "posts",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("video_sha256", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("platform", sa.String(), nullable=True),
        sa.Column("account", sa.String(), nullable=True),
        sa.Column("posted_at", INSTANT, nullable=True),
        sa.Column("caption", sa.String(), nullable=True),
        sa.Column("views", sa.BigInteger(), nullable=True),
        sa.Column("received_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["video_sha256"], ["videos.sha256"], name="fk_posts_video_sha256_videos"),
        sa.PrimaryKeyConstraint("id", name="pk_posts"),
    )
    op.create_index("ix_posts_video_sha256", "posts", ["video_sha256"], unique=False)
    op.create_table(
        "references",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("likeness_id", sa.String(), nullable=False),
        sa.Column("picture_sha256", sa.String(), nullable=False),
        sa.Column("file", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("face_box", sa.JSON(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["likeness_id"], ["likenesses.id"], name="fk_references_likeness_id_likenesses"),
        sa.PrimaryKeyConstraint("id", name="pk_references"),
        sa.UniqueConstraint("likeness_id", "picture_sha256", name="uq_references_likeness_id_picture_sha256"),
    )
    op.create_table(
        "assessments",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("post_id", sa.String(), nullable=False),
        sa.Column("video_sha256", sa.String(), nullable=False),
        sa.Column("likeness_id", sa.String(), nullable=False),
        sa.Column("risk", sa.Double(), nullable=False),
        sa.Column("flagged", sa.Boolean(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("matches", sa.JSON(), nullable=False),
        sa.Column("policy_version", sa.String(), nullable=False),
        sa.Column("index_version", sa.String(), nullable=False),
        sa.Column("model_version", sa.String(), nullable=False),
        sa.Column("trust_version", sa.String(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name="fk_assessments_post_id_posts"),
        sa.ForeignKeyConstraint(["video_sha256"], ["videos.sha256"], name="fk_assessments_video_sha256_videos"),
        sa.PrimaryKeyConstraint("id", name="pk_assessments"),
        sa.UniqueConstraint("post_id", "likeness_id", name="uq_assessments_post_id_likeness_id"),
    )
    op.create_index("ix_assessments_video_sha256_likeness_id", "assessments", ["video_sha256", "likeness_id"], unique=False)
    op.create_table(
        "case_posts",
        sa.Column("case_id", sa.String(), nullable=False),
        sa.Column("post_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_case_posts_case_id_cases"),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name="fk_case_posts_post_id_posts"),
        sa.PrimaryKeyConstraint("case_id", "post_id", name="pk_case_posts"),
    )
    op.create_index("ix_case_posts_post_id", "case_posts", ["post_id"], unique=False)
    op.create_table(
        "reference_vectors",
        sa.Column("reference_id", sa.String(), nullable=False),
        sa.Column("space_id", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["reference_id"], ["references.id"], name="fk_reference_vectors_reference_id_references", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["space_id"], ["vector_spaces.id"], name="fk_reference_vectors_space_id_vector_spaces"),
        sa.PrimaryKeyConstraint("reference_id", "space_id", "position", name="pk_reference_vectors"),
    )
    op.create_index("ix_reference_vectors_space_id", "reference_vectors", ["space_id"], unique=False)
    op.create_table(
        "verdicts",
        sa.Column("id", ROW_NUMBER, nullable=False),
        sa.Column("case_id", sa.String(), nullable=False),
        sa.Column("reviewer", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("lease_token", sa.BigInteger(), nullable=False),
        sa.Column("decided_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_verdicts_case_id_cases"),
        sa.PrimaryKeyConstraint("id", name="pk_verdicts"),
        sa.UniqueConstraint("case_id", "lease_token", name="uq_verdicts_case_id_lease_token"),
        sqlite_autoincrement=True,
    )

    op.execute("INSERT INTO registry_state (id, generation) VALUES (1, 0)")
    for statement in _APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)


# audit_events takes rows and never gives one back. On SQLite, INSERT OR REPLACE deletes without asking a DELETE trigger.
_APPEND_ONLY = {
    "sqlite": [
        """CREATE TRIGGER audit_events_no_update BEFORE UPDATE ON audit_events
           BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END""",
        """CREATE TRIGGER audit_events_no_delete BEFORE DELETE ON audit_events
           BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END""",
        """CREATE TRIGGER audit_events_no_replace BEFORE INSERT ON audit_events
           WHEN EXISTS (SELECT 1 FROM audit_events WHERE id = NEW.id)
           BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END""",
    ],
    "postgresql": [
        """CREATE FUNCTION audit_events_refuse() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'audit_events is append-only'; END $$""",
        """CREATE TRIGGER audit_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
           FOR EACH STATEMENT EXECUTE FUNCTION audit_events_refuse()""",
    ],
}
