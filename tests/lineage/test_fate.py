"""The state behind an answer says what became of the run that made its version."""

import json
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from backstory.lineage.home import Home
from backstory.lineage.openlineage import receive
from backstory.lineage.state import ModelState, Section
from tests.lineage.homes import answer, feed, lost_run, train


def state_behind(home: Home, version: str = "ranker@1") -> ModelState:
    return home.state_of(f"int:{answer(home, version)}")


def tell(home: Home, event_type: str, message: str | None = None) -> None:
    """One more event of the newest run, later than all others."""
    run = home.run(home.runs()[0].run_id)
    last = json.loads(run.events[-1])
    facets = last["run"]["facets"]
    if message is not None:
        facets = facets | {"errorMessage": {"message": message, "programmingLanguage": "python"}}
    told = {
        **last,
        "eventType": event_type,
        "eventTime": (home.clock() + timedelta(seconds=1)).isoformat(),
        "run": {**last["run"], "facets": facets},
    }
    with home.unit("test.tell", f"run:{run.run.run_id}") as unit:
        receive.record_event(unit, told)


def test_a_run_that_went_well_needs_no_remark(home: Home) -> None:
    feed(home)
    train(home, "thumbs/en")
    assert state_behind(home).remarks == ()


@pytest.mark.parametrize(
    ("event_type", "message", "said"),
    [
        ("FAIL", "the evaluation was wrong", "failed at 2026"),
        ("ABORT", None, "was aborted at 2026"),
    ],
)
def test_what_is_told_of_a_run_later_is_said(
    home: Home, event_type: str, message: str | None, said: str
) -> None:
    feed(home)
    train(home, "thumbs/en")
    before = state_behind(home)
    then = home.clock()
    tell(home, event_type, message)
    state = state_behind(home)
    [remark] = state.remarks
    assert remark.startswith(f"run:{home.runs()[0].run_id}, which made ranker@1, {said}")
    assert (message or "") in remark
    assert state.digest == before.digest
    asked = f"int:{before.interaction.id}"
    assert home.state_of(asked, as_of=then).remarks == ()
    assert home.state_of(asked).remarks == state.remarks


def rescued(home: Home, run: str) -> ModelState:
    """The state behind an answer of a version that was saved from a run by hand."""
    home.add_version("ranker@1", artifact="s3://models/1", run=run)
    return state_behind(home)


@pytest.mark.parametrize("kind", ["", "run:"])
def test_a_version_saved_from_a_lost_run_says_so(home: Home, kind: str) -> None:
    run_id = lost_run(home)
    [remark] = rescued(home, kind + run_id).remarks
    assert remark == f"run:{run_id}, which made ranker@1, was abandoned: its processes were lost"
    home.close_run(run_id)
    [closed] = state_behind(home).remarks
    assert ", was abandoned at 2026" in closed


def test_a_version_saved_from_a_failed_run_says_why(home: Home) -> None:
    feed(home)
    with suppress(ZeroDivisionError), home.retraining("ranker") as run:
        run.read("thumbs/en")
        run.log_metrics(loss=1 / 0)
    [remark] = rescued(home, run.run_id).remarks
    assert remark.endswith("ZeroDivisionError: division by zero")


def test_a_version_of_a_run_that_goes_on_says_so(home: Home) -> None:
    feed(home)
    with home.retraining("ranker") as run:
        run.read("thumbs/en")
        [remark] = rescued(home, run.run_id).remarks
    assert remark.endswith("has not ended")
    assert state_behind(home).remarks == ()


def test_a_run_of_another_system_is_not_judged(home: Home) -> None:
    state = rescued(home, "mlflow-77")
    assert state.remarks == ()
    [training] = [part for part in state.parts if part.section is Section.TRAINING]
    assert training.problem.startswith("training not recorded before 2026")


def test_what_a_command_read_beside_its_inputs_is_said(home: Home, tmp_path: Path) -> None:
    script = f"echo weights > {tmp_path / 'model.bin'}"
    home.run_command("ranker", ["sh", "-c", script], artifact=tmp_path / "model.bin")
    [remark] = state_behind(home).remarks
    assert remark.endswith("what the command read beside its inputs was not captured")
