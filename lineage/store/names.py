"""The one namespace of slices and models."""

from sqlalchemy import bindparam, select
from sqlalchemy.engine import Connection

from backstory.lineage.store import tables as t
from backstory.lineage.store.horizon import horizon, known_in

_NAMED = (
    select(t.entity.c.kind, t.entity.c.id)
    .join(t.name, t.name.c.entity == t.entity.c.id)
    .where(t.name.c.name == bindparam("name"), known_in(t.name))
)


def named(conn: Connection, name: str) -> tuple[str, int] | None:
    """The kind ("slice" or "model") and the number of what has that name."""
    row = conn.execute(_NAMED, {"name": name, **horizon(conn)}).one_or_none()
    return (row.kind, row.id) if row else None


def names(conn: Connection, kind: str | None = None) -> list[str]:
    """All names, of one kind where one is given."""
    query = (
        select(t.name.c.name)
        .join(t.entity, t.entity.c.id == t.name.c.entity)
        .where(known_in(t.name))
    )
    if kind is not None:
        query = query.where(t.entity.c.kind == kind)
    return sorted(conn.execute(query, horizon(conn)).scalars())
