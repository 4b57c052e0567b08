"""After the verdict: assessments that were superseded, the uses a verdict was given on, and when a case came back.

A worker of the release before goes on beside this schema: `assessments` keeps its one row per post and likeness, and the columns are
not required. What it assesses anew it replaces, as ever, so that the row before is not kept; a post it adds to a decided case is not held
against the verdict; and a verdict given in its console names no uses (it counts as given on the posts of before it).
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "superseded_assessments",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("post_id", sa.String(), nullable=False),
        sa.Column("video_sha256", sa.String(), nullable=False),
        sa.Column("likeness_id", sa.String(), nullable=False),
        sa.Column("risk", sa.Double(), nullable=False),
        sa.Column("flagged", sa.Boolean(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("matches", sa.JSON(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=True),
        sa.Column("policy_version", sa.String(), nullable=False),
        sa.Column("index_version", sa.String(), nullable=False),
        sa.Column("model_version", sa.String(), nullable=False),
        sa.Column("trust_version", sa.String(), nullable=False),
        sa.Column("watermarks_version", sa.String(), nullable=True),
        sa.Column("probe_version", sa.String(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("superseded_at", INSTANT, nullable=False),
        sa.Column("superseded_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name="fk_superseded_assessments_post_id_posts"),
        sa.ForeignKeyConstraint(["video_sha256"], ["videos.sha256"], name="fk_superseded_assessments_video_sha256_videos"),
        sa.PrimaryKeyConstraint("id", name="pk_superseded_assessments"),
    )
    op.create_index(
        "ix_superseded_assessments_video_sha256_likeness_id", "superseded_assessments", ["video_sha256", "likeness_id"], unique=False
    )
    op.create_index("ix_superseded_assessments_post_id", "superseded_assessments", ["post_id"], unique=False)
    op.add_column("verdicts", sa.Column("uses", sa.JSON(), nullable=True))
    op.add_column("case_posts", sa.Column("event", sa.BigInteger(), nullable=True))
    op.add_column("cases", sa.Column("reopened_at", INSTANT, nullable=True))
