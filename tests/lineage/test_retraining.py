import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import backstory
from backstory.lake.profiles import PROFILES_FOLDER
from backstory.lineage.graph import EdgeKind
from backstory.lineage.home import Home
from backstory.lineage.metrics import MAX_METRICS, MAX_PARAMS
from backstory.lineage.store.runs import run_events
from tests.lake import foreign
from tests.lineage.homes import answer, feed, link, thumbs, train


def test_a_version_is_there_once_its_block_has_ended(home: Home) -> None:
    feed(home)
    artifact = home.settings.spool / "m"
    artifact.write_text("w")
    with home.retraining("ranker") as run:
        reading = run.read("thumbs/en", columns=["stars"], where="stars > 1", role="test")
        assert reading.rows == 2
        assert sorted(reading.arrow()["stars"].to_pylist()) == [2, 3]
        version = run.register(artifact, replay=["python", "p.py"])
        with pytest.raises(backstory.RefusedError, match="not recorded"):
            _ = version.ref
        assert home.models() == []
    assert version.ref == "ranker@1"
    summary = home.run(run.run_id)
    assert summary.run.state == "completed"
    [(read, snapshot)] = summary.reads
    assert (snapshot.ref, read.role, read.columns) == ("thumbs/en@1", "test", ["stars"])
    assert (read.filter, read.rows) == ("stars > 1", 2)
    assert [pin.holder for pin in home.pins()] == [f"run:{run.run_id}"]


def test_a_run_that_ends_tells_the_quality_of_what_it_read(home: Home) -> None:
    feed(home, 2)
    with home.retraining("ranker") as run:
        run.read("thumbs/en", where="stars > 1")
    facets = last_event(home, run.run_id)["inputs"][0]["inputFacets"]
    metrics = facets["dataQualityMetrics"]
    assert (metrics["rowCount"], metrics["fileCount"]) == (8, 2)
    stars = metrics["columnMetrics"]["stars"]
    assert (stars["nullCount"], stars["min"], stars["max"], stars["distinctCount"]) == (0, 0, 3, 4)
    assert [
        (one["assertion"], one["column"], one["success"])
        for one in facets["dataQualityAssertions"]["assertions"]
    ] == [("not_null", "event_id", True)]


def test_the_drift_that_started_a_run_is_asserted_of_its_input(home: Home) -> None:
    feed(home, 2)
    train(home, "thumbs/en")
    rows = [{**row, "stars": 9} for row in thumbs(3, 40)]
    home.slice("thumbs/en").append(rows, source="app", offset=3)
    moved = backstory.Drift("thumbs/en", metric="js", column="stars", limit=0.2)
    with home.retraining("ranker", trigger=moved) as run:
        run.read("thumbs/en")
    facets = last_event(home, run.run_id)["inputs"][0]["inputFacets"]
    told = facets["dataQualityAssertions"]["assertions"][-1]
    assert (told["assertion"], told["column"], told["success"]) == ("js", "stars", False)
    assert (told["expected"], float(told["actual"]) > 0.2) == ("0.2", True)


def test_what_has_no_profile_is_read_and_told_without_quality(home: Home) -> None:
    feed(home, 2)
    shutil.rmtree(home.lake.folder("thumbs/en") / PROFILES_FOLDER)
    with home.retraining("ranker") as run:
        run.read("thumbs/en")
    assert home.run(run.run_id).run.state == "completed"
    facets = last_event(home, run.run_id)["inputs"][0]["inputFacets"]
    assert not {"dataQualityMetrics", "dataQualityAssertions"} & facets.keys()


def last_event(home: Home, run_id: str) -> dict[str, Any]:
    with home.store.reader() as conn:
        event: dict[str, Any] = json.loads(run_events(conn, run_id)[-1])
    return event


def test_an_exception_fails_the_run_and_goes_on(home: Home) -> None:
    artifact = home.settings.spool / "m"
    artifact.write_text("w")

    def fail() -> None:
        with home.retraining("ranker") as run:
            run.register(artifact)
            raise ValueError("password=hunter2222 is wrong")

    with pytest.raises(ValueError, match="hunter2222"):
        fail()
    [run] = home.runs("ranker")
    assert run.state == "failed"
    assert run.message is not None
    assert run.message.startswith("ValueError: password=")
    assert "hunter2222" not in run.message
    assert home.models() == []


