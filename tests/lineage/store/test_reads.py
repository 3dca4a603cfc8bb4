from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstory.lake.errors import IntegrityError
from backstory.lineage.graph import Direction, EdgeKind, EntityKind, Evidence, Graph
from backstory.lineage.store.engine import connect
from backstory.lineage.store.reads import entity_by_key, walk
from backstory.lineage.store.unit_of_work import Store
from backstory.lineage.store.writes import add_edge, add_entity
from tests.databases import Databases
from tests.lineage.store.recording import add_chain, behind_its_back, statements, ticking, unit

UP, DOWN = Direction.UPSTREAM, Direction.DOWNSTREAM
Pairs = Iterable[tuple[int, int]]


def add_graph(store: Store, size: int, pairs: Pairs, kind: str = EdgeKind.READ) -> list[int]:
    """Things 0 to size, and edges between them."""
    with unit(store) as opened:
        numbers = [add_entity(opened, EntityKind.RUN, f"run:{i}", str(i)) for i in range(size)]
        for src, dst in pairs:
            add_edge(opened, numbers[src], numbers[dst], kind, Evidence.OBSERVED)
    return numbers


def walk_from(store: Store, root: int, direction: str = UP, **bounds: Any) -> Graph:
    with store.reader() as connection:
        return walk(connection, root, direction, **bounds)


def pairs_of(graph: Graph) -> list[tuple[int, int]]:
    return sorted((edge.src, edge.dst) for edge in graph.edges)


def keys(graph: Graph) -> list[str]:
    return [node.label for node in graph.nodes]


def test_a_walk_finds_causes_or_effects(store: Store) -> None:
    #  0 -> 1 -> 3 -> 4,  2 -> 3
    n = add_graph(store, 5, [(0, 1), (1, 3), (2, 3), (3, 4)])
    up = walk_from(store, n[3])
    assert [(node.label, node.distance) for node in up.nodes] == [
        ("3", 0),
        ("1", 1),
        ("2", 1),
        ("0", 2),
    ]
    assert pairs_of(up) == [(n[0], n[1]), (n[1], n[3]), (n[2], n[3])]
    assert (up.root, up.truncated, up.frontier) == (n[3], False, ())
    down = walk_from(store, n[1], DOWN)
    assert (keys(down), pairs_of(down)) == (["1", "3", "4"], [(n[1], n[3]), (n[3], n[4])])


def test_an_edge_keeps_what_is_known_of_it(store: Store) -> None:
    with unit(store) as opened:
        version = add_entity(opened, EntityKind.MODEL_VERSION, "ranker@1", "ranker@1")
        snapshot = add_entity(opened, EntityKind.SNAPSHOT, "thumbs@1", "thumbs@1")
        add_edge(
            opened,
            version,
            snapshot,
            EdgeKind.FEEDBACK_ON,
            Evidence.INFERRED,
            run=version,
            rows=5_000_000_000,
            share=0.25,
        )
    (edge,) = walk_from(store, snapshot).edges
    assert (edge.kind, edge.evidence, edge.run, edge.rows, edge.share) == (
        EdgeKind.FEEDBACK_ON,
        Evidence.INFERRED,
        version,
        5_000_000_000,
        0.25,
    )


def test_a_thing_alone(store: Store) -> None:
    (number,) = add_graph(store, 1, [])
    graph = walk_from(store, number)
    assert (keys(graph), graph.edges, graph.truncated) == (["0"], (), False)


def test_a_cycle_ends(store: Store) -> None:
    n = add_graph(store, 3, [(0, 1), (1, 2), (2, 0), (1, 1)])
    graph = walk_from(store, n[0], depth=1000)
    assert (sorted(keys(graph)), len(graph.edges)) == (["0", "1", "2"], 4)


def test_depth_is_a_bound_that_is_said(store: Store) -> None:
    n = add_chain(store, 5)
    whole = walk_from(store, n[4], depth=4)
    assert (len(whole.nodes), whole.truncated) == (5, False)
    cut = walk_from(store, n[4], depth=2)
    assert (keys(cut), cut.truncated, cut.frontier) == (["run4", "run3", "run2"], True, (n[2],))
    assert pairs_of(cut) == [(n[2], n[3]), (n[3], n[4])]


def test_the_frontier_is_exact(store: Store) -> None:
    # 1 and 2 are one step from 3; 1 leads only to 2, which is known already.
    n = add_graph(store, 4, [(1, 3), (2, 3), (2, 1)])
    graph = walk_from(store, n[3], depth=1)
    assert (graph.truncated, graph.frontier) == (False, ())
    assert len(graph.edges) == 3


def test_the_limit_is_a_bound_that_is_said(store: Store) -> None:
    fan = 10
    n = add_graph(store, fan + 1, [(i, fan) for i in range(fan)])
    whole = walk_from(store, n[fan], limit=fan + 1)
    assert (len(whole.nodes), whole.truncated) == (fan + 1, False)
    cut = walk_from(store, n[fan], limit=4)
    assert len(cut.nodes) == 4
    assert len(cut.edges) == 3
    assert (cut.truncated, cut.frontier) == (True, (n[fan],))


def test_a_hub_costs_no_more_than_the_limit_allows(store: Store) -> None:
    fan = 400
    n = add_graph(store, fan + 1, [(fan, i) for i in range(fan)])
    cut = walk_from(store, n[fan], DOWN, limit=5)
    assert len(cut.nodes) == 5
    assert (cut.truncated, cut.frontier) == (True, (n[fan],))


