"""`backstory run`: real commands, which end well, fail, are told to stop or are lost."""

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import backstory
from backstory.lake.process import Process, all_gone
from backstory.lineage.commanding import MAX_COMPONENTS
from backstory.lineage.home import Home
from backstory.lineage.store.engine import describe
from backstory.lineage.store.runs import processes_of
from tests.cli.running import PROGRAM, Ran, environment, process
from tests.lineage.homes import feed

SHELL = """
cp "$BACKSTORY_INPUTS" inputs.json
env | grep -E '^(BACKSTORY_|OPENLINEAGE_)' > env.txt
echo '{"ndcg": 0.4}' > metrics.json
echo weights > model.bin
echo trained
"""
CHILD = """
import backstory
with backstory.open() as home, home.resume() as run:
    run.log_metrics(loss=0.5)
    run.log_params(depth=3)
    run.read("thumbs/en", role="test", where="stars > 1")
open("model.bin", "w").write("weights")
"""
WAITING = "echo started; exec sleep 60"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with backstory.init(tmp_path / ".backstory") as opened:
        feed(opened)
        yield opened


def train(folder: Path, *command: str, options: tuple[str, ...] = ()) -> Ran:
    given = ("--model", "ranker", "--input", "thumbs/en", "--artifact", "model.bin", *options)
    return process("run", *given, "--", *command, folder=folder)


