"""Trace and impact: the bounded walk from a thing to its causes or its effects, with details.

A trace costs one statement to find its root, one a level of the walk, and one a kind of thing that
it found, however many of them there are. A bound that was met is said (`graph.truncated`,
`graph.frontier`), and so is the time before which nothing was recorded (`known_since`): what lies
there is unknown, not absent.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeAlias

from backstory.lake import lookup
from backstory.lake.errors import InvalidError
from backstory.lake.location import interactions_of
from backstory.lake.snapshot import open_snapshot
from backstory.lineage import abandoning
from backstory.lineage.graph import (
    Direction,
    Edge,
    EdgeKind,
    EntityKind,
    Graph,
    Node,
    TreeNode,
    of_its_runs,
    path_between,
    tree,
)
from backstory.lineage.parts import Parts
from backstory.lineage.resolving import clock_of, find_node
from backstory.lineage.store import deployments, models, reads, runs, slices
from backstory.lineage.store.amendments import Amended, marks

DEFAULT_DEPTH = 20
MAX_DEPTH = 200
DEFAULT_LIMIT = 1000
MAX_LIMIT = 10_000

Detail: TypeAlias = (
    slices.SnapshotRecord
    | runs.RunRecord
    | models.VersionRecord
    | models.ComponentRecord
    | deployments.IntervalRecord
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What a walk found.

    Attributes:
        graph: its nodes and edges.
        direction: to the causes or to the effects.
        details: what the store knows of a node, by node id.
        reads: what the runs of the graph read, by run id.
        pins: the pin that has held a snapshot of the graph longest, by snapshot id.
        amended: the last amendment of a node's record, by node id, where there was one.
        answers: how many interactions a model version answered, by version id; counted in an
            impact only.
        known_since: the first moment of this home's records.
    """

    graph: Graph
    direction: Direction
    details: Mapping[int, Detail]
    reads: Mapping[int, Sequence[runs.ReadRecord]]
    pins: Mapping[int, slices.PinRecord]
    amended: Mapping[int, Amended] = field(default_factory=dict)
    answers: Mapping[int, int] = field(default_factory=dict)
    known_since: datetime | None

    @property
    def root(self) -> Node:
        """The node that the walk started from."""
        return next(node for node in self.graph.nodes if node.id == self.graph.root)

    def training_unknown_before(self, node: int) -> datetime | None:
        """The moment before which nobody recorded the training of a model version.

        None where its training is known, or where this walk did not look for it.
        """
        version = self.details.get(node)
        if not isinstance(version, models.VersionRecord):
            return None
        looked = self.direction is Direction.UPSTREAM and node not in self.graph.frontier
        trained = not looked or any(
            edge.dst == node and edge.kind in (EdgeKind.TRAINED_ON, EdgeKind.PRODUCED)
            for edge in self.graph.edges
        )
        return training_unknown_before(version, self.known_since, trained=trained)

    @property
    def tree(self) -> TreeNode:
        """The graph as a tree below its root."""
        return tree(self.graph, self.direction)


def training_unknown_before(
    version: models.VersionRecord, known_since: datetime | None, *, trained: bool
) -> datetime | None:
    """The moment before which nobody recorded a version's training; None where it is known.

    Args:
        trained: somebody said which snapshots it was trained on.
    """
    if version.run is not None or known_since is None:
        return None
    return known_since if not trained or version.at < known_since else None


def trace(
    parts: Parts,
    ref: str,
    *,
    depth: int = DEFAULT_DEPTH,
    limit: int = DEFAULT_LIMIT,
    as_of: datetime | None = None,
) -> Trace:
    """What a thing came from.

    Args:
        ref: a model version, snapshot, run, component or deployment.
        depth: how many edges to go at most.
        limit: how many nodes to give at most.
        as_of: as it was known then; as it is known now where nothing is said.

    Raises:
        NotFoundError: nothing has that ref, or it is in no lineage yet.
    """
    return _walk(parts, ref, Direction.UPSTREAM, depth=depth, limit=limit, as_of=as_of)


def impact(
    parts: Parts,
    ref: str,
    *,
    depth: int = DEFAULT_DEPTH,
    limit: int = DEFAULT_LIMIT,
    as_of: datetime | None = None,
) -> Trace:
    """What a thing led to: runs, versions, deployments, and how many interactions they answered.

    Its arguments are those of `trace`.
    """
    found = _walk(parts, ref, Direction.DOWNSTREAM, depth=depth, limit=limit, as_of=as_of)
    versions = [d for d in found.details.values() if isinstance(d, models.VersionRecord)]
    return replace(found, answers=_count_answers(parts, versions, as_of))


def path(
    parts: Parts,
    src: str,
    dst: str,
    *,
    depth: int = DEFAULT_DEPTH,
    as_of: datetime | None = None,
) -> Trace | None:
    """A shortest way from a cause to an effect, in either order of asking; None where none is."""
    for cause, effect in ((src, dst), (dst, src)):
        found = _walk(parts, effect, Direction.UPSTREAM, depth=depth, limit=MAX_LIMIT, as_of=as_of)
        target = {node.key: node.id for node in found.graph.nodes}.get(_key(parts, cause, as_of))
        edges = path_between(found.graph, target, found.graph.root) if target else None
        if edges is not None:
            return _along(found, edges)
    return None


