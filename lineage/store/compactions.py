"""Which commits only laid rows anew."""

from sqlalchemy import Connection, func, select

from backstory.lineage.store import tables as t
from backstory.lineage.store.horizon import horizon, known_in

COMPACT = "COMPACT"


def last_compaction(conn: Connection, slice_name: str) -> int | None:
    """The version of a slice's newest compaction; None where there was none."""
    query = (
        select(func.max(t.commit.c.version))
        .join(t.slice_, t.slice_.c.id == t.commit.c.slice)
        .where(t.slice_.c.name == slice_name, t.commit.c.operation == COMPACT, known_in(t.commit))
    )
    version: int | None = conn.execute(query, horizon(conn)).scalar()
    return version