@contextmanager
def begun(folder: Path, *command: str) -> Iterator["subprocess.Popen[str]"]:
    """A run that has begun: its command has said so."""
    given = ["run", "--model", "ranker", "--artifact", "model.bin", "--", *command]
    with subprocess.Popen(
        [*PROGRAM, *given], cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "started\n"
        yield running


@contextmanager
def ended_output() -> Iterator[list[str]]:
    """What was written to this process's output, until no child of it can write any more."""
    said: list[str] = []
    reading, writing = os.pipe()
    before = os.dup(1)
    os.dup2(writing, 1)
    os.close(writing)
    try:
        yield said
    finally:
        os.dup2(before, 1)
        os.close(before)
        with os.fdopen(reading) as output:
            said.append(output.read())


def only_run(home: Home) -> Any:
    [run] = home.runs("ranker")
    return home.run(run.run_id)


def processes(home: Home) -> Sequence[Process]:
    run = only_run(home).run
    with home.store.reader() as conn:
        return processes_of(conn, [run.id])[run.id]


def test_a_script_trains_a_version(home: Home, tmp_path: Path) -> None:
    ran = train(
        tmp_path,
        *("sh", "-c", SHELL),
        options=(
            *("--where", "thumbs/en=stars > 1"),
            *("--metrics", "metrics.json", "--param", "rate=0.1"),
        ),
    )
    assert (ran.code, ran.out.splitlines()[0]) == (0, "trained"), ran.err
    found = only_run(home)
    assert [version.ref for version in found.versions] == ["ranker@1"]
    [(read, snapshot)] = found.reads
    assert (snapshot.ref, read.role, read.filter, read.rows) == (
        "thumbs/en@1",
        "train",
        "stars > 1",
        2,
    )
    training = found.facets["backstory_training"]
    assert (training["params"], training["metrics"]) == ({"rate": 0.1}, {"ndcg": 0.4})
    assert training["code"]["command"][:2] == ["sh", "-c"]
    assert found.facets["backstory_command"]["exitCode"] == 0
    unseen = "what the command read beside its inputs"
    assert found.run.not_captured == unseen
    assert process("runs", folder=tmp_path).rows[0][-1] == unseen
    assert process("runs", "--json", folder=tmp_path).data[0]["notCaptured"] == unseen
    assert f"not captured: {unseen}" in process("trace", "ranker@1", folder=tmp_path).out


def test_a_version_is_composed_with_what_is_named(home: Home, tmp_path: Path) -> None:
    (tmp_path / "hello.txt").write_text("Hello")
    told = ("--component", "prompt:greeting@4=hello.txt", "--component", "base_model:bert@2")
    ran = train(tmp_path, "sh", "-c", "echo Bye > hello.txt; " + SHELL, options=told)
    assert ran.code == 0, ran.err
    bert, greeting = home.model("ranker@1").components
    assert (bert.kind, bert.name, bert.version, bert.digest) == ("base_model", "bert", "2", None)
    assert (greeting.kind, greeting.name, greeting.version) == ("prompt", "greeting", "4")
    assert greeting.digest == hashlib.sha256(b"Hello").hexdigest()
    assert home.verify().intact
    assert home.lake.blobs.has(greeting.digest)
    traced = process("trace", "ranker@1", folder=tmp_path).out
    assert "component:prompt:greeting@4" in traced


def test_a_component_with_other_bytes_is_refused_before_the_training(
    home: Home, tmp_path: Path
) -> None:
    (tmp_path / "hello.txt").write_text("Hello")
    told = ("--component", "prompt:greeting@4=hello.txt")
    assert train(tmp_path, "sh", "-c", SHELL, options=told).code == 0
    (tmp_path / "hello.txt").write_text("Hi")
    refused = train(tmp_path, "sh", "-c", f"touch trained; {SHELL}", options=told)
    assert "component:prompt:greeting@4 was recorded with other bytes" in refused.err
    assert not (tmp_path / "trained").exists()
    assert [version.ref for version in home.models("ranker")] == ["ranker@1"]


@pytest.mark.parametrize(
    ("component", "said"),
    [
        ("prompt:greeting@4=nowhere.txt", "nowhere.txt is not there"),
        ("greeting@4", "'greeting@4' is no component"),
    ],
)
def test_a_wrong_component_leaves_no_run(
    home: Home, tmp_path: Path, component: str, said: str
) -> None:
    ran = train(tmp_path, "sh", "-c", SHELL, options=("--component", component))
    assert ran.code != 0
    assert said in ran.err
    assert "hint: " in ran.err
    assert home.runs() == []


def test_too_many_components_are_refused(home: Home, tmp_path: Path) -> None:
    one = ["--component", "prompt:greeting@4"]
    ran = train(tmp_path, "sh", "-c", SHELL, options=(*(one * (MAX_COMPONENTS + 1)),))
    assert f"{MAX_COMPONENTS + 1} components are more than {MAX_COMPONENTS}" in ran.err
    assert home.runs() == []


def test_a_command_is_told_its_files_and_its_run(home: Home, tmp_path: Path) -> None:
    assert train(tmp_path, "sh", "-c", SHELL).code == 0
    found = only_run(home)
    told = json.loads((tmp_path / "inputs.json").read_text())
    assert (told["v"], told["run"], told["model"]) == (1, found.run.run_id, "ranker")
    [given] = told["inputs"]
    snapshot = home.slice("thumbs/en").at(1)
    assert (given["slice"], given["version"], given["digest"]) == ("thumbs/en", 1, snapshot.digest)
    assert (given["role"], given["where"], given["rows"]) == ("train", None, 4)
    assert given["schema"][0] == {"name": "event_id", "type": "string", "nullable": False}
    [file] = given["files"]
    assert Path(file["path"]).stat().st_size == file["bytes"]
    assert file["sha256"] in file["path"]
    variables = dict(line.split("=", 1) for line in (tmp_path / "env.txt").read_text().splitlines())
    assert variables["BACKSTORY_RUN_ID"] == found.run.run_id
    assert variables["BACKSTORY_HOME"] == str(tmp_path / ".backstory")
    parent = f"backstory/retrain.ranker/{found.run.run_id}"
    assert variables["OPENLINEAGE_PARENT_ID"] == parent
    assert variables["OPENLINEAGE_ROOT_PARENT_ID"] == parent
    assert not Path(variables["BACKSTORY_INPUTS"]).exists()


def test_a_python_command_records_in_the_same_run(home: Home, tmp_path: Path) -> None:
    ran = train(tmp_path, sys.executable, "-c", CHILD, options=("--param", "rate=0.1"))
    assert ran.code == 0, ran.err
    found = only_run(home)
    training = found.facets["backstory_training"]
    assert training["params"] == {"rate": 0.1, "depth": 3}
    assert training["metrics"] == {"loss": 0.5}
    assert [(read.role, read.rows) for read, _ in found.reads] == [("train", 4), ("test", 2)]
    assert found.run.state == "completed"


def test_a_failing_command_fails_the_run_with_its_code(home: Home, tmp_path: Path) -> None:
    ran = train(tmp_path, "sh", "-c", "echo weights > model.bin; exit 7")
    assert (ran.code, home.models()) == (7, [])
    assert "exit code 7" in ran.err
    found = only_run(home)
    assert (found.run.state, found.facets["backstory_command"]["exitCode"]) == ("failed", 7)


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("echo {} > metrics.json", 3, "model.bin"),
        ("echo weights > model.bin", 3, "left no metrics"),
        ("echo weights > model.bin; echo no > metrics.json", 2, "metrics.json"),
        ('echo weights > model.bin; echo \'{"a": "b"}\' > metrics.json', 2, "not a number"),
    ],
)
def test_what_the_command_must_leave_is_asked_for(
    home: Home, tmp_path: Path, script: str, code: int, said: str
) -> None:
    ran = train(tmp_path, "sh", "-c", script, options=("--metrics", "metrics.json"))
    assert ran.code == code, ran.err
    assert said in ran.err.splitlines()[0]
    assert only_run(home).run.state == "failed"
    assert home.models() == []


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("true", "model.bin is as it was before"),
        ("touch -r model.bin old; cp -p model.bin new", "model.bin is as it was before"),
        ("echo weights > model.bin", "metrics.json is as it was before"),
    ],
)
def test_what_was_there_before_is_not_what_the_command_left(
    home: Home, tmp_path: Path, script: str, said: str
) -> None:
    (tmp_path / "model.bin").write_text("weights\n")
    (tmp_path / "metrics.json").write_text("{}")
    options = ("--metrics", "metrics.json") if "metrics" in said else ()
    ran = train(tmp_path, "sh", "-c", script, options=options)
    assert ran.code == 3, ran.err
    assert said in ran.err.splitlines()[0]
    assert (only_run(home).run.state, home.models()) == ("failed", [])


