from datetime import timedelta

import pytest

import backstory
from backstory.lineage.home import Home
from tests.lineage.homes import feed, thumbs, train


def test_a_threshold_counts_rows_since_the_last_success(home: Home) -> None:
    feed(home, 2)
    trigger = backstory.Threshold("thumbs/en", rows=8)
    with home.retraining("ranker", trigger=trigger) as run:
        run.read("thumbs/en")
    feed(home, first=3)
    with (
        pytest.raises(backstory.TriggerNotDue) as caught,
        home.retraining("ranker", trigger=trigger),
    ):
        pytest.fail("the block is not entered")
    assert str(caught.value.evaluated.range) == "thumbs/en@3, +4 rows"
    assert len(home.runs()) == 1
    feed(home, first=4)
    with home.retraining("ranker", trigger=trigger) as run:
        run.read("thumbs/en")
    recorded = home.run(run.run_id).run.trigger
    assert recorded is not None
    assert recorded["range"] == {"slice": "thumbs/en", "first": 3, "last": 4, "rows": 8}


def test_a_schedule_looks_at_the_last_success(home: Home) -> None:
    daily = backstory.Schedule("daily", every=timedelta(days=1))
    with home.retraining("ranker", trigger=daily):
        pass
    with (
        pytest.raises(backstory.TriggerNotDue, match="daily: last success"),
        home.retraining("ranker", trigger=daily),
    ):
        pytest.fail("the block is not entered")


def test_a_trigger_names_a_slice_that_exists(home: Home) -> None:
    train(home)
    for name in ("thumbs/en", "ranker"):
        trigger = backstory.Threshold(name, rows=1)
        with pytest.raises(backstory.BackstoryError), home.retraining("other", trigger=trigger):
            pytest.fail("the block is not entered")


def test_a_drift_is_due_by_what_was_measured(home: Home) -> None:
    feed(home)
    near, far = (
        backstory.Drift("thumbs/en", metric="psi", limit=0.2, measured=value)
        for value in (0.1, 0.31)
    )
    assert not home.due("ranker", near).due
    with home.retraining("ranker", trigger=far) as begun:
        begun.log_seed(7)
    (run,) = home.runs("ranker")
    assert run.trigger
    assert (run.trigger["value"], run.trigger["limit"]) == (0.31, 0.2)
    assert run.trigger["reason"] == "psi of thumbs/en is 0.31, beyond its limit 0.2"


def test_a_drift_that_nobody_measured_is_refused(home: Home) -> None:
    feed(home)
    drift = backstory.Drift("thumbs/en", metric="wer", limit=0.2)
    with (
        pytest.raises(backstory.InvalidError, match="wer was not measured"),
        home.retraining("ranker", trigger=drift),
    ):
        pytest.fail("the block is not entered")


def test_a_drift_of_psi_is_measured_against_what_the_last_run_read(home: Home) -> None:
    feed(home, 3)
    trigger = backstory.Drift("thumbs/en", metric="js", column="stars", limit=0.2)
    found = home.due("ranker", trigger)
    assert (found.due, found.value) == (False, None)
    assert found.reason == "js of thumbs/en: no successful run has read it yet"
    train(home, "thumbs/en")
    assert home.due("ranker", trigger).reason == "js of thumbs/en: there are no new rows"
    feed(home, first=4)
    assert home.due("ranker", trigger).value == 0
    home.slice("thumbs/en").append(
        [{**row, "stars": 9} for row in thumbs(5, 40)], source="app", offset=5
    )
    found = home.due("ranker", trigger)
    assert found.due
    assert str(found.range) == "thumbs/en@4..5, +44 rows"
    assert found.reason.startswith("js of stars in thumbs/en is 0.")
    assert found.reason.endswith(", beyond its limit 0.2")
    with home.retraining("ranker", trigger=trigger) as run:
        run.read("thumbs/en")
    recorded = home.run(run.run_id).run.trigger
    assert recorded is not None
    assert recorded["condition"] == {
        "slice": "thumbs/en",
        "metric": "js",
        "limit": 0.2,
        "column": "stars",
    }
    assert recorded["range"]["rows"] == 44


def test_a_drift_without_a_column_looks_at_the_one_that_moved_most(home: Home) -> None:
    feed(home, 3)
    train(home, "thumbs/en")
    home.slice("thumbs/en").append(
        [{**row, "stars": 9} for row in thumbs(5, 40)], source="web", offset=5
    )
    found = home.due("ranker", backstory.Drift("thumbs/en", metric="psi", limit=0.2))
    assert found.due
    assert "psi of stars in" in found.reason or "psi of _source in" in found.reason


def test_a_drift_of_a_column_that_cannot_be_compared_is_refused(home: Home) -> None:
    feed(home)
    train(home, "thumbs/en")
    feed(home, first=2)
    for column in ("event_id", "at", "nothing"):
        trigger = backstory.Drift("thumbs/en", metric="psi", column=column, limit=0.2)
        with pytest.raises(backstory.InvalidError, match="can be compared by"):
            home.due("ranker", trigger)


def test_a_decay_is_measured_over_the_rows_since_the_last_run(home: Home) -> None:
    trigger = backstory.Decay("thumbs/en", column="stars", value="0", limit=0.3)
    feed(home)
    assert home.due("ranker", trigger).value == 0.25
    train(home, "thumbs/en")
    assert home.due("ranker", trigger).reason == "stars in thumbs/en: there are no new rows"
    rows = [{**row, "stars": None if at == 0 else at % 2} for at, row in enumerate(thumbs(5, 9))]
    home.slice("thumbs/en").append(rows, source="app", offset=5)
    found = home.due("ranker", trigger)
    assert (found.due, found.value, found.limit) == (True, 0.5, 0.3)
    assert found.reason == ("50.0% of stars in thumbs/en@2, +9 rows is 0, beyond its limit 30.0%")
    with home.retraining("ranker", trigger=trigger) as run:
        run.read("thumbs/en")
    recorded = home.run(run.run_id).run.trigger
    assert recorded
    stored = {"slice": "thumbs/en", "column": "stars", "value": "0", "limit": 0.3}
    assert recorded["condition"] == stored
    home.slice("thumbs/en").append(
        [{**row, "stars": None} for row in thumbs(6)], source="app", offset=6
    )
    assert home.due("ranker", trigger).reason.endswith(": there are no new values")


@pytest.mark.parametrize("column", ["at", "nothing"])
def test_a_decay_of_a_column_that_is_not_counted_is_refused(home: Home, column: str) -> None:
    feed(home)
    trigger = backstory.Decay("thumbs/en", column=column, value="1", limit=0.2)
    with pytest.raises(backstory.InvalidError, match="are not counted") as caught:
        home.due("ranker", trigger)
    assert caught.value.hint
