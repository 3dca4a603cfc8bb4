"""A run goes on in another process or task, and later events tell all that was known before."""

from pathlib import Path

import pytest

import backstory
from backstory.lineage.home import Home
from backstory.lineage.resuming import RUN_VARIABLE
from tests.lineage.homes import feed, train


def left_open(home: Home, folder: Path) -> str:
    """A run that its block has left, with something of everything."""
    with home.retraining("ranker", trigger=backstory.Manual("by hand"), code=folder) as run:
        run.read("thumbs/en", where="stars > 1", role="test")
        run.log_params(rate=0.1)
        run.log_metrics(loss=0.5)
        run.log_seed(7)
        run.leave()
    return run.run_id


def test_a_run_that_is_left_goes_on(home: Home, tmp_path: Path) -> None:
    feed(home)
    run_id = left_open(home, tmp_path)
    assert home.run(run_id).run.state == "running"
    (tmp_path / "m").write_text("w")
    with home.resume(run_id) as run:
        run.read("thumbs/en")
        run.log_metrics(ndcg=0.4)
        version = run.register(tmp_path / "m")
    found = home.run(run_id)
    assert (found.run.state, version.ref) == ("completed", "ranker@1")
    assert [(read.role, read.filter, read.rows) for read, _ in found.reads] == [
        ("test", "stars > 1", 2),
        ("train", None, 4),
    ]
    training = found.facets["backstory_training"]
    assert training["params"] == {"rate": 0.1}
    assert training["metrics"] == {"loss": 0.5, "ndcg": 0.4}
    assert training["seed"] == 7
    assert training["environment"]["python"]
    assert found.facets["backstory_trigger"]["reason"] == "by hand"


def test_the_last_event_tells_the_inputs_of_the_first_process(home: Home, tmp_path: Path) -> None:
    feed(home)
    run_id = left_open(home, tmp_path)
    with home.resume(f"run:{run_id}"):
        pass
    assert '"digest"' in home.run(run_id).events[-1]
    assert '"filter":"stars > 1"' in home.run(run_id).events[-1]


def test_an_ended_run_is_not_taken_up(home: Home) -> None:
    train(home)
    [run] = home.runs()
    with pytest.raises(backstory.RefusedError, match="completed"):
        home.resume(run.run_id)


def test_an_unknown_run_is_not_taken_up(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RUN_VARIABLE, raising=False)
    with pytest.raises(backstory.NotFoundError):
        home.resume("019a8f3c-5b1e-7abc-8def-0123456789ab")
    with pytest.raises(backstory.InvalidError, match="no run is named"):
        home.resume()


def test_a_failure_in_a_resumed_run_fails_it(home: Home, tmp_path: Path) -> None:
    feed(home)
    run_id = left_open(home, tmp_path)
    with pytest.raises(ValueError, match="no"), home.resume(run_id):
        raise ValueError("no")
    assert home.run(run_id).run.state == "failed"


def test_the_run_of_the_environment_is_left_to_who_set_it(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed(home)
    run_id = left_open(home, tmp_path)
    monkeypatch.setenv(RUN_VARIABLE, run_id)
    (tmp_path / "m").write_text("w")
    with home.resume() as run:
        run.log_metrics(ndcg=0.4)
        with pytest.raises(backstory.RefusedError, match="another process"):
            run.register(tmp_path / "m")
    found = home.run(run_id)
    assert found.run.state == "running"
    assert found.facets["backstory_training"]["metrics"] == {"loss": 0.5, "ndcg": 0.4}


def test_what_registers_a_version_is_not_left(home: Home, tmp_path: Path) -> None:
    (tmp_path / "m").write_text("w")
    with home.retraining("ranker", code=tmp_path) as run:
        run.register(tmp_path / "m")
        with pytest.raises(backstory.RefusedError, match="only its end records"):
            run.leave()