def test_more_edges_than_are_looked_at_are_said(store: Store) -> None:
    parallel, limit = 20, 2
    n = add_graph(store, 3, [(0, 1)])
    with unit(store) as opened:
        runs = [add_entity(opened, EntityKind.RUN, f"run:p{i}", "") for i in range(parallel)]
        for run in runs:
            add_edge(opened, n[1], n[2], EdgeKind.FEEDBACK_ON, Evidence.OBSERVED, run=run)
    cut = walk_from(store, n[2], limit=limit)
    assert keys(cut) == ["2", "1"]
    assert len(cut.edges) < parallel
    assert (cut.truncated, cut.frontier) == (True, (n[1], n[2]))
    assert len(walk_from(store, n[2]).edges) == parallel + 1


@pytest.mark.parametrize("size", [30, 300])
def test_statements_are_a_level_each_and_one(store: Store, size: int) -> None:
    depth = 3
    width = size // depth
    pairs = [
        (level * width + i, (level + 1) * width + (i + k) % width)
        for level in range(depth - 1)
        for i in range(width)
        for k in range(3)
    ]
    n = add_graph(store, size, pairs)
    with statements(store.engine) as sent:
        graph = walk_from(store, n[-1], depth=20)
    assert len(graph.nodes) > 3
    assert len(sent) == depth + 1


def test_an_edge_to_nothing_is_damage(store: Store) -> None:
    n = add_chain(store, 2)
    with behind_its_back(store) as connection:
        connection.exec_driver_sql("UPDATE edge SET src = 99")
        with pytest.raises(IntegrityError, match="entity 99 is lost"):
            walk(connection, n[1], UP)


def test_every_statement_is_answered_by_an_index(fresh: Store) -> None:
    numbers = place(fresh, {(0, 1), (1, 2)})
    with statements(fresh.engine) as sent, fresh.reader() as connection:
        walk(connection, numbers[1], UP)
        walk(connection, numbers[1], DOWN)
        plans = [
            connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", (1,) * sql.count("?")).all()
            for sql in list(sent)
        ]
    assert len(plans) == 6
    assert all("SEARCH" in plan[0][3] for plan in plans)


def test_an_unknown_kind_is_damage(store: Store) -> None:
    n = add_chain(store, 2)
    with unit(store) as opened:
        opened.note(x=1)
        opened.connection.exec_driver_sql("UPDATE edge SET kind = 'rewd'")
    with pytest.raises(IntegrityError, match=f"edge of entity {n[1]} is of an unknown kind"):
        walk_from(store, n[1])
    with unit(store) as opened:
        opened.note(x=1)
        opened.connection.exec_driver_sql("UPDATE entity SET kind = 'rum' WHERE key = 'run:run0'")
    with (
        pytest.raises(IntegrityError, match=f"entity {n[0]} is of an unknown"),
        store.reader() as connection,
    ):
        entity_by_key(connection, "run:run0")


@pytest.fixture(scope="module")
def fresh(sqlite: Databases) -> Iterator[Store]:
    store = Store(connect(sqlite.laid()), ticking())
    yield store
    store.close()


SIZE = 8
GRAPHS = st.sets(st.tuples(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1)), max_size=24)


@settings(max_examples=60)
@given(GRAPHS, st.integers(0, SIZE - 1), st.sampled_from([UP, DOWN]), st.integers(1, 4))
def test_any_graph_is_walked_as_by_hand(
    fresh: Store, pairs: set[tuple[int, int]], root: int, direction: Direction, depth: int
) -> None:
    numbers = place(fresh, pairs)
    expected = by_hand(pairs, root, direction, depth)
    graph = walk_from(fresh, numbers[root], direction, depth=depth)
    index = {number: i for i, number in enumerate(numbers)}
    assert {index[node.id]: node.distance for node in graph.nodes} == expected
    inside = {(src, dst) for src, dst in pairs if src in expected and dst in expected}
    assert {(index[e.src], index[e.dst]) for e in graph.edges} == inside
    near = {pair[1 if direction is UP else 0] for pair in pairs - inside}
    leading_on = near & expected.keys()
    assert {index[number] for number in graph.frontier} == leading_on
    assert graph.truncated == bool(leading_on)


@settings(max_examples=30)
@given(GRAPHS, st.integers(0, SIZE - 1), st.integers(0, SIZE - 1))
def test_what_is_upstream_of_b_has_b_downstream(
    fresh: Store, pairs: set[tuple[int, int]], a: int, b: int
) -> None:
    numbers = place(fresh, pairs)
    up = {node.id: node.distance for node in walk_from(fresh, numbers[b], UP).nodes}
    down = {node.id: node.distance for node in walk_from(fresh, numbers[a], DOWN).nodes}
    assert up.get(numbers[a]) == down.get(numbers[b])


def place(store: Store, pairs: set[tuple[int, int]]) -> list[int]:
    """The graph among new things, so that one store serves every example."""
    with unit(store) as opened:
        first = opened.seq * SIZE
        numbers = [
            add_entity(opened, EntityKind.RUN, f"run:{first + i}", str(i)) for i in range(SIZE)
        ]
        for src, dst in pairs:
            add_edge(opened, numbers[src], numbers[dst], EdgeKind.READ, Evidence.OBSERVED)
    return numbers


def by_hand(pairs: Pairs, root: int, direction: Direction, depth: int) -> dict[int, int]:
    distances = {root: 0}
    queue = deque([root])
    while queue:
        here = queue.popleft()
        for src, dst in pairs:
            near, far = (dst, src) if direction is UP else (src, dst)
            if near == here and far not in distances and distances[here] < depth:
                distances[far] = distances[here] + 1
                queue.append(far)
    return distances
