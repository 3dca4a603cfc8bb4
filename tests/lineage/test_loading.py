import hashlib
import logging
import os
import socket
from pathlib import Path

import pytest

import backstory
from backstory.lineage.home import Home
from tests.lineage.homes import answer, backstory_error, train


def train_folder(home: Home, folder: Path) -> str:
    """A version whose artifact is a folder."""
    (folder / "vocabulary").mkdir(parents=True)
    (folder / "vocabulary" / "words.txt").write_text("a b c")
    (folder / "run.sh").write_text("echo")
    (folder / "run.sh").chmod(0o755)
    with home.retraining("ranker", code=home.settings.spool) as run:
        version = run.register(folder)
    return version.ref


def test_a_load_is_recorded_with_who_when_and_what(home: Home) -> None:
    train(home)
    home.alias("ranker@1", "champion")
    path = home.load("ranker@champion", environment="prod")
    assert path.read_text() == "weights"
    [load] = home.loads("ranker@1")
    assert (load.ref, load.asked, load.environment) == ("ranker@1", "ranker@champion", "prod")
    assert (load.host, load.process) == (socket.gethostname(), str(os.getpid()))
    assert load.digest == hashlib.sha256(b"weights").hexdigest()
    assert home.verify().intact


def test_a_folder_is_laid_out_once_as_it_was(home: Home, tmp_path: Path) -> None:
    ref = train_folder(home, tmp_path / "model")
    path = home.load(ref)
    assert (path / "vocabulary" / "words.txt").read_text() == "a b c"
    assert os.access(path / "run.sh", os.X_OK)
    assert home.load(ref) == path
    assert [version.ref for version in home.version_of(path)] == [ref]
    assert home.verify().intact


def test_a_folder_that_was_written_to_is_noticed(home: Home, tmp_path: Path) -> None:
    path = home.load(train_folder(home, tmp_path / "model"))
    (path / "more").write_text("x")
    with pytest.raises(backstory.IntegrityError, match=str(path)) as caught:
        home.load("ranker@1")
    assert "delete that folder" in caught.value.hint
    assert len(home.loads("ranker@1")) == 1


@pytest.mark.parametrize("folder", [True, False])
def test_a_copy_goes_into_an_empty_or_absent_folder(
    home: Home, tmp_path: Path, *, folder: bool
) -> None:
    ref = train_folder(home, tmp_path / "model") if folder else train(home)
    empty = tmp_path / "empty"
    empty.mkdir()
    for to in (tmp_path / "a" / "b", empty):
        path = home.load(ref, to=to)
        assert path == (to if folder else to / "model.bin")
        assert [version.ref for version in home.version_of(path)] == [ref]
        with pytest.raises(backstory.ConflictError, match="exists already"):
            home.load(ref, to=to)
    assert len(home.loads(ref)) == 2


def test_damaged_bytes_are_not_handed_out(home: Home) -> None:
    train(home)
    path = home.load("ranker@1")
    path.write_text("wrights")
    with pytest.raises(backstory.IntegrityError, match=path.name):
        home.load("ranker@1")
    path.unlink()
    with pytest.raises(backstory.NotFoundError):
        home.load("ranker@1")


def test_a_version_is_known_by_its_bytes(home: Home, tmp_path: Path) -> None:
    train(home), train(home, content="others"), train(home)
    copy = tmp_path / "somewhere.else"
    copy.write_text("weights")
    assert [version.ref for version in home.version_of(copy)] == ["ranker@3", "ranker@1"]
    assert not home.loads("ranker@3")
    copy.write_text("unknown")
    with pytest.raises(backstory.NotFoundError, match="no model version has the bytes") as caught:
        home.version_of(copy)
    assert "models --json" in caught.value.hint
    with pytest.raises(backstory.NotFoundError, match="no file"):
        home.version_of(tmp_path / "absent")


def test_a_load_elsewhere_is_of_the_version_that_is_declared(home: Home, tmp_path: Path) -> None:
    train(home), train(home)
    home.deploy("ranker@1", to="prod")
    copy = tmp_path / "model.bin"
    copy.write_text("weights")
    home.version_of(copy, loaded=True, environment="prod")
    [load] = home.loads("ranker@1")
    assert load.asked == str(copy)
    home.version_of(copy, loaded=True)
    assert len(home.loads("ranker@2")) == 1
    with pytest.raises(backstory.InvalidError, match="with a load only"):
        home.version_of(copy, environment="prod")


