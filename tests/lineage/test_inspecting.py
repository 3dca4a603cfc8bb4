from pathlib import Path

import pytest

import backstory
from backstory.lineage.home import Home
from backstory.lineage.inspecting import MAX_COMMITS, MAX_ROWS
from tests.lineage.homes import answer, feed, link, train


def test_slices_with_their_pins(home: Home, tmp_path: Path) -> None:
    feed(home, 2)
    link(home, tmp_path)
    train(home, "thumbs/en@1")
    answer(home)
    home.pin("thumbs/en", reason="audit")
    found = [(s.slice.name, s.slice.flavour, s.pinned) for s in home.slices()]
    assert found == [("clicks", "linked", 0), ("thumbs/en", "managed", 2)]
    names = [s.slice.name for s in home.slices(interactions=True)]
    assert names == ["_interactions/ranker", "clicks", "thumbs/en"]


def test_history_says_who_used_what(home: Home) -> None:
    feed(home, 3)
    train(home, "thumbs/en@2")
    uses = home.history("thumbs/en")
    assert [use.commit.version for use in uses] == [3, 2, 1, 0]
    assert [len(use.runs) for use in uses] == [0, 1, 0, 0]
    assert [len(use.pins) for use in uses] == [0, 1, 0, 0]
    assert [use.commit.rows for use in uses] == [4, 4, 4, 0]


def test_history_comes_in_pages_and_bounds(home: Home) -> None:
    feed(home, 3)
    assert [u.commit.version for u in home.history("thumbs/en@2", limit=2)] == [2, 1]
    assert [u.commit.version for u in home.history("thumbs/en", before=1)] == [0]
    assert home.history("thumbs/en", before=0) == []
    for limit in (0, MAX_COMMITS + 1):
        with pytest.raises(backstory.LimitExceededError):
            home.history("thumbs/en", limit=limit)


def test_show_gives_the_first_rows_that_match(home: Home) -> None:
    feed(home, 2)
    shown = home.show("thumbs/en@1", rows=2, columns=["stars"], where="stars >= 1")
    assert shown.matching == 3
    assert len(shown.rows) == 2
    assert set(shown.rows[0]) == {"stars"}
    assert (shown.at.ref, shown.snapshot.rows) == ("thumbs/en@1", 4)
    assert home.show("thumbs/en", rows=0).rows == []
    assert "_source" in home.show("thumbs/en", system=True).rows[0]


@pytest.mark.parametrize("rows", [-1, MAX_ROWS + 1])
def test_show_is_bounded(home: Home, rows: int) -> None:
    feed(home)
    with pytest.raises(backstory.LimitExceededError):
        home.show("thumbs/en", rows=rows)


@pytest.mark.parametrize(
    "where", ["stars > ", "1; DROP TABLE x", "nothing > 1", "stars in (select 1)", "COUNT(*) > 1"]
)
def test_a_condition_is_one_expression_on_the_columns(home: Home, where: str) -> None:
    feed(home)
    with pytest.raises(backstory.InvalidError):
        home.show("thumbs/en", where=where)


def test_runs_by_model_and_page(home: Home) -> None:
    train(home)
    train(home, model="other")
    train(home)
    first, second = home.runs("ranker")
    assert home.runs("ranker", before=first.id) == [second]
    assert len(home.runs(limit=2)) == 2
    with pytest.raises(backstory.InvalidError, match="not a model"):
        home.runs("ranker@1")


def test_one_run_whole(home: Home) -> None:
    feed(home)
    train(home, "thumbs/en")
    [run] = home.runs()
    for ref in (run.run_id, f"run:{run.run_id}", f"run:{run.run_id[:14]}"):
        summary = home.run(ref)
        assert summary.run == run
        assert [v.ref for v in summary.versions] == ["ranker@1"]
        assert len(summary.events) == 3
    with pytest.raises(backstory.NotFoundError):
        home.run("run:ffffffff")