def test_an_interrupted_run_has_failed(home: Home) -> None:
    with pytest.raises(KeyboardInterrupt), home.retraining("ranker"):
        raise KeyboardInterrupt
    [run] = home.runs()
    assert (run.state, run.message) == ("failed", "KeyboardInterrupt: ")


def test_a_run_registers_one_version(home: Home, tmp_path: Path) -> None:
    (tmp_path / "m").write_text("w")
    with home.retraining("ranker") as run:
        with pytest.raises(backstory.NotFoundError, match="there is no file"):
            run.register(tmp_path / "absent")
        run.register(tmp_path / "m")
        with pytest.raises(backstory.RefusedError, match="one model version"):
            run.register(tmp_path / "m")
    assert len(home.models("ranker")) == 1


def test_nothing_is_done_outside_the_block(home: Home, tmp_path: Path) -> None:
    run = home.retraining("ranker")
    with pytest.raises(backstory.RefusedError, match="has not started"):
        run.read("thumbs/en")
    with pytest.raises(backstory.RefusedError, match="has not started"):
        run.register(tmp_path)
    assert home.runs() == []


def test_params_and_metrics_are_bounded(home: Home) -> None:
    with home.retraining("ranker") as run:
        run.log_params({"rate": 0.1, "api_key": "hunter2222"}, depth=3)
        run.log_metrics(ndcg=0.5)
        run.log_seed(7)
        with pytest.raises(backstory.InvalidError, match="parameters"):
            run.log_params({f"p{n}": n for n in range(MAX_PARAMS + 1)})
        with pytest.raises(backstory.InvalidError, match="metrics"):
            run.log_metrics({f"m{n}": 1.0 for n in range(MAX_METRICS + 1)})
    training = home.run(run.run_id).facets["backstory_training"]
    assert training["seed"] == 7
    assert training["metrics"] == {"ndcg": 0.5}
    assert training["params"]["rate"] == 0.1
    assert set(training["params"]) == {"rate", "api_key", "depth"}
    assert "hunter2222" not in repr(training)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "many", None])
def test_metrics_are_finite_numbers(home: Home, value: float) -> None:
    with home.retraining("ranker") as run, pytest.raises(backstory.InvalidError):
        run.log_metrics(ndcg=value)
    assert home.runs()[0].state == "completed"


def test_a_linked_table_is_watched_and_its_loss_is_said(home: Home, tmp_path: Path) -> None:
    theirs = link(home, tmp_path)
    train(home, "clicks")
    assert [pin.strength for pin in home.pins("clicks")] == ["watched"]
    assert home.verify("ranker@1").intact
    [lost] = theirs.glob("*.parquet")
    lost.unlink()
    assert lost.name in {Path(f.path).name for f in home.verify("ranker@1").findings}


def test_a_linked_table_that_hides_rows_is_read_as_a_copy(home: Home, tmp_path: Path) -> None:
    theirs = foreign.with_deletion_vector(tmp_path / "theirs")
    home.link_slice("clicks", str(theirs))
    with home.retraining("ranker", code=tmp_path) as run:
        assert run.read("clicks").arrow().num_rows == 8
    assert [pin.strength for pin in home.pins("clicks")] == ["copied"]
    shutil.rmtree(theirs)
    assert home.slice("clicks").at(1).rows == 8
    assert home.verify("clicks@1").intact


def test_components_are_immutable(home: Home, tmp_path: Path) -> None:
    for content in ("be kind", "be brief"):
        (tmp_path / "m").write_text(content)

        def compose() -> None:
            with home.retraining("ranker") as run:
                run.use_component("prompt", "greeting", "4", path=tmp_path / "m")
                run.register(tmp_path / "m")

        if content == "be kind":
            compose()
            continue
        with pytest.raises(backstory.RefusedError, match="other bytes"):
            compose()
    assert [run.state for run in home.runs()] == ["failed", "completed"]
    assert len(home.models("ranker")) == 1


def test_the_loop_share_is_counted(home: Home) -> None:
    train(home)
    given = answer(home)
    feed(home, answer=given)
    feed(home, first=2)
    train(home, "thumbs/en")
    trace = home.trace("ranker@2")
    [edge] = [e for e in trace.graph.edges if e.kind is EdgeKind.FEEDBACK_ON]
    assert (edge.rows, edge.share) == (4, 0.5)
