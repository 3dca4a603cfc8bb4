"""What belongs to many things at once: one statement a question, however many things are asked of.

An edge that shows a graph asks for the neighbours of all its nodes together; asking node by node
would cost a statement each. Single things are read by the modules of their nouns.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import bindparam, select
from sqlalchemy.engine import Connection

from backstory.lineage.store import models
from backstory.lineage.store import tables as t
from backstory.lineage.store.deployments import IntervalRecord, intervals_of
from backstory.lineage.store.horizon import horizon, known_in
from backstory.lineage.store.runs import ReadRecord, readers_of, reads_of

_T = TypeVar("_T")

_MADE = select(t.model_version.c.run, t.model_version.c.id).where(
    t.model_version.c.run.in_(bindparam("ids", expanding=True)), known_in(t.model_version)
)
_COMPONENTS = (
    select(
        t.edge.c.dst.label("of"),
        t.component.c.id,
        t.component.c.kind,
        t.component.c.name,
        t.component.c.version,
        t.component.c.digest,
    )
    .join(t.component, t.component.c.id == t.edge.c.src)
    .where(
        t.edge.c.dst.in_(bindparam("ids", expanding=True)),
        t.edge.c.kind == "component_of",
        known_in(t.edge),
    )
    .order_by(t.component.c.kind, t.component.c.name)
)
_DEPLOYED = select(t.deployment.c.model_version, t.deployment.c.id).where(
    t.deployment.c.model_version.in_(bindparam("ids", expanding=True)), known_in(t.deployment)
)
_FACETS = (
    select(t.run_facet.c.run, t.run_facet.c.key, t.run_facet.c.body)
    .where(t.run_facet.c.run.in_(bindparam("ids", expanding=True)), known_in(t.run_facet))
    .order_by(t.run_facet.c.run, t.run_facet.c.key)
)


def versions_made(conn: Connection, runs: Sequence[int]) -> dict[int, list[models.VersionRecord]]:
    """Model versions by the run that made them."""
    made = list(conn.execute(_MADE, {"ids": list(runs), **horizon(conn)}))
    known = models.versions(conn, [version for _, version in made])
    return _grouped(made, known)


def components(
    conn: Connection, versions: Sequence[int]
) -> dict[int, list[models.ComponentRecord]]:
    """Components by the model version that is composed with them."""
    found: dict[int, list[models.ComponentRecord]] = {}
    for of, *fields in conn.execute(_COMPONENTS, {"ids": list(versions), **horizon(conn)}):
        names = ("id", "kind", "name", "version", "digest")
        record = models.ComponentRecord(**dict(zip(names, fields, strict=True)))
        found.setdefault(of, []).append(record)
    return found


def deployments(conn: Connection, versions: Sequence[int]) -> dict[int, list[IntervalRecord]]:
    """Deployments by model version, each by its last interval."""
    made = list(conn.execute(_DEPLOYED, {"ids": list(versions), **horizon(conn)}))
    intervals = intervals_of(conn, [deployment for _, deployment in made])
    return _grouped(made, {number: found[-1] for number, found in intervals.items()})


def reads(conn: Connection, runs: Sequence[int]) -> dict[int, list[ReadRecord]]:
    """Reads by run, in the order of reading."""
    return _by(reads_of(conn, runs), lambda read: read.run)


def readers(conn: Connection, snapshots: Sequence[int]) -> dict[int, list[ReadRecord]]:
    """Reads by the snapshot that was read."""
    return _by(readers_of(conn, snapshots), lambda read: read.snapshot)


def facets(conn: Connection, runs: Sequence[int]) -> dict[int, dict[str, Any]]:
    """OpenLineage facets by run and key."""
    found: dict[int, dict[str, Any]] = {}
    for run, key, body in conn.execute(_FACETS, {"ids": list(runs), **horizon(conn)}):
        found.setdefault(run, {})[key] = body
    return found


def _grouped(pairs: Iterable[tuple[int, int]], known: Mapping[int, _T]) -> dict[int, list[_T]]:
    found: dict[int, list[_T]] = {}
    for of, number in pairs:
        if number in known:
            found.setdefault(of, []).append(known[number])
    return found


def _by(records: Iterable[_T], key: Callable[[_T], int]) -> dict[int, list[_T]]:
    found: dict[int, list[_T]] = {}
    for record in records:
        found.setdefault(key(record), []).append(record)
    return found
