"""Wrong records are superseded: what is so instead, what was told before, and what is refused."""

from datetime import datetime, timedelta
from typing import Any

import pytest

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
