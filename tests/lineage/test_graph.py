from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from backstory.lineage.graph import (
    Direction,
    Edge,
    EdgeKind,
    EntityKind,
    Evidence,
    Graph,
    Node,
    TreeNode,
    of_its_runs,
    path_between,
    tree,
)


def make_edge(src: int, dst: int, kind: EdgeKind = EdgeKind.READ) -> Edge:
    return Edge(src=src, dst=dst, kind=kind, evidence=Evidence.OBSERVED)


def make_graph(*edges: Edge, root: int = 0) -> Graph:
    ids = {root, *(end for edge in edges for end in (edge.src, edge.dst))}
    nodes = tuple(
        Node(id=i, kind=EntityKind.RUN, key=f"run:{i}", label=str(i)) for i in sorted(ids)
    )
    return Graph(root=root, nodes=nodes, edges=edges)


def outline(root: TreeNode) -> list[str]:
    return [f"{'  ' * d}{n.node.id}{' *' if n.repeated else ''}" for d, n in root.walk()]


@st.composite
def acyclic_graphs(draw: st.DrawFn) -> Graph:
    """Edges run from a greater number to a smaller one, so that 0 is most downstream."""
    size = draw(st.integers(1, 12))
    pairs = [(src, dst) for dst in range(size) for src in range(dst + 1, size)]
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=30)) if pairs else []
    return make_graph(*(make_edge(src, dst) for src, dst in chosen))


def test_a_tree_tells_each_node_once_and_marks_repetitions() -> None:
    diamond = make_graph(make_edge(1, 0), make_edge(2, 0), make_edge(3, 1), make_edge(3, 2))
    assert outline(tree(diamond)) == ["0", "  1", "    3", "  2", "    3 *"]


def test_a_tree_looks_in_the_direction_asked_for() -> None:
    chain = make_graph(make_edge(0, 1), make_edge(1, 2))
    assert outline(tree(chain, Direction.DOWNSTREAM)) == ["0", "  1", "    2"]
    assert outline(tree(chain, Direction.UPSTREAM)) == ["0"]


def test_several_edges_between_two_nodes_are_one_branch() -> None:
    read, triggered = make_edge(1, 0), make_edge(1, 0, EdgeKind.TRIGGERED)
    (branch,) = tree(make_graph(read, triggered)).children
    assert branch.edges == (read, triggered)


def test_a_claimed_cycle_ends() -> None:
    assert outline(tree(make_graph(make_edge(1, 0), make_edge(0, 1)))) == ["0", "  1", "    0 *"]


def test_edges_out_of_the_graph_are_left_out() -> None:
    graph = make_graph(make_edge(1, 0))
    beyond = Graph(root=0, nodes=graph.nodes[:1], edges=graph.edges, truncated=True, frontier=(0,))
    assert outline(tree(beyond)) == ["0"]


def test_a_chain_longer_than_pythons_stack_is_told() -> None:
    chain = make_graph(*(make_edge(i + 1, i) for i in range(5000)))
    depth, last = list(tree(chain).walk())[-1]
    assert (depth, last.node.id) == (5000, 5000)


@given(acyclic_graphs())
def test_a_tree_holds_what_is_reachable_and_expands_it_once(graph: Graph) -> None:
    told = [n.node.id for _, n in tree(graph).walk() if not n.repeated]
    reachable = {0}
    for edge in sorted(graph.edges, key=lambda e: e.dst):
        reachable |= {edge.src} if edge.dst in reachable else set()
    assert sorted(told) == sorted(reachable)


@given(acyclic_graphs(), st.integers(0, 11))
def test_a_path_joins_its_ends(graph: Graph, far: int) -> None:
    upstream = {n.node.id for _, n in tree(graph).walk()}
    path = path_between(graph, far, 0)
    assert (path is not None) == (far in upstream)
    if path:
        assert path[0].src == far
        assert path[-1].dst == 0
        assert all(a.dst == b.src for a, b in pairwise(path))


def test_a_path_is_a_shortest_one() -> None:
    graph = make_graph(make_edge(3, 2), make_edge(2, 1), make_edge(1, 0), make_edge(3, 1))
    path = path_between(graph, 3, 0)
    assert path is not None
    assert [(e.src, e.dst) for e in path] == [(3, 1), (1, 0)]
    assert path_between(graph, 0, 3) is None
    assert path_between(graph, 2, 2) == ()


def test_a_trace_tells_only_the_loop_shares_of_its_own_runs() -> None:
    def loop(src: int, run: int) -> Edge:
        kind = EdgeKind.FEEDBACK_ON
        return Edge(src=src, dst=3, kind=kind, evidence=Evidence.INFERRED, run=run)

    made, read = EdgeKind.PRODUCED, EdgeKind.READ
    graph = Graph(
        root=1,
        nodes=tuple(
            Node(id=number, kind=kind, key=f"n{number}", label="")
            for number, kind in enumerate(
                (
                    EntityKind.MODEL_VERSION,
                    EntityKind.RUN,
                    EntityKind.SNAPSHOT,
                    EntityKind.MODEL_VERSION,
                    EntityKind.MODEL_VERSION,
                ),
                start=1,
            )
        ),
        edges=(
            Edge(src=2, dst=1, kind=made, evidence=Evidence.OBSERVED, run=2),
            Edge(src=3, dst=2, kind=read, evidence=Evidence.OBSERVED, run=2),
            loop(4, 2),
            loop(4, 99),
            loop(5, 99),
        ),
        frontier=(4, 5),
    )
    found = of_its_runs(graph)
    assert [node.id for node in found.nodes] == [1, 2, 3, 4]
    assert [(edge.src, edge.run) for edge in found.edges] == [(2, 2), (3, 2), (4, 2)]
    assert found.frontier == (4,)
    assert of_its_runs(found) is found
