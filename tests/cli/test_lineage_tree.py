"""A tree says what each line is to the line above, in both directions, however the graph is."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from backstory.cli.lineage_tree import branch_of, dot_text, tree_lines
from backstory.lineage.graph import Direction, Edge, EdgeKind, EntityKind, Evidence, Graph, Node
from backstory.lineage.tracing import Trace

SINCE = datetime(2026, 11, 14, tzinfo=UTC)


def make_trace(
    *edges: tuple[int, int, EdgeKind],
    root: int,
    direction: Direction = Direction.UPSTREAM,
    evidence: Evidence = Evidence.OBSERVED,
    frontier: Sequence[int] = (),
) -> Trace:
    """A graph of nodes that nothing more is known of."""
    ids = sorted({root, *(end for src, dst, _ in edges for end in (src, dst))})
    kind = EntityKind.RUN
    return Trace(
        graph=Graph(
            root=root,
            nodes=tuple(Node(id=i, kind=kind, key=f"n{i}", label=f"n{i}") for i in ids),
            edges=tuple(
                Edge(src=src, dst=dst, kind=kind_, evidence=evidence) for src, dst, kind_ in edges
            ),
            truncated=bool(frontier),
            frontier=tuple(frontier),
        ),
        direction=direction,
        details={},
        reads={},
        pins={},
        known_since=SINCE,
    )


WORDS = {
    EdgeKind.READ: ("read", "read by"),
    EdgeKind.TRIGGERED: ("triggered by", "triggered"),
    EdgeKind.PRODUCED: ("made by", "made"),
    EdgeKind.COMPONENT_OF: ("composed with", "part of"),
    EdgeKind.TRAINED_ON: ("trained on", "trained"),
    EdgeKind.DEPLOYED_AS: ("serves", "deployed as"),
    EdgeKind.FEEDBACK_ON: ("feedback on", "rated in"),
}


@pytest.mark.parametrize("kind", EdgeKind)
def test_every_relation_has_words_for_both_directions(kind: EdgeKind) -> None:
    up, down = WORDS[kind]
    assert tree_lines(make_trace((1, 2, kind), root=2)) == ["n2", f"└── {up} n1"]
    downstream = make_trace((1, 2, kind), root=1, direction=Direction.DOWNSTREAM)
    assert tree_lines(downstream) == ["n1", f"└── {down} n2"]


def test_what_stands_above_is_not_told_twice() -> None:
    made, part = EdgeKind.PRODUCED, EdgeKind.COMPONENT_OF
    diamond = make_trace(
        (1, 2, part), (1, 3, part), (2, 4, made), (3, 4, made), (0, 1, part), root=4
    )
    assert tree_lines(diamond) == [
        "n4",
        "├── made by n2",
        "│   └── composed with n1",
        "│       └── composed with n0",
        "└── made by n3",
        "    └── composed with n1  told above",
    ]


@pytest.mark.parametrize("evidence", Evidence)
def test_how_a_step_is_known_is_said_unless_it_was_observed(evidence: Evidence) -> None:
    lines = tree_lines(make_trace((1, 2, EdgeKind.PRODUCED), root=2, evidence=evidence))
    said = "" if evidence is Evidence.OBSERVED else f"  {evidence.value}"
    assert lines[1] == f"└── made by n1{said}"


def test_a_bound_is_said_where_it_was_met() -> None:
    cut = make_trace((1, 2, EdgeKind.PRODUCED), root=2, frontier=[1])
    assert tree_lines(cut)[1] == "└── made by n1  more behind it"


def test_a_chain_may_be_long() -> None:
    chain = make_trace(*((n, n + 1, EdgeKind.PRODUCED) for n in range(3000)), root=3000)
    depths = [depth for depth, _ in branch_of(chain).walk()]
    assert depths == list(range(3001))


def test_a_graph_says_how_a_step_is_known() -> None:
    declared = make_trace((1, 2, EdgeKind.TRAINED_ON), root=2, evidence=Evidence.DECLARED)
    assert '[label="trained on (declared)"]' in dot_text(declared)


def test_names_are_quoted_for_graphviz() -> None:
    trace = make_trace((1, 2, EdgeKind.PRODUCED), root=2)
    hostile = Node(id=1, kind=EntityKind.DATASET, key='a"b\\c', label="")
    graph = Graph(root=2, nodes=(hostile, trace.graph.nodes[1]), edges=trace.graph.edges)
    text = dot_text(
        Trace(
            graph=graph, direction=trace.direction, details={}, reads={}, pins={}, known_since=None
        )
    )
    assert '"a\\"b\\\\c" -> "n2" [label="produced"];' in text
