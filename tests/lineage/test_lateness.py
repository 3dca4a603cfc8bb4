"""What was back-filled is marked: when it was told, and how late that was."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from backstory.lineage.home import Home
from backstory.lineage.lateness import TOLERANCE, lateness, lead
from backstory.lineage.state import Section
from backstory.lineage.store import tables
from backstory.lineage.times import MAX_CLOCK_SKEW
from tests.lineage.homes import MORNING, answer, feed, link, train
from tests.lineage.store.recording import statements

DAY = timedelta(days=1)
MOMENT = timedelta(microseconds=1)


def ago(home: Home, span: timedelta) -> datetime:
    return home.clock() - span


def days(span: timedelta | None) -> int | None:
    return None if span is None else round(span / DAY)


@pytest.mark.parametrize(
    ("told", "late", "ahead"),
    [
        (timedelta(0), None, None),
        (TOLERANCE, None, None),
        (TOLERANCE + MOMENT, TOLERANCE + MOMENT, None),
        (-MAX_CLOCK_SKEW, None, None),
        (-MAX_CLOCK_SKEW - MOMENT, None, MAX_CLOCK_SKEW + MOMENT),
    ],
)
def test_what_is_late_and_what_is_ahead(
    told: timedelta, late: timedelta | None, ahead: timedelta | None
) -> None:
    assert lateness(MORNING, MORNING + told) == late
    assert lead(MORNING, MORNING + told) == ahead


def test_what_was_never_recorded_is_not_late() -> None:
    assert (lateness(MORNING, None), lateness(None, MORNING), lead(MORNING, None)) == (None,) * 3


def test_a_deployment_says_when_it_was_told(home: Home) -> None:
    train(home)
    made = home.deploy("ranker@1", to="prod", at=ago(home, 3 * DAY))
    assert days(made.late) == 3
    assert (made.end_recorded_at, made.end_late) == (None, None)
    [served] = home.deployments("prod")
    assert (served.recorded_at, served.late) == (made.recorded_at, made.late)
    now = home.deploy("ranker@1", to="test")
    assert now.recorded_at is not None
    assert now.late is None
    planned = home.deploy("ranker@1", to="test", at=home.clock() + DAY, mode="shadow")
    assert planned.late is None


def test_an_interval_that_is_cut_was_told_when_it_began(home: Home) -> None:
    train(home), train(home)
    first = home.deploy("ranker@1", to="prod")
    home.deploy("ranker@2", to="prod", at=home.clock() + 30 * DAY)
    home.deploy("ranker@2", to="prod", share=0.1, mode="canary", at=home.clock() + 10 * DAY)
    begun, *later = [i for i in home.deployments("prod") if i.number == 1]
    assert begun.recorded_at == first.recorded_at
    assert {i.recorded_at for i in later}.isdisjoint({first.recorded_at})


def test_an_end_says_when_it_was_told(home: Home) -> None:
    train(home)
    home.deploy("ranker@1", to="prod", at=ago(home, 9 * DAY))
    [ended] = home.undeploy("env:prod#1", at=ago(home, 2 * DAY))
    assert (days(ended.late), days(ended.end_late)) == (9, 2)
    [served] = home.deployments("prod")
    assert (served.end_recorded_at, days(served.end_late)) == (ended.end_recorded_at, 2)


def test_a_share_that_is_corrected_is_told_late_from_there_on(home: Home) -> None:
    train(home), train(home)
    begin = ago(home, 9 * DAY)
    home.deploy("ranker@1", to="prod", at=begin)
    home.deploy("ranker@2", to="prod", share=0.1, mode="canary", at=begin + 5 * DAY)
    told = [(i.share, days(i.late), days(i.end_late)) for i in home.deployments("prod")]
    assert told == [(1, 9, 4), (0.9, 4, None), (0.1, 4, None)]


def test_lateness_is_what_was_known_then(home: Home) -> None:
    train(home)
    home.deploy("ranker@1", to="prod", at=ago(home, 9 * DAY))
    then = home.clock()
    told = home.deployments("prod", as_of=then)
    home.undeploy("env:prod#1", at=ago(home, 2 * DAY))
    assert home.deployments("prod", as_of=then) == told


def test_a_move_of_an_alias_says_when_it_was_told(home: Home) -> None:
    train(home), train(home)
    moved = home.alias("ranker@1", "champion", at=ago(home, 3 * DAY))
    assert days(moved.late) == 3
    home.alias("ranker@2", "champion")
    newest, oldest = home.aliases("ranker")
    assert (newest.late, days(oldest.late)) == (None, 3)
    assert oldest.recorded_at == moved.recorded_at


def test_a_version_that_is_added_afterwards_is_late(home: Home) -> None:
    train(home)
    at = ago(home, 3 * DAY)
    added = home.add_version("ranker@9", artifact="s3://models/9", at=at)
    again = home.add_version("ranker@9", artifact="s3://models/9", at=at)
    shown = home.model("ranker@9").version
    listed = {version.number: version for version in home.models("ranker")}
    assert days(added.late) == 3
    assert added == again == shown == listed[9] == home.models()[0] == home.models("ranker@9")[0]
    assert listed[1].recorded_at is not None
    assert listed[1].late is None


def test_a_commit_of_others_is_registered_late(home: Home, tmp_path: Path) -> None:
    feed(home)
    link(home, tmp_path)
    assert [use.commit.late for use in home.history("thumbs/en")] == [None, None]
    [use] = home.history("clicks")
    # Its own clock is the real one, which runs before or behind the home's.
    assert use.commit.recorded_at is not None
    assert use.commit.late == lateness(use.commit.at, use.commit.recorded_at)
    assert home.show("clicks").at.commit == use.commit
    assert home.diff("thumbs/en@0", "thumbs/en@1").commits[0].recorded_at is not None


def test_an_answer_that_is_recorded_afterwards_is_late(home: Home) -> None:
    train(home)
    home.deploy("ranker@1", to="prod", at=ago(home, 9 * DAY))
    given = answer(home, at=ago(home, 2 * DAY), environment="prod")
    state = home.state_of(f"int:{given}")
    assert days(state.interaction.late) == 2
    assert state.interaction.ahead is None
    parts = {part.section: part for part in state.parts}
    assert days(parts[Section.DEPLOYMENT].late) == 9
    assert parts[Section.VERSION].late is None
    assert parts[Section.VERSION].recorded_at is not None
    assert home.state_of(f"int:{answer(home)}").interaction.late is None


def test_a_clock_that_runs_ahead_is_told(home: Home) -> None:
    train(home)
    given = answer(home, at=home.clock() + timedelta(hours=2))
    interaction = home.state_of(f"int:{given}").interaction
    assert interaction.late is None
    assert interaction.ahead is not None
    assert round(interaction.ahead / timedelta(hours=2), 2) == 1


def test_lateness_is_no_part_of_what_determined_an_answer(home: Home) -> None:
    train(home)
    home.deploy("ranker@1", to="prod", at=ago(home, 9 * DAY))
    soon, late = answer(home, environment="prod"), answer(home, environment="prod", at=MORNING)
    assert home.state_of(f"int:{soon}").digest == home.state_of(f"int:{late}").digest


def test_a_trace_asks_for_no_recorded_time(home: Home) -> None:
    train(home)
    home.deploy("ranker@1", to="prod")
    home.trace("env:prod#1")  # what is read once per process
    with statements(home.store.engine) as sent:
        home.trace("env:prod#1")
    times = [text for text in sent if tables.audit_leaf.name in text]
    assert [text for text in times if tables.amendment.name not in text] == []


def test_more_intervals_cost_no_more_statements(home: Home) -> None:
    train(home), train(home)
    home.deploy("ranker@1", to="prod")
    with statements(home.store.engine) as few:
        home.deployments()
    for number in range(5):
        home.deploy(f"ranker@{1 + number % 2}", to="prod")
    with statements(home.store.engine) as many:
        home.deployments()
    assert len(few) == len(many)
