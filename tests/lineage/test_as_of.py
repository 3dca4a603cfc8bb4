from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import backstory
from backstory.lineage.home import Home
from backstory.lineage.store import tables, writes
from tests.lineage.homes import MORNING, answer, backstory_error, feed, train

Question = Callable[[datetime | None], Any]


def test_every_question_answers_as_it_did_then(home: Home) -> None:
    train(home)
    feed(home)
    answered = answer(home, environment="prod", external_id="zendesk:7")
    first = home.runs()[-1].run_id
    questions: list[Question] = [
        lambda as_of: home.trace("thumbs/en", as_of=as_of),
        lambda as_of: home.trace("ranker@champion", as_of=as_of),
        lambda as_of: home.trace("ranker@1", as_of=as_of),
        lambda as_of: home.impact("ranker@1", as_of=as_of),
        lambda as_of: home.impact("thumbs/en@1", as_of=as_of),
        lambda as_of: home.path("thumbs/en@1", "env:prod#1", as_of=as_of),
        lambda as_of: home.deployments("prod", as_of=as_of),
        lambda as_of: home.deployments(at=MORNING, as_of=as_of),
        lambda as_of: home.slices(interactions=True, as_of=as_of),
        lambda as_of: home.history("thumbs/en", as_of=as_of),
        lambda as_of: home.history("thumbs/en@1", as_of=as_of),
        lambda as_of: home.diff("thumbs/en@0", "thumbs/en", as_of=as_of),
        lambda as_of: _shown(home, "thumbs/en", as_of),
        lambda as_of: _shown(home, "thumbs/en@1", as_of),
        lambda as_of: home.loads(as_of=as_of),
        lambda as_of: home.loads("ranker@1", environment="prod", as_of=as_of),
        lambda as_of: home.pins(as_of=as_of),
        lambda as_of: home.pins("thumbs/en", as_of=as_of),
        lambda as_of: home.models(as_of=as_of),
        lambda as_of: home.aliases("ranker", as_of=as_of),
        lambda as_of: home.loads("ranker@1", as_of=as_of),
        lambda as_of: home.loads("ranker@champion", as_of=as_of),
        lambda as_of: home.models("ranker", as_of=as_of),
        lambda as_of: home.models("ranker@champion", as_of=as_of),
        lambda as_of: home.model("ranker@1", as_of=as_of),
        lambda as_of: home.model("ranker@3", as_of=as_of),
        lambda as_of: home.amendments(as_of=as_of),
        lambda as_of: home.amendments("ranker", as_of=as_of),
        lambda as_of: home.aliases("ranker", as_of=as_of),
        lambda as_of: home.trace("env:prod#1", as_of=as_of),
        lambda as_of: home.runs(as_of=as_of),
        lambda as_of: home.runs("ranker", limit=1, as_of=as_of),
        lambda as_of: home.run(first, as_of=as_of),
        lambda as_of: home.state_of(f"int:{answered}", as_of=as_of),
        lambda as_of: home.state_of("ext:zendesk:7", as_of=as_of),
        lambda as_of: home.state_of("ext:zendesk:8", as_of=as_of),
    ]
    told: list[tuple[datetime, list[Any]]] = []
    steps: list[Callable[[], object]] = [
        lambda: train(home, "thumbs/en@1"),
        lambda: home.alias("ranker@2", "champion"),
        lambda: home.deploy("ranker@2", to="prod"),
        lambda: home.pin("thumbs/en@1", reason="audit"),
        lambda: answer(home, external_id="zendesk:8"),
        lambda: home.load("ranker@1", environment="prod"),
        lambda: home.deploy("ranker@1", to="prod", share=0.5, mode="canary"),
        lambda: home.alias("ranker@1", "champion"),
        lambda: feed(home, first=2),
        lambda: home.deploy("ranker@1", to="prod", at=MORNING - timedelta(days=9)),
        lambda: train(home, "thumbs/en"),
        lambda: home.undeploy("env:prod#1"),
        lambda: home.amend("env:prod#1", reason="half of it", share=0.5),
        lambda: home.amend("env:prod#1", reason="only a trial", never=True),
        lambda: home.amend("ranker@champion", reason="a slip", version="ranker@2"),
        lambda: home.release(_pinned_by_hand(home), reason="the audit is over"),
    ]
    for step in steps:
        step()
        told.append((home.clock(), [_answer(ask, None) for ask in questions]))
    for then, answers in told:
        assert [_answer(ask, then) for ask in questions] == answers