def test_no_program_and_no_input_are_said(home: Home, tmp_path: Path) -> None:
    assert train(tmp_path, "no-such-program").code == 3
    assert only_run(home).run.state == "failed"
    ran = process(
        *("run", "--model", "other", "--input", "thumb/en", "--artifact", "m", "--", "true"),
        folder=tmp_path,
    )
    assert (ran.code, len(home.runs())) == (3, 1)


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_reaches_the_command(home: Home, tmp_path: Path, told: signal.Signals) -> None:
    trap = f"trap 'echo got it >> got; exit 0' {told.name[3:]}"
    script = f"{trap}; echo started; while :; do sleep 0.05; done"
    with begun(tmp_path, "sh", "-c", script) as running:
        running.send_signal(told)
        assert running.wait(60) == 128 + told
    assert (tmp_path / "got").read_text() == "got it\n"
    found = only_run(home)
    assert found.run.state == "failed"
    assert told.name in (found.run.message or "")


def test_a_killed_command_fails_the_run(home: Home, tmp_path: Path) -> None:
    ran = train(tmp_path, "sh", "-c", "kill -9 $$")
    assert ran.code == 128 + signal.SIGKILL
    assert only_run(home).facets["backstory_command"]["signal"] == "SIGKILL"


@pytest.mark.parametrize(
    ("script", "seconds"),
    [("sleep 60; echo outlived", 30), ("trap '' TERM; sleep 60; echo outlived", 0)],
)
def test_a_command_whose_process_cannot_be_recorded_is_stopped(
    home: Home, tmp_path: Path, script: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(describe(home.store.engine))) as conn:
        conn.execute(
            "CREATE TRIGGER refused BEFORE INSERT ON run_process"
            " WHEN EXISTS (SELECT 1 FROM run_process)"  # the first is the process that asks
            " BEGIN SELECT RAISE(ABORT, 'it is refused'); END"
        )
    monkeypatch.setattr("backstory.lineage.commanding.STOP_SECONDS", seconds)
    with ended_output() as said, pytest.raises(Exception, match="it is refused"):
        home.run_command("ranker", ["sh", "-c", script], artifact=tmp_path / "model.bin")
    assert only_run(home).run.state == "failed"
    assert said == [""]


