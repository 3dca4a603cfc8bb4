"""Reading the graph: things by key and number, and bounded walks, level by level.

A walk costs a statement per level and one more, however many nodes it finds. The numbers of a level
travel as one bound value, so that every statement is compiled once. Reads of single kinds live in
modules of their own beside this one.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from backstory.lake.errors import IntegrityError
from backstory.lineage.graph import Direction, Edge, EdgeKind, EntityKind, Evidence, Graph, Node
from backstory.lineage.store.horizon import LAST_KNOWN, known_in
from backstory.lineage.store.number_list import among
from backstory.lineage.store.prepared import Prepared
from backstory.lineage.store.tables import edge, entity

DEFAULT_DEPTH = 20
DEFAULT_LIMIT = 10_000
# That a walk may find; far above the fan-in of real graphs, so that a hub fits in memory.
_EDGES_PER_NODE = 8


_ENTITY = sa.select(entity.c.id, entity.c.kind, entity.c.key, entity.c.label)
_KNOWN = _ENTITY.where(entity.c.created_seq <= LAST_KNOWN)
_BY_KEY = Prepared(_KNOWN.where(entity.c.key == sa.bindparam("key")))
_BY_KIND = Prepared(_KNOWN.where(entity.c.kind == sa.bindparam("kind")).order_by(entity.c.key))
_BY_IDS = Prepared(_KNOWN.where(among(entity.c.id, "ids")))
_EDGE = tuple(edge.c[name] for name in ("src", "dst", "kind", "evidence", "run", "rows", "share"))


def entity_by_key(connection: Connection, key: str) -> Node | None:
    """The thing with that key."""
    rows = _BY_KEY.rows(connection, key=key)
    return _node(*rows[0]) if rows else None


def entities(connection: Connection, ids: Collection[int]) -> dict[int, Node]:
    """Things by number; numbers that are not known at the horizon are absent."""
    return {row[0]: _node(*row) for row in _BY_IDS.rows(connection, ids=ids)}


def of_kind(connection: Connection, kind: EntityKind) -> list[Node]:
    """All known things of one kind, by key; for kinds of which people make few."""
    return [_node(*row) for row in _BY_KIND.rows(connection, kind=kind.value)]


def walk(
    connection: Connection,
    root: int | Node,
    direction: str,
    *,
    depth: int = DEFAULT_DEPTH,
    limit: int = DEFAULT_LIMIT,
) -> Graph:
    """Everything within `depth` edges of `root`, nearest first, and all edges between.

    The graph's frontier is exact: a node stands there when an edge leads on from it to something
    that is not in the graph. Only where there are more than `_EDGES_PER_NODE * limit` edges, nodes
    whose edges were not looked at stand there too.

    Args:
        connection: a reader.
        root: what to start from; a number costs a statement more than a node.
        direction: `upstream` to the causes, `downstream` to the effects.
        depth: at most this many edges away.
        limit: at most this many nodes, the root included.
    """
    start = root if isinstance(root, Node) else entities(connection, [root])[root]
    step = _STEPS[Direction(direction)]
    found = _Found(start, Direction(direction), limit)
    level, distance = [start.id], 0
    while level and found.room > 0:
        rows = step.rows(connection, ids=level, most=found.room + 1)
        distance += 1
        # Behind the last level nothing is added: only its edges and what leads on are told.
        level = found.take(level, rows, distance if distance <= depth else None)
    return found.graph(unseen=level)


class _Found:
    """What a walk has found so far."""

    def __init__(self, start: Node, direction: Direction, limit: int) -> None:
        self._root = start.id
        self._upstream = direction is Direction.UPSTREAM
        self._limit = limit
        self._nodes = {start.id: start}
        self._edges: list[Edge] = []
        self._frontier: set[int] = set()

    @property
    def room(self) -> int:
        """How many edges it may still find."""
        return _EDGES_PER_NODE * self._limit - len(self._edges)

    def take(self, level: list[int], rows: Sequence[Any], distance: int | None) -> list[int]:
        """Take the edges that lead on from a level; gives the next level.

        Args:
            level: the nodes whose edges these are.
            rows: in the order of those nodes, one more than there is room for where there are more.
            distance: of what is new; None where nothing new is taken.
        """
        near_at, far_at = (1, 0) if self._upstream else (0, 1)
        room, added = self.room, []
        if len(rows) > room:  # cut: the last node's edges and all behind it
            self._frontier.update(number for number in level if number >= rows[-1][near_at])
        for row in rows[:room]:
            far = row[far_at]
            if far not in self._nodes:
                if distance is None or len(self._nodes) >= self._limit:
                    self._frontier.add(row[near_at])
                    continue
                kind, key, label = row[len(_EDGE) :]
                self._nodes[far] = _node(far, kind, key, label, distance)
                added.append(far)
            self._edges.append(_edge(row[: len(_EDGE)]))
        return added

    def graph(self, unseen: Iterable[int]) -> Graph:
        """The graph; behind what was not looked at there may be more."""
        self._frontier.update(unseen)
        return Graph(
            root=self._root,
            nodes=tuple(self._nodes.values()),
            edges=tuple(self._edges),
            truncated=bool(self._frontier),
            frontier=tuple(sorted(self._frontier)),
        )


def _step(near: sa.Column[int], far: sa.Column[int]) -> Prepared:
    """The edges that lead on from a level, each with what it leads to."""
    return Prepared(
        sa.select(*_EDGE, entity.c.kind, entity.c.key, entity.c.label)
        .outerjoin(entity, entity.c.id == far)  # a lost thing must be seen
        .where(among(near, "ids"), known_in(edge))
        .order_by(near, far, edge.c.id)  # an index's own order
        .limit(sa.bindparam("most"))
    )


_STEPS = {
    Direction.UPSTREAM: _step(edge.c.dst, edge.c.src),
    Direction.DOWNSTREAM: _step(edge.c.src, edge.c.dst),
}

# Looked up several times faster than by calling the enums.
_ENTITY_KINDS = {kind.value: kind for kind in EntityKind}
_EDGE_KINDS = {kind.value: kind for kind in EdgeKind}
_EVIDENCE = {evidence.value: evidence for evidence in Evidence}


def _node(number: int, kind: str, key: str, label: str, distance: int = 0) -> Node:
    try:
        return Node(id=number, kind=_ENTITY_KINDS[kind], key=key, label=label, distance=distance)
    except KeyError as exc:
        fault = "is of an unknown kind" if kind else "is lost, and an edge leads to it"
        raise IntegrityError(f"entity {number} {fault}", hint=_DAMAGED) from exc


def _edge(row: Sequence[Any]) -> Edge:
    src, dst, kind, evidence, run, rows, share = row
    try:
        return Edge(
            src=src,
            dst=dst,
            kind=_EDGE_KINDS[kind],
            evidence=_EVIDENCE[evidence],
            run=run,
            rows=rows,
            share=share,
        )
    except KeyError as exc:
        raise IntegrityError(
            f"an edge of entity {dst} is of an unknown kind", hint=_DAMAGED
        ) from exc


_DAMAGED = "`backstory verify` says which rows were changed"
