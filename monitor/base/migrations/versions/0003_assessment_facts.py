"""The facts an assessment was made of, so that another policy can be tried on it. Assessments of before have none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("assessments", sa.Column("facts", sa.JSON(none_as_null=True), nullable=True))
