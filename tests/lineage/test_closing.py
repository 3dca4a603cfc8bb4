"""A run that was lost is closed; what it tells of its own end later beats that."""

import json

import pytest

import backstory
from backstory.lineage.home import Home
from backstory.lineage.openlineage import receive
from tests.lineage.homes import lost_run


def test_a_lost_run_is_abandoned_and_can_be_closed(home: Home) -> None:
    run_id = lost_run(home)
    assert (home.runs()[0].state, home.runs()[0].ended) == ("abandoned", None)
    closed = home.close_run(run_id, reason="the machine is gone")
    assert closed.state == "abandoned"
    assert closed.ended is not None
    assert home.run(run_id).facets["backstory_abandoned"]["reason"] == "the machine is gone"
    for again in (home.close_run, home.resume):
        with pytest.raises(backstory.RefusedError, match="has ended"):
            again(run_id)


def test_a_late_end_beats_the_closing(home: Home) -> None:
    run_id = lost_run(home)
    began = json.loads(home.run(run_id).events[0])
    home.close_run(run_id)
    with home.unit("run.complete", f"run:{run_id}") as unit:
        receive.record_event(unit, {**began, "eventType": "COMPLETE"})
    assert home.run(run_id).run.state == "completed"


def test_a_run_that_is_run_is_not_closed(home: Home) -> None:
    with (
        home.retraining("ranker") as run,
        pytest.raises(backstory.RefusedError, match="is run by process"),
    ):
        home.close_run(run.run_id)
    assert home.run(run.run_id).run.state == "completed"


def test_what_is_no_run_is_not_closed(home: Home) -> None:
    with pytest.raises(backstory.NotFoundError):
        home.close_run("run:019a8f3c-5b1e-7abc-8def-0123456789ab")
