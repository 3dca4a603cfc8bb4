import pytest

import backstory
from backstory.lineage.graph import EntityKind
from backstory.lineage.home import Home
from tests.lineage.homes import answer, feed, train


def keys(trace: backstory.Trace) -> set[str]:
    return {node.key for node in trace.graph.nodes if node.kind is not EntityKind.RUN}


def test_back_and_forth(home: Home) -> None:
    feed(home, 2)
    train(home, "thumbs/en@1")
    train(home, "thumbs/en")
    home.deploy("ranker@2", to="prod")
    answer(home, "ranker@2")
    assert "thumbs/en@2" in keys(home.trace("env:prod#1"))
    assert "thumbs/en@1" not in keys(home.trace("ranker@2"))
    impact = home.impact("thumbs/en@2")
    assert {"ranker@2", "env:prod#1"} <= keys(impact)
    assert list(impact.answers.values()) == [1]
    assert impact.known_since is not None


def test_a_trace_tells_details_reads_and_pins(home: Home) -> None:
    feed(home)
    train(home, "thumbs/en")
    trace = home.trace("ranker@1")
    assert trace.root.key == "ranker@1"
    kinds = {type(detail).__name__ for detail in trace.details.values()}
    assert {"SnapshotRecord", "RunRecord", "VersionRecord"} <= kinds
    assert [len(reads) for reads in trace.reads.values()] == [1]
    assert len(trace.pins) == 1
    assert trace.tree.node.key == "ranker@1"


def test_bounds_are_told(home: Home) -> None:
    feed(home)
    train(home, "thumbs/en")
    assert not home.trace("ranker@1").graph.truncated
    short = home.trace("ranker@1", depth=1)
    assert short.graph.frontier
    for depth, limit in ((0, 1), (201, 1), (1, 0), (1, 10_001)):
        with pytest.raises(backstory.InvalidError, match="depth goes from"):
            home.trace("ranker@1", depth=depth, limit=limit)


def test_a_path_in_either_order(home: Home) -> None:
    feed(home, 2)
    train(home, "thumbs/en@1")
    home.pin("thumbs/en@2", reason="unused")
    there, back = home.path("thumbs/en@1", "ranker@1"), home.path("ranker@1", "thumbs/en@1")
    assert there is not None
    assert back is not None
    assert len(there.graph.edges) == len(back.graph.edges) == 2
    assert home.path("thumbs/en@2", "ranker@1") is None


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("thumbs/en@2", "in no lineage yet"),
        ("env:prod", "not one deployment"),
        ("ranker@9", "no version 9"),
        ("rankr", "no slice or model"),
        ("int:0123456789", "names an interaction"),
        ("run:0123456789", "no run's id"),
    ],
)
def test_what_cannot_be_traced(home: Home, ref: str, message: str) -> None:
    feed(home, 2)
    train(home, "thumbs/en@1")
    home.deploy("ranker@1", to="prod")
    with pytest.raises(backstory.BackstoryError, match=message):
        home.trace(ref)