def test_a_disagreement_is_said_and_refuses_nothing(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    train(home), train(home, content="others")
    home.deploy("ranker@2", to="prod")
    with caplog.at_level(logging.WARNING, logger="backstory"):
        assert home.load("ranker@2", environment="prod").read_text() == "others"
        assert not caplog.records
        assert home.load("ranker@1", environment="prod").read_text() == "weights"
    host = socket.gethostname()
    assert f"prod: declared ranker@2, host {host} loaded ranker@1" in caplog.text
    home.load("ranker@1", environment="lab")
    assert "lab: declared nothing" in caplog.text


def test_deployments_show_what_was_observed(home: Home) -> None:
    train(home), train(home, content="others")
    home.deploy("ranker@1", to="prod")
    [served] = home.deployments("prod")
    assert (served.loads, served.disagreements) == ((), ())
    home.load("ranker@1", environment="prod")
    [served] = home.deployments("prod")
    assert [load.ref for load in served.loads] == ["ranker@1"]
    assert not served.disagreements
    before = served.loads[0].at
    home.load("ranker@2", environment="prod")
    [served] = home.deployments("prod")
    assert not served.loads
    [said] = served.disagreements
    assert "prod: declared ranker@1, host" in said
    assert "loaded ranker@2 at" in said
    [then] = home.deployments("prod", at=before)
    assert ([load.ref for load in then.loads], then.disagreements) == (["ranker@1"], ())


def test_the_same_bytes_under_another_name_agree(home: Home) -> None:
    train(home), train(home)
    home.deploy("ranker@2", to="prod")
    home.load("ranker@1", environment="prod")
    [served] = home.deployments("prod")
    assert [load.ref for load in served.loads] == ["ranker@1"]
    assert not served.disagreements


def test_what_no_longer_serves_shows_no_loads(home: Home) -> None:
    train(home), train(home, content="others")
    home.deploy("ranker@1", to="prod")
    home.load("ranker@1", environment="prod")
    home.deploy("ranker@2", to="prod")
    ended, serving = home.deployments("prod")
    assert (ended.loads, ended.disagreements) == ((), ())
    assert "declared ranker@2" in serving.disagreements[0]


def load_on(host: str, home: Home, ref: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    home.load(ref, environment="prod")


def test_a_canary_is_no_disagreement(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    train(home), train(home, content="others"), train(home, content="third")
    home.deploy("ranker@1", to="prod")
    home.deploy("ranker@2", to="prod", mode="canary", share=0.5)
    load_on("a", home, "ranker@1", monkeypatch)
    load_on("b", home, "ranker@2", monkeypatch)
    *_, live, canary = home.deployments("prod", at=home.clock())
    assert [load.host for load in live.loads] == ["a"]
    assert [load.host for load in canary.loads] == ["b"]
    assert not live.disagreements
    load_on("c", home, "ranker@3", monkeypatch)
    live = home.deployments("prod", at=home.clock())[0]
    assert len(live.disagreements) == 1
    assert "declared ranker@1 and ranker@2, host c loaded ranker@3" in live.disagreements[0]


def test_a_state_names_what_was_loaded(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    train(home), train(home, content="others")
    home.deploy("ranker@1", to="prod")
    early = answer(home, environment="prod")
    digest = home.state_of(f"int:{early}").digest
    load_on("a", home, "ranker@1", monkeypatch)
    agreed = home.state_of(f"int:{answer(home, environment='prod')}")
    assert [(load.host, load.ref) for load in agreed.loads] == [("a", "ranker@1")]
    assert not agreed.disagreements
    assert agreed.digest == digest
    load_on("b", home, "ranker@2", monkeypatch)
    [said] = home.state_of(f"int:{answer(home, environment='prod')}").disagreements
    assert "declared ranker@1, host b loaded ranker@2" in said
    load_on("a", home, "ranker@2", monkeypatch)
    state = home.state_of(f"int:{answer(home, environment='prod')}")
    [said] = state.disagreements
    assert said.startswith("prod: ranker@1 is said to have answered, and the hosts had loaded: a ")
    assert state.digest == digest
    assert not home.state_of(f"int:{early}").loads


def test_loads_come_in_pages(home: Home) -> None:
    train(home)
    for _ in range(3):
        home.load("ranker@1")
    newest, *_ = page = home.loads("ranker@1", limit=2)
    assert len(page) == 2
    assert newest.id > page[1].id
    assert len(home.loads("ranker@1", before=page[1].id)) == 1
    with pytest.raises(backstory.LimitExceededError):
        home.loads("ranker@1", limit=0)


def test_loads_are_listed_beside_what_was_declared_then(home: Home) -> None:
    train(home), train(home, content="other"), train(home, content="other", model="reader")
    home.load("ranker@1", environment="prod")
    home.deploy("ranker@1", to="prod")
    home.load("ranker@1", environment="prod")
    home.deploy("ranker@2", to="prod")
    home.load("ranker@1", environment="prod")
    home.load("ranker@1", environment="test")
    home.load("reader@1")
    told = [(load.ref, load.environment, load.agrees) for load in home.loads()]
    assert told == [
        ("reader@1", None, None),
        ("ranker@1", "test", False),
        ("ranker@1", "prod", False),
        ("ranker@1", "prod", True),
        ("ranker@1", "prod", False),
    ]
    assert [load.ref for load in home.loads("reader")] == ["reader@1"]
    assert len(home.loads("ranker", environment="prod")) == 3
    assert home.loads("ranker@2") == home.loads("reader", environment="prod") == []
    with pytest.raises(backstory.InvalidError, match="is not a model"):
        home.loads("env:prod")


def test_what_was_declared_afterwards_counts_from_then_on(home: Home) -> None:
    train(home)
    home.load("ranker@1", environment="prod")
    [before] = home.loads()
    home.deploy("ranker@1", to="prod", at=before.at)
    then = home.clock()
    home.load("ranker@1")
    assert not before.agrees
    assert [load.agrees for load in home.loads()] == [None, True]
    assert [load.agrees for load in home.loads(as_of=then)] == [True]
    assert home.loads(as_of=before.at) == [before]


@pytest.mark.parametrize(
    ("ref", "environment", "message"),
    [
        ("ranker", None, "not a version"),
        ("ranker@9", None, "no version 9"),
        ("ranker@1", "Prod!", "name"),
    ],
)
def test_wrong_loads(home: Home, ref: str, environment: str | None, message: str) -> None:
    train(home)
    with pytest.raises(backstory.BackstoryError, match=message) as caught:
        home.load(ref, environment=environment)
    assert backstory_error(caught)
    assert not home.loads("ranker@1")
