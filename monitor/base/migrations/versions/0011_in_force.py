"""What is in force (trust lists, marks, probes). What lies in folders is taken over when it is first asked for, and not here."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
# SQLite numbers rows by itself only in a column of exactly this type.
ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_LIVE = sa.text("until IS NULL")


def upgrade() -> None:
    op.create_table(
        "in_force_kinds",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", name="pk_in_force_kinds"),
    )
    op.create_table(
        "in_force_items",
        sa.Column("id", ROW_NUMBER, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("added_at", INSTANT, nullable=False),
        sa.Column("added_by", sa.String(), nullable=False),
        sa.Column("until", INSTANT, nullable=True),
        sa.Column("ended_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_in_force_items"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_in_force_items_kind_name", "in_force_items", ["kind", "name"], unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE
    )
    for statement in _KEPT_FOR_GOOD[op.get_bind().dialect.name]:
        op.execute(statement)


# An item may end, once; nothing else of it changes, and none is deleted.
_KEPT_FOR_GOOD = {
    "sqlite": [
        """CREATE TRIGGER in_force_items_no_update BEFORE UPDATE ON in_force_items
           WHEN OLD.until IS NOT NULL OR NEW.id <> OLD.id OR NEW.kind <> OLD.kind OR NEW.name <> OLD.name OR NEW.sha256 <> OLD.sha256
             OR NEW.content <> OLD.content OR NEW.detail <> OLD.detail OR NEW.added_at <> OLD.added_at OR NEW.added_by <> OLD.added_by
           BEGIN SELECT RAISE(ABORT, 'in_force_items is kept for good'); END""",
        """CREATE TRIGGER in_force_items_no_delete BEFORE DELETE ON in_force_items
           BEGIN SELECT RAISE(ABORT, 'in_force_items is kept for good'); END""",
    ],
    "postgresql": [
        """CREATE FUNCTION in_force_items_refuse() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'in_force_items is kept for good'; END $$""",
        """CREATE TRIGGER in_force_items_no_update BEFORE UPDATE ON in_force_items FOR EACH ROW
           WHEN (OLD.until IS NOT NULL OR
             (NEW.id, NEW.kind, NEW.name, NEW.sha256, NEW.content, NEW.detail::text, NEW.added_at, NEW.added_by) IS DISTINCT FROM
             (OLD.id, OLD.kind, OLD.name, OLD.sha256, OLD.content, OLD.detail::text, OLD.added_at, OLD.added_by))
           EXECUTE FUNCTION in_force_items_refuse()""",
        """CREATE TRIGGER in_force_items_no_delete BEFORE DELETE OR TRUNCATE ON in_force_items
           FOR EACH STATEMENT EXECUTE FUNCTION in_force_items_refuse()""",
    ],
}