def _walk(
    parts: Parts,
    ref: str,
    direction: Direction,
    *,
    depth: int,
    limit: int,
    as_of: datetime | None,
) -> Trace:
    if not 0 < depth <= MAX_DEPTH or not 0 < limit <= MAX_LIMIT:
        raise InvalidError(
            f"depth goes from 1 to {MAX_DEPTH}, limit from 1 to {MAX_LIMIT}",
            hint="ask for numbers in between",
        )
    with parts.store.reader(as_of) as conn:
        graph = reads.walk(
            conn, find_node(conn, ref, clock_of(parts, as_of)), direction, depth=depth, limit=limit
        )
        if direction is Direction.UPSTREAM:
            graph = of_its_runs(graph)
        ids = _by_kind(graph.nodes)
        snapshots, pins = slices.kept_snapshots(conn, ids.get(EntityKind.SNAPSHOT, []))
        details = _details(conn, ids)
        return Trace(
            graph=graph,
            direction=direction,
            details={**snapshots, **details},
            reads=_group(runs.reads_of(conn, ids.get(EntityKind.RUN, [])), "run"),
            pins=pins,
            amended=marks(conn, _told_of(details)),
            known_since=parts.store.first_time(conn),
        )


def _by_kind(nodes: Sequence[Node]) -> dict[EntityKind, list[int]]:
    found: dict[EntityKind, list[int]] = {}
    for node in nodes:
        found.setdefault(node.kind, []).append(node.id)
    return found


def _deployment_details(conn: Any, ids: list[int]) -> dict[int, deployments.IntervalRecord]:
    return {i: intervals[-1] for i, intervals in deployments.intervals_of(conn, ids).items()}


# Of snapshots they are read with their pins.
_DETAILS: Mapping[EntityKind, Callable[[Any, list[int]], Mapping[int, Detail]]] = {
    EntityKind.RUN: abandoning.runs_by_id,
    EntityKind.MODEL_VERSION: models.versions,
    EntityKind.COMPONENT: models.components,
    EntityKind.DEPLOYMENT: _deployment_details,
}


def _details(conn: Any, ids: Mapping[EntityKind, list[int]]) -> dict[int, Detail]:
    """One statement per kind of node."""
    found: dict[int, Detail] = {}
    for kind, read in _DETAILS.items():
        if kind in ids:
            found.update(read(conn, ids[kind]))
    return found


def _told_of(details: Mapping[int, Detail]) -> list[int]:
    """The nodes that somebody declared: only what was said of them may have been amended."""
    return [
        number
        for number, detail in details.items()
        if isinstance(detail, deployments.IntervalRecord)
        or (isinstance(detail, models.VersionRecord) and detail.run is None)
    ]


def _group(records: Sequence[Any], name: str) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for record in records:
        found.setdefault(getattr(record, name), []).append(record)
    return found


def _count_answers(
    parts: Parts, versions: Sequence[models.VersionRecord], as_of: datetime | None
) -> dict[int, int]:
    """Interactions by version id; a model without an interaction table has none."""
    by_model: dict[str, list[models.VersionRecord]] = {}
    for version in versions:
        by_model.setdefault(version.model, []).append(version)
    counted: dict[int, int] = {}
    recorded = set(parts.lake.names())
    known = known_versions(parts, as_of) if as_of else {}
    for model, wanted in by_model.items():
        name = interactions_of(model)
        if name not in recorded or (as_of and name not in known):
            continue
        counts = lookup.count_versions(open_snapshot(parts.lake.table(name), known.get(name)))
        counted.update({v.id: counts.get(v.number, 0) for v in wanted})
    return counted


def known_versions(parts: Parts, as_of: datetime) -> dict[str, int]:
    """The versions of all slices that were known then."""
    with parts.store.reader(as_of) as conn:
        known = slices.last_versions(conn)
    return {name: version for name, (_, version) in known.items() if version >= 0}


def _key(parts: Parts, ref: str, as_of: datetime | None) -> str:
    with parts.store.reader(as_of) as conn:
        return find_node(conn, ref, clock_of(parts, as_of)).key


def _along(found: Trace, edges: Sequence[Edge]) -> Trace:
    """The part of a trace that lies on a path."""
    on_path = {edge.src for edge in edges} | {edge.dst for edge in edges} | {found.graph.root}
    return Trace(
        graph=Graph(
            root=found.graph.root,
            nodes=tuple(n for n in found.graph.nodes if n.id in on_path),
            edges=tuple(edges),
        ),
        direction=found.direction,
        details={i: d for i, d in found.details.items() if i in on_path},
        reads={i: r for i, r in found.reads.items() if i in on_path},
        pins={i: p for i, p in found.pins.items() if i in on_path},
        amended={i: a for i, a in found.amended.items() if i in on_path},
        known_since=found.known_since,
    )
