"""Reading the graph: things by key and number, and bounded walks, level by level.

A walk costs a statement per level and two more, however many nodes it finds. The numbers of a level
travel as one bound value, so that every statement is compiled once. Reads of single kinds live in
modules of their own beside this one.
"""

from collections.abc import Collection
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from backstory.lake.errors import IntegrityError
from backstory.lineage.graph import Direction, Edge, EdgeKind, EntityKind, Evidence, Graph, Node
from backstory.lineage.store.number_list import among
from backstory.lineage.store.tables import edge, entity

DEFAULT_DEPTH = 20
DEFAULT_LIMIT = 10_000
# Among the nodes of one walk; far above the fan-in of real graphs, so that a hub fits in memory.
_EDGES_PER_NODE = 8


_ENTITY = sa.select(entity.c.id, entity.c.kind, entity.c.key, entity.c.label)
_BY_KEY = _ENTITY.where(entity.c.key == sa.bindparam("key"))
_BY_KIND = _ENTITY.where(entity.c.kind == sa.bindparam("kind")).order_by(entity.c.key)
_BY_IDS = _ENTITY.where(among(entity.c.id, "ids"))


def entity_by_key(connection: Connection, key: str) -> Node | None:
    """The thing with that key."""
    row = connection.execute(_BY_KEY, {"key": key}).first()
    return None if row is None else _node(row)


def entities(connection: Connection, ids: Collection[int]) -> dict[int, Node]:
    """Things by number; unknown numbers are absent."""
    rows = connection.execute(_BY_IDS, {"ids": list(ids)})
    return {row.id: _node(row) for row in rows}


def of_kind(connection: Connection, kind: EntityKind) -> list[Node]:
    """All things of one kind, by key; for kinds of which people make few."""
    return [_node(row) for row in connection.execute(_BY_KIND, {"kind": kind.value})]


def reach(
    connection: Connection,
    start: Collection[int],
    direction: str,
    *,
    depth: int = DEFAULT_DEPTH,
    limit: int = DEFAULT_LIMIT,
    kinds: Collection[str] | None = None,
) -> dict[int, int]:
    """Numbers of everything within `depth` edges, each with its distance, nearest first.

    Args:
        connection: a reader.
        start: numbers to start from, at distance 0.
        direction: `upstream` to the causes, `downstream` to the effects.
        depth: at most this many edges away.
        limit: at most this many numbers, the start included.
        kinds: follow edges of these kinds only.
    """
    step, bound = _step(Direction(direction), some_kinds=kinds is not None), _bound(kinds)
    distances = dict.fromkeys(start, 0)
    level = list(distances)
    for distance in range(1, depth + 1):
        if not level or len(distances) >= limit:
            break
        # More than `limit` different numbers are too many, whichever of them are known already.
        found = connection.scalars(step, {"ids": level, "most": limit + 1, **bound})
        level = [number for number in found if number not in distances]
        level = level[: limit - len(distances)]
        distances.update(dict.fromkeys(level, distance))
    return distances


def walk(
    connection: Connection,
    root: int,
    direction: str,
    *,
    depth: int = DEFAULT_DEPTH,
    limit: int = DEFAULT_LIMIT,
    kinds: Collection[str] | None = None,
) -> Graph:
    """Everything within `depth` edges of `root`, nearest first, and all edges between.

    The other arguments are those of `reach`. The graph's frontier is exact: a node stands there
    when an edge leads on from it to something that is not in the graph.
    """
    distances = reach(connection, [root], direction, depth=depth, limit=limit, kinds=kinds)
    nodes = _placed(connection, distances)
    edges, frontier = _between(connection, distances, Direction(direction), kinds)
    return Graph(
        root=root,
        nodes=nodes,
        edges=edges,
        truncated=bool(frontier),
        frontier=tuple(sorted(frontier)),
    )


def _placed(connection: Connection, distances: dict[int, int]) -> tuple[Node, ...]:
    """The nodes of a walk, in its order."""
    rows = connection.execute(_BY_IDS, {"ids": list(distances)})
    known = {row[0]: _node(row, distances[row[0]]) for row in rows}
    try:
        return tuple(known[number] for number in distances)
    except KeyError as exc:
        raise IntegrityError(
            f"an edge leads to entity {exc}, which is lost", hint=_DAMAGED
        ) from exc


def _between(
    connection: Connection,
    distances: dict[int, int],
    direction: Direction,
    kinds: Collection[str] | None,
) -> tuple[tuple[Edge, ...], set[int]]:
    """The edges between known nodes, and the nodes that have edges to others."""
    most = _EDGES_PER_NODE * len(distances)
    rows = connection.execute(
        _edges(direction, some_kinds=kinds is not None),
        {"ids": list(distances), "most": most + 1, **_bound(kinds)},
    ).all()
    near, far = (1, 0) if direction is Direction.UPSTREAM else (0, 1)
    frontier = {row[near] for row in rows if row[far] not in distances}
    if len(rows) > most:  # they come in the order of `near`: the last one and all behind it are cut
        frontier |= {number for number in distances if number >= rows[most][near]}
    return tuple(_edge(row) for row in rows[:most] if row[far] in distances), frontier


@cache
def _step(direction: Direction, *, some_kinds: bool) -> sa.Select[Any]:
    near, far = _ends(direction)
    statement = sa.select(far).distinct().where(among(near, "ids")).limit(sa.bindparam("most"))
    return _of_kinds(statement) if some_kinds else statement


@cache
def _edges(direction: Direction, *, some_kinds: bool) -> sa.Select[Any]:
    c = edge.c
    near, far = _ends(direction)
    statement = (
        sa.select(c.src, c.dst, c.kind, c.evidence, c.run, c.rows, c.share)
        .where(among(near, "ids"))
        .order_by(near, far, c.id)  # an index's own order
        .limit(sa.bindparam("most"))
    )
    return _of_kinds(statement) if some_kinds else statement


def _ends(direction: Direction) -> tuple[sa.Column[int], sa.Column[int]]:
    upstream = direction is Direction.UPSTREAM
    return (edge.c.dst, edge.c.src) if upstream else (edge.c.src, edge.c.dst)


def _of_kinds(statement: sa.Select[Any]) -> sa.Select[Any]:
    return statement.where(edge.c.kind.in_(sa.bindparam("kinds", expanding=True)))


def _bound(kinds: Collection[str] | None) -> dict[str, list[str]]:
    return {} if kinds is None else {"kinds": sorted(kinds)}


# Looked up several times faster than by calling the enums.
_ENTITY_KINDS = {kind.value: kind for kind in EntityKind}
_EDGE_KINDS = {kind.value: kind for kind in EdgeKind}
_EVIDENCE = {evidence.value: evidence for evidence in Evidence}


def _node(row: sa.Row[*tuple[Any, ...]], distance: int = 0) -> Node:
    number, kind, key, label = row
    try:
        return Node(id=number, kind=_ENTITY_KINDS[kind], key=key, label=label, distance=distance)
    except KeyError as exc:
        raise IntegrityError(f"entity {number} is of an unknown kind", hint=_DAMAGED) from exc


def _edge(row: sa.Row[*tuple[Any, ...]]) -> Edge:
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
