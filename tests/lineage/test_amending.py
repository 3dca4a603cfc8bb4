"""Wrong records are superseded: what is so instead, what was told before, and what is refused."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

import backstory
from backstory.lineage.home import Home
from backstory.lineage.store.audit_log import log_root
from tests.lineage.homes import MORNING, backstory_error, feed, train

NOON = MORNING + timedelta(hours=4)
EVENING = MORNING + timedelta(hours=10)

Told = list[tuple[int, float, datetime, datetime | None]]


def told(home: Home, as_of: datetime | None = None) -> Told:
    return [
        (i.number, i.share, i.from_at, i.until_at) for i in home.deployments("prod", as_of=as_of)
    ]


@pytest.fixture
def serving(home: Home) -> Home:
    """Version 1 since the morning, version 2 in its place from noon on."""
    train(home), train(home)
    home.deploy("ranker@1", to="prod", at=MORNING)
    home.deploy("ranker@2", to="prod", at=NOON)
    return home


def test_a_wrong_time_is_superseded_and_both_stay(serving: Home) -> None:
    before, then = told(serving), serving.clock()
    made = serving.amend("env:prod#2", reason="rolled out late", from_at=EVENING)
    assert told(serving) == [(1, 1.0, MORNING, NOON), (2, 1.0, EVENING, None)]
    assert told(serving, then) == before
    assert (made.key, made.reason, made.actor) == (
        "env:prod#2",
        "rolled out late",
        serving.actor.name,
    )
    [change] = made.changes
    assert change.before == {"share": 1.0, "from": "2026-11-24T12:00:00Z", "until": None}
    assert change.after == {"share": 1.0, "from": "2026-11-24T18:00:00Z", "until": None}
    assert serving.amendments() == serving.amendments("env:prod#2") == [made]
    assert serving.amendments("env:prod") == [made]
    assert serving.amendments(as_of=then) == serving.amendments("env:prod#1") == []
    assert serving.verify().intact


def test_the_way_of_our_own_runs_asks_for_no_amendment(serving: Home) -> None:
    serving.amend("env:prod#2", reason="rolled out late", from_at=EVENING)
    seen: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(serving.store.engine, "before_cursor_execute", note)
    serving.trace("ranker@2")
    assert seen
    assert not [text for text in seen if "amendment" in text or "declaration" in text]
    assert serving.trace("env:prod#2").amended
    assert len([text for text in seen if "amendment" in text]) == 1
    event.remove(serving.store.engine, "before_cursor_execute", note)


def test_an_amendment_is_one_entry_of_the_log(serving: Home) -> None:
    with serving.store.reader() as conn:
        before = log_size(conn)
    made = serving.amend("env:prod#1", reason="half of it", share=0.5)
    with serving.store.reader() as conn:
        assert log_size(conn) == before + 1 == made.seq + 1


def log_size(conn: Any) -> int:
    size, _ = log_root(conn)
    return size


def test_what_did_not_happen_keeps_its_name_and_no_time(serving: Home) -> None:
    then = serving.clock()
    serving.amend("env:prod#2", reason="it was the test cluster", never=True)
    assert told(serving) == [(1, 1.0, MORNING, NOON), (2, 1.0, NOON, NOON)]
    assert serving.deployments("prod", at=EVENING) == []
    assert [d.number for d in serving.deployments("prod", at=EVENING, as_of=then)] == [2]
    assert serving.trace("env:prod#2").root.key == "env:prod#2"
    assert "env:prod#2" in [node.key for node in serving.impact("ranker@2").graph.nodes]
    with pytest.raises(backstory.NotFoundError, match="serves nowhere"):
        serving.undeploy("env:prod#2")
    with pytest.raises(backstory.InvalidError, match="recorded already"):
        serving.amend("env:prod#2", reason="again", never=True)


def test_an_amendment_can_be_amended(serving: Home) -> None:
    first = serving.amend("env:prod#2", reason="it was the test cluster", never=True)
    then = serving.clock()
    with pytest.raises(backstory.InvalidError, match="never having served"):
        serving.amend("env:prod#2", reason="it was prod", share=0.5)
    second = serving.amend("env:prod#2", reason="it was prod after all", from_at=NOON)
    assert told(serving) == [(1, 1.0, MORNING, NOON), (2, 1.0, NOON, None)]
    assert serving.amendments("env:prod#2") == [second, first]
    assert serving.amendments("env:prod#2", limit=1, before=second.seq) == [first]
    assert serving.amendments(as_of=then) == [first]


def test_an_end_is_taken_back(serving: Home) -> None:
    serving.undeploy("env:prod#2", at=EVENING)
    serving.amend("env:prod#2", reason="it went on", ongoing=True)
    assert told(serving)[-1] == (2, 1.0, NOON, None)
    serving.amend("env:prod#2", reason="until the evening", until_at=EVENING)
    assert told(serving)[-1] == (2, 1.0, NOON, EVENING)


def test_one_of_several_intervals(serving: Home) -> None:
    serving.deploy("ranker@1", to="prod", share=0.2, mode="canary", at=EVENING)
    serving.amend("env:prod#2", reason="a tenth more", share=0.7, at=EVENING)
    own = [line for line in told(serving) if line[0] == 2]
    assert own == [(2, 1.0, NOON, EVENING), (2, 0.7, EVENING, None)]
    serving.amend("env:prod#2", reason="the whole", never=True)
    assert [line for line in told(serving) if line[0] == 2] == [(2, 1.0, NOON, NOON)]


def test_the_whole_of_several_intervals(serving: Home) -> None:
    serving.deploy("ranker@1", to="prod", share=0.2, mode="canary", at=EVENING)
    until = EVENING + timedelta(hours=1)
    late = NOON + timedelta(hours=1)
    serving.amend("env:prod#2", reason="shorter", from_at=late, until_at=until, share=0.8)
    own = [line for line in told(serving) if line[0] == 2]
    assert own == [(2, 0.8, late, EVENING), (2, 0.8, EVENING, until)]
    serving.amend("env:prod#2", reason="shorter still", until_at=EVENING)
    assert [line for line in told(serving) if line[0] == 2] == [(2, 0.8, late, EVENING)]


def test_shares_above_one_are_refused_with_instant_and_split(serving: Home) -> None:
    before = told(serving)
    with pytest.raises(backstory.RefusedError) as refused:
        serving.amend("env:prod#2", reason="earlier", from_at=MORNING + timedelta(hours=1))
    assert backstory_error(refused) == (
        "prod: the shares would be 200 % at 2026-11-24T09:00:00Z: "
        "ranker@1 100 % (live), ranker@2 100 % (live) | see it with `backstory deployments prod "
        "--at 2026-11-24T09:00:00Z`, and amend that first"
    )
    assert told(serving) == before
    serving.amend("env:prod#1", reason="earlier", until_at=MORNING + timedelta(hours=1))
    serving.amend("env:prod#2", reason="earlier", from_at=MORNING + timedelta(hours=1))


def test_a_version_has_one_place_in_the_split(serving: Home) -> None:
    serving.deploy("ranker@1", to="prod", at=EVENING, share=0.1, mode="canary")
    with pytest.raises(backstory.RefusedError, match="another place in the split at 2026-11-24T18"):
        serving.amend("env:prod#1", reason="again", share=0.05, from_at=EVENING, ongoing=True)
    late = EVENING + timedelta(hours=1)
    with pytest.raises(backstory.RefusedError, match="another place in the split at 2026-11-24T18"):
        serving.amend("env:prod#2", reason="longer", at=NOON, until_at=late, share=0.1)


def moves(home: Home, as_of: datetime | None = None) -> list[tuple[str, datetime]]:
    return [(move.version.ref, move.at) for move in home.aliases("ranker", as_of=as_of)]


def yesterday(at: datetime) -> datetime:
    return at - timedelta(days=1)


@pytest.fixture
def named(home: Home) -> Home:
    """The champion is version 1 since the morning, 2 since noon and 3 since the evening."""
    for number, at in enumerate((MORNING, NOON, EVENING), start=1):
        train(home)
        home.alias(f"ranker@{number}", "champion", at=yesterday(at))
    return home


def test_an_alias_named_another_version(named: Home) -> None:
    before, then = moves(named), named.clock()
    made = named.amend("ranker@champion", reason="a slip", version="ranker@2")
    assert moves(named)[0] == ("ranker@2", yesterday(EVENING))
    assert named.model("ranker@champion").version.ref == "ranker@2"
    assert named.model("ranker@champion", as_of=then).version.ref == "ranker@3"
    assert moves(named, then) == before
    [change] = made.changes
    assert (made.key, change.of) == ("model:ranker", "ranker@champion")
    assert change.before == {"version": "ranker@3", "from": "2026-11-23T18:00:00Z"}
    assert change.after == {"version": "ranker@2", "from": "2026-11-23T18:00:00Z"}
    assert named.amendments("ranker") == named.amendments("ranker@champion") == [made]
    assert named.amendments("ranker", as_of=then) == []
    assert named.verify().intact


def test_the_mark_of_a_move_outlives_the_next_move(named: Home) -> None:
    then = named.clock()
    made = named.amend("ranker@champion", reason="a slip", version="ranker@2")
    named.alias("ranker@1", "champion")
    last, amended, *others = named.aliases("ranker")
    assert last.amended is None
    assert amended.amended is not None
    assert (amended.amended.at, amended.amended.reason) == (made.at, "a slip")
    assert [move.amended for move in others] == [None, None]
    assert {move.amended for move in named.aliases("ranker", as_of=then)} == {None}


def test_a_move_was_earlier(named: Home) -> None:
    noon = yesterday(NOON)
    earlier = noon - timedelta(hours=1)
    named.amend("ranker@champion", reason="late note", at=noon, from_at=earlier)
    assert moves(named)[1:] == [("ranker@2", earlier), ("ranker@1", yesterday(MORNING))]
    hour = timedelta(hours=1)
    for passing in (yesterday(EVENING) + hour, yesterday(MORNING) - hour):
        with pytest.raises(backstory.RefusedError, match="which this one would pass") as refused:
            named.amend("ranker@champion", reason="x", at=noon, from_at=passing)
        assert "--at 2026-11-23T" in refused.value.hint
    ahead = named.clock() + hour
    with pytest.raises(backstory.InvalidError, match="is in the future"):
        named.amend("ranker@champion", reason="x", from_at=ahead)


def test_a_move_did_not_happen(named: Home) -> None:
    named.amend("ranker@champion", reason="only talk", at=yesterday(NOON), never=True)
    assert [ref for ref, _ in moves(named)] == ["ranker@3", "ranker@1"]
    named.amend("ranker@champion", reason="only talk", never=True)
    assert named.model("ranker@champion").version.ref == "ranker@1"
    last = named.amend("ranker@champion", reason="only talk", never=True)
    assert last.changes[0].after is None
    for ask in (
        lambda: named.model("ranker@champion"),
        lambda: named.amend("ranker@champion", reason="again", never=True),
    ):
        with pytest.raises(backstory.NotFoundError):
            ask()
    assert len(named.amendments("ranker@champion")) == 3
    named.alias("ranker@2", "champion")
    assert named.model("ranker@champion").version.ref == "ranker@2"


def test_moves_of_one_instant_stay_in_order(named: Home) -> None:
    """A row that is written anew has a larger number than the one that follows it."""
    evening = yesterday(EVENING)
    named.amend("ranker@champion", reason="at once", at=yesterday(NOON), from_at=evening)
    named.alias("ranker@1", "champion")
    assert named.model("ranker@champion").version.ref == "ranker@1"
    refs = [ref for ref, _ in moves(named)]
    assert refs == ["ranker@1", "ranker@3", "ranker@2", "ranker@1"]


@pytest.mark.parametrize(
    ("ref", "more", "message"),
    [
        ("ranker@champion", {"share": 0.5}, "an alias has no --share"),
        ("ranker@champion", {"version": "ranker@3"}, "recorded already"),
        ("ranker@champion", {"version": "other@1"}, "not a version of ranker"),
        ("ranker@champion", {"version": "ranker"}, "not a version of ranker"),
        ("ranker@champion", {"version": "ranker@9"}, "no version 9"),
        ("ranker@champion", {"never": True, "at": MORNING.replace(year=2020)}, "named nothing"),
        ("ranker@champ", {"never": True}, "named nothing"),
        ("rankr@champion", {"never": True}, "no model is called 'rankr'"),
        ("thumbs/en@champion", {"never": True}, "has no aliases"),
        ("env:prod#1", {"version": "ranker@1"}, "a deployment has no --version"),
    ],
)
def test_what_cannot_be_amended_of_an_alias(
    named: Home, ref: str, more: dict[str, Any], message: str
) -> None:
    feed(named)
    train(named, model="other")
    named.deploy("ranker@1", to="prod")
    before = moves(named)
    with pytest.raises(backstory.BackstoryError, match=message):
        named.amend(ref, reason="wrong", **more)
    assert moves(named) == before


@pytest.mark.parametrize(
    ("ref", "more", "message"),
    [
        ("env:prod#1", {"never": True, "reason": " "}, "reason has 1 to 2000"),
        ("env:prod#1", {"never": True, "reason": "x" * 2001}, "reason has 1 to 2000"),
        ("env:prod#1", {}, "says what was so instead"),
        ("env:prod#1", {"at": NOON}, "says what was so instead"),
        ("env:prod#1", {"never": True, "share": 0.5}, "did not happen has no --share"),
        ("env:prod#1", {"ongoing": True, "until_at": NOON}, "not ended has no end"),
        ("env:prod#1", {"from_at": MORNING}, "recorded already"),
        ("env:prod#1", {"share": 1.5}, "a share of 1.5"),
        ("env:prod#1", {"share": float("nan")}, "a share of nan"),
        ("env:prod#1", {"from_at": EVENING}, "before it begins"),
        ("env:prod#1", {"share": 0.5, "at": EVENING}, "does not serve at"),
        ("env:prod#1", {"from_at": MORNING.replace(year=1999)}, "lies before 2000"),
        ("env:prod#1", {"from_at": MORNING.replace(year=2029)}, "days ahead"),
        ("env:prod#1", {"from_at": MORNING.replace(tzinfo=None)}, "no time zone"),
        ("env:prod#9", {"never": True}, "has no deployment 9"),
        ("env:prod", {"never": True}, "no record of its own"),
        ("ranker", {"never": True}, "no record of its own"),
        ("thumbs/en", {"never": True}, "was observed"),
        ("thumbs/en@1", {"never": True}, "was observed"),
        ("run:RUN", {"never": True}, "was observed"),
    ],
)
def test_what_cannot_be_amended(
    serving: Home, ref: str, more: dict[str, Any], message: str
) -> None:
    feed(serving)
    ref = ref.replace("RUN", serving.runs()[0].run_id)
    before = told(serving)
    with pytest.raises(backstory.BackstoryError, match=message) as caught:
        serving.amend(ref, **{"reason": "wrong", **more})
    assert not backstory_error(caught).endswith(("| ", "None"))
    assert told(serving) == before
    assert serving.amendments() == []


def test_the_last_of_two_sees_the_first(serving: Home) -> None:
    """Read before the lock is held, the first amendment would be lost."""
    serving.amend("env:prod#2", reason="half", share=0.5)
    serving.amend("env:prod#2", reason="late", from_at=EVENING)
    assert told(serving)[-1] == (2, 0.5, EVENING, None)


@pytest.mark.parametrize("limit", [0, 1001])
def test_amendments_come_in_bounded_pages(home: Home, limit: int) -> None:
    with pytest.raises(backstory.LimitExceededError, match="1 to 1000 amendments"):
        home.amendments(limit=limit)
    with pytest.raises(backstory.NotFoundError):
        home.amendments("run:" + "0" * 8)
