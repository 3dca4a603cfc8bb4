"""OpenLineage events as they came, and what they said of a run: reads for `openlineage.receive`."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select

from backstory.lineage.store import tables as t

_SEEN = select(t.openlineage_event.c.id).where(t.openlineage_event.c.digest == bindparam("digest"))
_SINCE = (
    select(t.openlineage_event.c.body)
    .where(
        t.openlineage_event.c.run_id == bindparam("run_id"),
        t.openlineage_event.c.event_time >= bindparam("at"),
    )
    .order_by(t.openlineage_event.c.id)
)
_FACETS = select(t.run_facet.c.id, t.run_facet.c.key, t.run_facet.c.body).where(
    t.run_facet.c.run == bindparam("run"), t.run_facet.c.ended_seq.is_(None)
)
_SNAPSHOTS = (
    select(t.snapshot.c.id, t.snapshot.c.digest, t.slice_.c.name)
    .join(t.slice_, t.slice_.c.id == t.snapshot.c.slice)
    .where(t.snapshot.c.digest.in_(bindparam("digests", expanding=True)))
)
_VERSION = select(t.model_version.c.id).where(
    t.model_version.c.model == bindparam("model"),
    t.model_version.c.number == bindparam("number"),
    t.model_version.c.artifact == bindparam("artifact"),
)


def has_event(conn: Connection, digest: str) -> bool:
    """Whether this very event was recorded before."""
    return conn.execute(_SEEN, {"digest": digest}).first() is not None


def events_since(conn: Connection, run_id: str, at: datetime) -> list[str]:
    """The bodies of a run's events at a time or later."""
    return list(conn.scalars(_SINCE, {"run_id": run_id, "at": at}))


def current_facets(conn: Connection, run: int) -> dict[str, tuple[int, Any]]:
    """A run's current facets by key, each with its row's id."""
    return {row.key: (row.id, row.body) for row in conn.execute(_FACETS, {"run": run})}


def snapshots_by_digest(
    conn: Connection, digests: Collection[str]
) -> dict[str, list[tuple[str, int]]]:
    """Snapshots by digest: the names of their slices and their ids."""
    found: dict[str, list[tuple[str, int]]] = {}
    for row in conn.execute(_SNAPSHOTS, {"digests": sorted(digests)}) if digests else ():
        found.setdefault(row.digest, []).append((row.name, row.id))
    return found


def version_with_artifact(conn: Connection, model: str, number: int, artifact: str) -> int | None:
    """The model version of that number, if that is its artifact."""
    values = {"model": model, "number": number, "artifact": artifact}
    return conn.scalars(_VERSION, values).first()
