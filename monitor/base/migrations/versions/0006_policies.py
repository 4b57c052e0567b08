"""Policies as data, what shadow policies said, and the route of a case. Cases of before are of the main queue and due at no time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "policies",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("standing", sa.String(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("proposed_at", INSTANT, nullable=False),
        sa.Column("activated_by", sa.String(), nullable=True),
        sa.Column("activated_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_policies"),
    )
    op.create_index("ix_policies_standing", "policies", ["standing"], unique=False)
    op.create_table(
        "shadow_assessments",
        sa.Column("post_id", sa.String(), nullable=False),
        sa.Column("likeness_id", sa.String(), nullable=False),
        sa.Column("policy_id", sa.String(), nullable=False),
        sa.Column("risk", sa.Double(), nullable=False),
        sa.Column("flagged", sa.Boolean(), nullable=False),
        sa.Column("live_policy_id", sa.String(), nullable=False),
        sa.Column("live_risk", sa.Double(), nullable=False),
        sa.Column("live_flagged", sa.Boolean(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name="fk_shadow_assessments_post_id_posts"),
        sa.PrimaryKeyConstraint("post_id", "likeness_id", "policy_id", name="pk_shadow_assessments"),
    )
    op.create_index("ix_shadow_assessments_policy_id", "shadow_assessments", ["policy_id"], unique=False)
    op.add_column("cases", sa.Column("queue", sa.String(), nullable=False, server_default=sa.text("'main'")))
    op.add_column("cases", sa.Column("priority", sa.Integer(), nullable=False, server_default=sa.text("5")))
    op.add_column("cases", sa.Column("due_at", INSTANT, nullable=True))
    op.drop_index("ix_cases_queue", table_name="cases")
    op.create_index("ix_cases_queue", "cases", ["state", "priority", "risk", "opened_at", "id"], unique=False)
