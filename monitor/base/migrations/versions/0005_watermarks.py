"""The visible marks seen in a video, and the version of the templates an assessment rests on. Rows of before have neither."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("videos", sa.Column("marks", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("assessments", sa.Column("watermarks_version", sa.String(), nullable=True))
