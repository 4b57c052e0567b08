"""The manifest stores of videos in which somebody was found, so that other trust lists can judge them. Videos of before have none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "manifest_stores",
        sa.Column("video_sha256", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["video_sha256"], ["videos.sha256"], name="fk_manifest_stores_video_sha256_videos"),
        sa.PrimaryKeyConstraint("video_sha256", name="pk_manifest_stores"),
    )
