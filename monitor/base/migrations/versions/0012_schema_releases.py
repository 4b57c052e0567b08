"""Which release brought the schema to a revision. Nothing is known of the revisions before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "schema_releases",
        sa.Column("revision", sa.String(), nullable=False),
        sa.Column("release", sa.String(), nullable=False),
        sa.Column("migrated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("revision", name="pk_schema_releases"),
    )