def test_a_run_whose_processes_are_all_lost_is_abandoned(home: Home, tmp_path: Path) -> None:
    with begun(tmp_path, "sh", "-c", f"echo $$ > pid; {WAITING}") as running:
        while len(processes(home)) < 2:  # the command says "started" before it is recorded
            time.sleep(0.01)
        assert only_run(home).run.state == "started"
        running.kill()
        running.wait(60)
        assert only_run(home).run.state == "started"  # the command goes on
        command = int((tmp_path / "pid").read_text())
        os.kill(command, signal.SIGKILL)
        while not all_gone(processes(home)):  # a killed process closes its files before it is gone
            time.sleep(0.01)
    found = only_run(home)
    assert found.run.state == "abandoned"
    assert found.run.not_captured == "what the command read beside its inputs"
    shown = process("show", f"run:{found.run.run_id}", folder=tmp_path)
    assert "not captured\twhat the command read beside its inputs" in shown.out
    assert "state\tabandoned" in shown.out
    (tmp_path / "model.bin").write_text("weights")
    with home.resume(found.run.run_id) as run:
        run.register(tmp_path / "model.bin")
    assert only_run(home).run.state == "completed"


def test_nothing_is_done_while_it_is_not_due(home: Home, tmp_path: Path) -> None:
    options = ("--trigger", "threshold:thumbs/en:rows=5")
    ran = train(tmp_path, "touch", "model.bin", options=(*options, "--if-due"))
    assert ran.code == 0, ran.err
    assert home.runs() == []
    assert train(tmp_path, "touch", "model.bin", options=options).code == 6
    feed(home, first=2)
    ran = train(tmp_path, "touch", "model.bin", options=(*options, "--if-due", "--json"))
    assert ran.data == {"due": True, "version": "ranker@1"}
    ran = train(tmp_path, "touch", "model.bin", options=(*options, "--if-due", "--json"))
    assert ran.data == {"due": False, "version": None}


def test_a_trigger_of_the_settings_is_listed_and_begins_a_run(home: Home, tmp_path: Path) -> None:
    nothing = process("triggers", folder=tmp_path)
    assert (nothing.code, nothing.err.strip()) == (0, "no trigger stands in the settings")
    with (tmp_path / ".backstory/backstory.toml").open("a") as settings:
        settings.write('[triggers.enough]\nmodel = "ranker"\nwhen = "threshold:thumbs/en:rows=4"\n')
        settings.write('[triggers.lost]\nmodel = "bot"\nwhen = "threshold:clicks:rows=4"\n')
    enough, lost = process("triggers", folder=tmp_path).rows
    assert enough[:6] == ["enough", "ranker", "threshold", "4 rows", "4 rows", "yes"]
    assert lost[5] == "unknown"
    assert [t["name"] for t in process("triggers", "due", "--json", folder=tmp_path).data] == [
        "enough"
    ]
    options = ("--trigger", "enough", "--if-due")
    assert train(tmp_path, "touch", "model.bin", options=options).code == 0
    assert only_run(home).run.trigger
    assert "not due" in train(tmp_path, "touch", "model.bin", options=options).err
    due = process("triggers", "due", folder=tmp_path)
    assert (due.code, due.rows, due.err.strip()) == (0, [], "nothing is due")
    assert process("triggers", "due", "--json", folder=tmp_path).data == []
    assert train(tmp_path, "touch", "model.bin", options=("--trigger", "often")).code == 3
