"""Damage to what is in force, as a failing disk or a hand in the database does it: past Sosie, and past the rules of the database."""

from __future__ import annotations

from sqlalchemy import text

from monitor.base.database import Store


def damage(store: Store, kind: str, name: str | None = None, content: bytes = b"rubbish", column: str = "content") -> int:
    """Other bytes in place of those in force of this kind, and of this name if one is given; how many items that hit."""
    with store.session() as session:
        if session.get_bind().dialect.name == "postgresql":
            session.execute(text("ALTER TABLE in_force_items DISABLE TRIGGER ALL"))
        else:
            (kept,) = session.execute(text("SELECT sql FROM sqlite_master WHERE name = 'in_force_items_no_update'")).one()
            session.execute(text("DROP TRIGGER in_force_items_no_update"))
        query = text(f"UPDATE in_force_items SET {column} = :content WHERE kind = :kind AND until IS NULL AND (name = :name OR :any)")
        hit = session.connection().execute(query, {"content": content, "kind": kind, "name": name or "", "any": name is None}).rowcount
        if session.get_bind().dialect.name == "postgresql":
            session.execute(text("ALTER TABLE in_force_items ENABLE TRIGGER ALL"))
        else:
            session.connection().exec_driver_sql(kept)
        return int(hit)
