"""Consents for certificates, with platforms, uses and territories; what a post is for, and where it is shown.

A consent for one platform becomes one for a list of one.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

LIST = sa.JSON(none_as_null=True)


def upgrade() -> None:
    op.add_column("posts", sa.Column("purpose", sa.String(), nullable=True))
    op.add_column("posts", sa.Column("territory", sa.String(), nullable=True))
    for name in ("platforms", "uses", "territories"):
        op.add_column("consents", sa.Column(name, LIST, nullable=True))
    op.add_column("consents", sa.Column("certificate", sa.String(), nullable=True))
    consents = sa.table("consents", sa.column("id"), sa.column("platform"), sa.column("platforms", LIST))
    connection = op.get_bind()
    for id_, platform in connection.execute(sa.select(consents.c.id, consents.c.platform).where(consents.c.platform.is_not(None))).all():
        connection.execute(consents.update().where(consents.c.id == id_).values(platforms=[platform]))
    with op.batch_alter_table("consents") as table:
        table.alter_column("account", existing_type=sa.String(), nullable=True)
        table.drop_column("platform")
    op.create_index("ix_consents_likeness_id_certificate", "consents", ["likeness_id", "certificate"], unique=False)