def _shown(home: Home, ref: str, as_of: datetime | None) -> Any:
    shown = home.show(ref, as_of=as_of)
    return shown.at, shown.snapshot.digest, shown.contract, shown.pins, shown.rows


def _pinned_by_hand(home: Home) -> str:
    return next(pinned.pin_id for pinned in home.pins() if pinned.reason == "audit")


def _answer(ask: Question, as_of: datetime | None) -> Any:
    """What is told; of a refusal only its kind, for its hint may know more by now."""
    try:
        return ask(as_of)
    except backstory.NotFoundError:
        return backstory.NotFoundError


def test_a_back_filled_fact_was_not_known_before(home: Home) -> None:
    train(home)
    before = home.clock()
    home.deploy("ranker@1", to="prod", at=MORNING - timedelta(days=30))
    asked = MORNING - timedelta(days=1)
    assert [d.version for d in home.deployments("prod", at=asked)] == [1]
    assert home.deployments(at=asked, as_of=before) == []


def test_a_superseded_edge_leads_on_only_as_of_before(home: Home) -> None:
    feed(home)
    train(home, "thumbs/en@1")
    then = home.clock()
    with home.store.reader() as conn:
        edges = [row.id for row in conn.execute(tables.edge.select())]
        [read] = [row.id for row in conn.execute(tables.run_read.select())]
    with home.unit("test.end", "ranker@1") as unit:
        for number in edges:
            writes.end(unit, tables.edge, number)
        writes.end(unit, tables.run_read, read)
    assert home.trace("ranker@1").graph.edges == ()
    known = home.trace("ranker@1", as_of=then)
    assert len(known.graph.edges) == len(edges)
    assert sum(len(reads) for reads in known.reads.values()) == 1


@pytest.mark.parametrize(
    ("as_of", "message"),
    [
        (datetime(1999, 1, 1, tzinfo=UTC), "nothing was known at 1999"),
        (datetime(2999, 1, 1, tzinfo=UTC), "is in the future"),
        (datetime(2026, 1, 1), "has no time zone"),  # noqa: DTZ001 - naive on purpose
    ],
)
def test_times_that_cannot_be_asked_for(home: Home, as_of: datetime, message: str) -> None:
    for ask in (
        lambda: home.trace("ranker@1", as_of=as_of),
        lambda: home.deployments(as_of=as_of),
        lambda: home.slices(as_of=as_of),
        lambda: home.history("thumbs/en", as_of=as_of),
        lambda: home.state_of("int:019a8f3c", as_of=as_of),
        lambda: home.models("ranker", as_of=as_of),
    ):
        with pytest.raises(backstory.BackstoryError, match=message) as caught:
            ask()
        assert not backstory_error(caught).endswith("None")


def test_what_was_recorded_later_was_not_known(home: Home) -> None:
    then = home.clock()
    train(home)
    with pytest.raises(backstory.NotFoundError, match="is called 'ranker'"):
        home.trace("ranker@1", as_of=then)


def test_a_run_that_was_going_on_then_is_not_taken_for_a_lost_one(home: Home) -> None:
    with home.retraining("ranker", code=home.settings.spool):
        then = home.clock()
        [going] = home.runs()
    [known] = home.runs(as_of=then)
    assert known == going
    assert home.run(known.run_id, as_of=then).run == going


def test_a_time_that_was_ahead_then_is_refused_as_it_was(home: Home) -> None:
    feed(home)
    then = home.clock()
    later = (then + timedelta(days=1)).isoformat()
    for ask in (home.history, home.trace, home.impact):
        with pytest.raises(backstory.InvalidError, match="in the future"):
            ask(f"thumbs/en@{later}", as_of=then)


def test_what_came_later_is_not_found_as_of_before(home: Home) -> None:
    feed(home)
    then = home.clock()
    feed(home, first=2)
    train(home, "thumbs/en")
    answered = answer(home, external_id="zendesk:7")
    assert home.pins(as_of=then) == []
    assert home.runs(as_of=then) == []
    assert home.models(as_of=then) == []
    for ask in (
        lambda: home.show("thumbs/en@2", as_of=then),
        lambda: home.model("ranker@1", as_of=then),
        lambda: home.state_of(f"int:{answered}", as_of=then),
        lambda: home.state_of("ext:zendesk:7", as_of=then),
    ):
        with pytest.raises(backstory.NotFoundError):
            ask()
