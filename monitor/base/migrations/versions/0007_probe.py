"""Vectors to teach the synthetic-content probe with, and the version of the probe an assessment rests on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "probe_examples",
        sa.Column("video_sha256", sa.String(), nullable=False),
        sa.Column("space_id", sa.String(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["video_sha256"], ["videos.sha256"], name="fk_probe_examples_video_sha256_videos"),
        sa.PrimaryKeyConstraint("video_sha256", "space_id", name="pk_probe_examples"),
    )
    op.add_column("assessments", sa.Column("probe_version", sa.String(), nullable=True))
