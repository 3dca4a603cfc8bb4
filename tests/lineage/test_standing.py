from dataclasses import replace
from datetime import timedelta

import pytest

import backstory
from backstory.lineage.home import Home
from backstory.lineage.trigger import Schedule, Threshold
from backstory.lineage.trigger_settings import NamedTrigger
from tests.lineage.homes import feed, train

ENOUGH = NamedTrigger(name="enough", model="ranker", trigger=Threshold("thumbs/en", rows=8))
WEEKLY = NamedTrigger(
    name="weekly", model="ranker", trigger=Schedule("weekly", every=timedelta(days=7))
)
LOST = NamedTrigger(name="lost", model="bot", trigger=Threshold("clicks", rows=1))


@pytest.fixture
def told(home: Home) -> Home:
    """The home, with triggers in its settings."""
    return replace(home, settings=replace(home.settings, triggers=(ENOUGH, WEEKLY, LOST)))


def test_each_is_told_with_what_is_seen_now(told: Home) -> None:
    feed(told)
    enough, weekly, lost = told.triggers()
    assert (enough.value, enough.limit, enough.due) == (4, 8, False)
    assert enough.reason == "thumbs/en@1, +4 rows: at least 8 were asked for"
    assert (weekly.value, weekly.limit, weekly.due) == (None, 7 * 24 * 3600, True)
    assert [one.name for one in told.triggers_due()] == ["weekly"]
    feed(told, first=2)
    assert [one.name for one in told.triggers_due()] == ["enough", "weekly"]
    train(told, "thumbs/en")
    assert told.triggers_due() == []
    assert lost.due is None


def test_a_trigger_of_a_slice_that_is_not_there_hides_no_other(told: Home) -> None:
    *_, lost = told.triggers()
    assert (lost.value, lost.limit, lost.due) == (None, None, None)
    assert "clicks" in lost.reason


def test_those_of_one_model(told: Home) -> None:
    feed(told, 2)
    assert [one.name for one in told.triggers("bot")] == ["lost"]
    assert [one.name for one in told.triggers_due("ranker")] == ["enough", "weekly"]
    assert told.triggers_due("bot") == []
    assert told.triggers("other") == []


def test_a_run_begins_with_one_of_them_by_name(told: Home) -> None:
    feed(told)
    begun = told.retraining("ranker", trigger=told.trigger("ranker", "enough"))
    with pytest.raises(backstory.TriggerNotDue), begun:
        pytest.fail("the block is not entered")


def test_a_name_that_is_none_of_the_models(home: Home, told: Home) -> None:
    with pytest.raises(backstory.NotFoundError, match="is called 'often'") as caught:
        told.trigger("ranker", "often")
    assert caught.value.hint == "there is enough, weekly, lost"
    with pytest.raises(backstory.NotFoundError, match="is called 'enough'"):
        home.trigger("ranker", "enough")
    with pytest.raises(backstory.InvalidError, match="enough is of ranker, not of bot"):
        told.trigger("bot", "enough")
