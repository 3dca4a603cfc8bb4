"""Feedback and the answers that it speaks of, matched commit by commit; on both databases."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

import backstory
from backstory.lake.gate import pass_gate
from backstory.lake.location import interactions_of
from backstory.lake.snapshot import open_snapshot
from backstory.lineage.catch_up import catch_up
from backstory.lineage.home import Home
from backstory.lineage.ingest import own_table
from backstory.lineage.interaction import Part
from backstory.lineage.matching import LOOK_AGAIN, Matches
from tests.lineage.homes import backstory_error, train

AT = datetime(2026, 11, 20, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NOBODY = "00000000-0000-7000-8000-000000000000"
CONTRACT = """
slice: clicks
purpose: learn from clicks
columns:
  event_id: {type: string, role: event_id, nullable: false}
  at:       {type: timestamp, role: event_time}
  answer:   {type: string, role: interaction_id}
  talk:     {type: string, role: conversation_id}
  place:    {type: int64, role: position}
"""
PARTS = [
    Part(kind="item", ref=f"sku-{n}", detail=f'{{"position": {n}, "propensity": 0.5}}')
    for n in range(3)
]


@pytest.fixture
def shop(home: Home) -> Home:
    """Two versions of the ranker, and a slice of clicks with one that speaks of nothing."""
    prepare(home)
    return home


def prepare(home: Home) -> None:
    home.create_slice(CONTRACT)
    home.slice("clicks").append([{"event_id": "first", "at": AT}])
    train(home, "clicks")
    train(home, "clicks")


def answer(home: Home, minute: int, version: int | None = 1, **more: Any) -> str:
    """An answer of the ranker, so many minutes after eight."""
    ref = None if version is None else f"ranker@{version}"
    log = home.interactions("ranker")
    at = AT + minute * MINUTE
    return log.record(request=1, response=2, version=ref, at=at, parts=PARTS, **more)


def click(home: Home, minute: int, offset: int | None = None, **said: Any) -> None:
    row = {"event_id": f"{minute}-{said}", "at": AT + minute * MINUTE, **said}
    home.slice("clicks").append([row], source="shop", offset=offset)


def counted(matches: Matches) -> dict[str | None, int]:
    return {one.ref: one.rows for one in matches.found} | {None: matches.unmatched}


def test_feedback_knows_the_version_that_it_speaks_of(shop: Home) -> None:
    named = answer(shop, 0, version=1)
    answer(shop, 1, version=2, external_id="order-8")
    answer(shop, 2, version=1, conversation="talk")
    answer(shop, 4, version=2, conversation="talk")
    click(shop, 9, answer=named, place=2)
    click(shop, 9, answer="order-8")
    click(shop, 3, talk="talk")
    click(shop, 4, talk="talk")
    click(shop, 9, answer="order-9")
    matches = shop.matches("clicks")
    assert counted(matches) == {"ranker@1": 2, "ranker@2": 2, None: 2}
    assert matches.not_looked_at == 0
    rows = shop.answered_rows("clicks").to_pylist()
    versions = [row["_version"] for row in rows]
    assert versions == [None, "ranker@1", "ranker@2", "ranker@1", "ranker@2", None]
    assert rows[1]["_answer"] == named
    assert [row["_item"] for row in rows] == [None, "sku-2", None, None, None, None]
    assert counted(shop.matches("clicks@1")) == {None: 1}
    selected = shop.answered_rows("clicks", "place = 2").to_pylist()
    assert [row["_item"] for row in selected] == ["sku-2"]


def test_an_answer_without_a_version_is_an_answer(shop: Home) -> None:
    named = answer(shop, 0, version=None)
    click(shop, 1, answer=named)
    assert counted(shop.matches("clicks")) == {"ranker": 1, None: 1}


def test_answers_that_come_late_are_matched_then(shop: Home) -> None:
    click(shop, 5, answer="order-1")
    click(shop, 6, answer="order-2")
    before = shop.clock()
    assert counted(shop.matches("clicks")) == {None: 3}
    answer(shop, 4, version=2, external_id="order-1")
    assert counted(shop.matches("clicks")) == {None: 3}
    assert shop.match_again("clicks") == 3
    assert counted(shop.matches("clicks")) == {"ranker@2": 1, None: 2}
    assert counted(shop.matches("clicks", as_of=before)) == {None: 3}
    assert shop.match_again("clicks") == 0


def test_a_later_batch_looks_again_at_the_ones_before(shop: Home) -> None:
    click(shop, 5, answer="order-1")
    answer(shop, 4, version=2, external_id="order-1")
    click(shop, 6, answer="order-1")
    assert counted(shop.matches("clicks")) == {"ranker@2": 1, None: 2}
    began = shop.clock()
    while shop.clock() < began + LOOK_AGAIN:
        pass  # each look moves the clock on by a second
    click(shop, 7, answer="order-1")
    assert counted(shop.matches("clicks")) == {"ranker@2": 3, None: 1}


def test_only_the_newest_commits_are_looked_at_by_themselves(
    shop: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backstory.lineage.matching.BATCHES_AT_A_TIME", 2)
    monkeypatch.setattr("backstory.lineage.matching.LOOK_AGAIN", timedelta(0))
    for minute in (5, 6, 7):
        click(shop, minute, answer="order-1")
    answer(shop, 4, version=2, external_id="order-1")
    click(shop, 8, answer="order-1")
    assert counted(shop.matches("clicks")) == {"ranker@2": 2, None: 3}
    assert shop.match_again("clicks") == 3
    assert counted(shop.matches("clicks")) == {"ranker@2": 4, None: 1}


def test_the_tables_of_answers_are_opened_once_for_all_commits(
    shop: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for minute in (5, 6, 7):
        click(shop, minute, answer="order-1")
    answer(shop, 4, version=2, external_id="order-1")
    opened: list[str] = []

    def seen(table: Any) -> Any:
        opened.append(table.name)
        return open_snapshot(table)

    monkeypatch.setattr("backstory.lineage.answer_tables.open_snapshot", seen)
    assert shop.match_again("clicks") == 4
    assert opened == [interactions_of("ranker")]


def test_where_there_are_no_answers_no_row_is_read(
    shop: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("backstory.lineage.matching.open_snapshot")
    rows = [{"event_id": f"e{n}", "at": AT, "answer": "order-1"} for n in range(3)]
    shop.slice("clicks").append([*rows, rows[0]])
    found = shop.matches("clicks")
    assert (found.unmatched, found.not_looked_at) == (4, 0)
    monkeypatch.undo()
    answer(shop, -1, version=2, external_id="order-1")
    shop.match_again("clicks")
    assert counted(shop.matches("clicks")) == {"ranker@2": 3, None: 1}


def test_a_commit_that_a_crash_left_is_looked_at_by_the_next_command(shop: Home) -> None:
    named = answer(shop, 0, version=1)
    table = own_table(shop, "clicks")
    rows = pass_gate([{"event_id": "x", "at": AT, "answer": named}], table.contract, shop.key)
    table.append(rows, source="shop", offset=1, at=shop.clock(), info={}, new_id=shop.new_id)
    assert catch_up(shop) == 1
    assert counted(shop.matches("clicks")) == {"ranker@1": 1, None: 1}


def test_rows_land_though_answers_cannot_be_read(
    shop: Home, caplog: pytest.LogCaptureFixture
) -> None:
    named = answer(shop, 0, version=1)
    for file in shop.lake.folder(interactions_of("ranker")).glob("part-*.parquet"):
        file.unlink()
    click(shop, 1, answer=named)
    assert "which feedback speaks of ranker is not known" in caplog.text
    assert shop.slice("clicks").at().rows == 2


def test_a_slice_that_names_nothing_has_no_matches(home: Home) -> None:
    plain = CONTRACT.replace(", role: interaction_id", "").replace(", role: conversation_id", "")
    home.create_slice(plain)
    home.slice("clicks").append([{"event_id": "first"}])
    matches = home.matches("clicks")
    assert (matches.found, matches.unmatched, matches.not_looked_at) == ([], 0, 1)
    assert home.match_again("clicks") == 0
    with pytest.raises(backstory.InvalidError) as caught:
        home.answered_rows("clicks")
    assert "role interaction_id" in backstory_error(caught)


words = st.sampled_from(["a", "b", "c"])
minutes = st.integers(0, 12)
answers = st.lists(
    st.fixed_dictionaries(
        {"minute": minutes, "version": st.sampled_from([1, 2, None])},
        optional={"external_id": words, "conversation": words},
    ),
    max_size=8,
    unique_by=lambda one: one["minute"],
)
clicks = st.lists(
    st.fixed_dictionaries(
        {"minute": minutes}, optional={"answer": words, "talk": words, "own": minutes}
    ),
    min_size=1,
    max_size=8,
)


def spoken_of(given: list[dict[str, Any]], clicked: dict[str, Any]) -> int | None:
    """The minute of the answer that a click speaks of, by the rules alone."""
    if "own" in clicked:
        found = [one for one in given if one["minute"] == clicked["own"]]
    elif "answer" in clicked:
        named = [one for one in given if one.get("external_id") == clicked["answer"]]
        found = [one for one in named if one["minute"] <= clicked["minute"] + 5]
    else:
        talk = clicked.get("talk", "no talk")
        turns = [one for one in given if one.get("conversation") == talk]
        found = [one for one in turns if one["minute"] <= clicked["minute"]]
    return max((one["minute"] for one in found), default=None)


@hypothesis.given(given=answers, clicked=clicks)
@hypothesis.settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
def test_rows_speak_of_what_the_rules_say(
    own_homes: "Homes", given: list[dict[str, Any]], clicked: list[dict[str, Any]]
) -> None:
    with own_homes.fresh() as home:
        called = {one["minute"]: answer(home, **one) for one in given}
        rows = [
            {
                "event_id": f"{number}",
                "at": AT + one["minute"] * MINUTE,
                "answer": called.get(one["own"], NOBODY) if "own" in one else one.get("answer"),
                "talk": one.get("talk"),
            }
            for number, one in enumerate(clicked)
        ]
        home.slice("clicks").append(rows, source="shop", offset=1)
        wanted = [spoken_of(given, one) for one in clicked]
        found = home.answered_rows("clicks", "event_id <> 'first'").to_pylist()
        told = [None if minute is None else called[minute] for minute in wanted]
        assert [row["_answer"] for row in found] == told
        assert home.matches("clicks").unmatched == wanted.count(None) + 1


class Homes:
    """Homes that begin alike, made by copying one."""

    def __init__(self, template: Path, folder: Path) -> None:
        self._template = template
        self._folder = folder
        self._count = 0

    def fresh(self) -> Home:
        self._count += 1
        to = self._folder / str(self._count)
        shutil.copytree(self._template, to)
        return backstory.open(to)


@pytest.fixture
def own_homes(tmp_path: Path) -> Homes:
    with backstory.init(tmp_path / "template") as home:
        prepare(home)
    return Homes(tmp_path / "template", tmp_path)
