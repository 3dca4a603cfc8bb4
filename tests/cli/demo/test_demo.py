"""The demo as a person sees it, and as the next program does."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import backstory
from backstory.cli.demo.opening import MARK, MARK_TEXT, run_demo, typed
from backstory.cli.output import Look, Output
from backstory.lake.errors import RefusedError
from tests.cli.running import environment
from tests.cli.test_documents import check_shape

PROGRAM = Path(sys.executable).with_name("backstory")
OUTPUT = Output(look=Look.PLAIN, color=False)


def _environment() -> dict[str, str]:
    return {**environment(), "PATH": f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"}


def _told(folder: Path, *args: str) -> str:
    done = subprocess.run(
        [PROGRAM, "demo", str(folder), *args],
        check=True,
        capture_output=True,
        text=True,
        env=_environment(),
    )
    assert done.stderr == ""
    return done.stdout.replace(str(folder), "FOLDER")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "demo"


@pytest.fixture(scope="module")
def story(folder: Path) -> str:
    return _told(folder)


def test_the_story_is_plain_text_when_piped(story: str) -> None:
    assert "\x1b" not in story
    assert "The reader answered 8. The addressee says: it is a 3." in story
    assert "The corrections of depot east contradict everyone else" in story
    assert "every byte is what was read then" in story
    assert "Put back: ✓ intact again." in story


def test_the_flipped_file_is_named(story: str) -> None:
    assert re.search(r"✗ corrections@\d+: changed\n    corrections/part-[0-9a-f-]+\.parquet", story)


def test_it_ends_with_the_trace_and_three_commands(story: str) -> None:
    _, ending = story.split("The backstory of reader@3\n")
    assert "made by run:" in ending
    assert "where _source <> 'east'" in ending
    assert ending.count("\n  $ backstory --home FOLDER ") == 3


def test_the_same_seed_tells_the_same_story_and_replaces_the_home(story: str, folder: Path) -> None:
    assert _told(folder) == story


def test_the_home_stays_and_is_intact(story: str, folder: Path) -> None:
    with backstory.open(folder) as home:
        assert home.verify().findings == ()
        assert [version.ref for version in home.models("reader")] == [
            "reader@3",
            "reader@2",
            "reader@1",
        ]


def test_the_json_says_what_the_story_says(story: str, folder: Path) -> None:
    told = json.loads(_told(folder, "--json"))
    assert list(told) == ["schemaVersion", "data"]
    data = told["data"]
    check_shape("demo", data)
    parcel, made, damage = data["parcel"], data["madeBy"], data["damage"]
    accuracies = {r["version"]: f"{r['accuracy']:.1%}" for r in data["repair"]["versions"]}
    assert list(accuracies) == ["reader@1", "reader@2", "reader@3"]
    for said in (
        f"Parcel {parcel['number']}, {parcel['at']}.",
        f"The reader answered {parcel['answer']}.",
        f"The addressee says: it is a {parcel['correction']}.",
        f"{data['answeredBy']['version']}, serving in ",
        f"{made['run']['ref'].replace('run:', 'Run ')}, {made['run']['state']} at ",
        f"Why it ran: {made['run']['trigger']['kind']}, {made['run']['trigger']['reason']}.",
        f"What it read: {made['snapshot']['ref']}, ",
        f"digest {made['snapshot']['digest'][:12]}, pinned ({made['pin']['strength']}).",
        f"{data['reach']['differing']} of them get another digit.",
        f"  ✗ {damage['findings'][0]['where']}: changed\n    {damage['findings'][0]['path']}\n",
        f"The backstory of {data['trace']['root']}\n",
        f"The home stays in {data['home']}.",
        *(f"{source['share']:.1%}" for source in data["change"]["sources"]),
        *accuracies.values(),
    ):
        assert said in story


def test_who_reads_no_further_ends_it_as_everywhere(tmp_path: Path) -> None:
    """What is there by then is left, as after Ctrl-C, for the next demo to replace."""
    script = f'"{PROGRAM}" demo cut | head -1; echo "${{PIPESTATUS[0]}}"'
    done = subprocess.run(
        ["bash", "-c", script],
        check=True,
        cwd=tmp_path,
        env=_environment(),
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("\n141\n", "")
    assert (tmp_path / "cut" / MARK).read_text() == MARK_TEXT


def test_a_command_is_told_as_it_can_be_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "house/.venv/bin/backstory"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(PROGRAM.parent))
    monkeypatch.chdir(tmp_path / "house")
    assert typed(program) == ".venv/bin/backstory"
    assert typed(Path(".venv/bin/backstory")) == ".venv/bin/backstory"
    monkeypatch.chdir(program.parent)
    assert typed(program) == str(program)
    monkeypatch.setenv("PATH", str(program.parent))
    assert typed(program) == "backstory"
    assert typed(Path("-c")) == "backstory"


def test_what_the_demo_needs_is_said_where_it_is_missing(tmp_path: Path) -> None:
    hidden = "import sys; sys.modules.update(dict.fromkeys(['numpy', 'threadpoolctl']))"
    opening = "import backstory.cli.demo.opening as opening; opening.importlib.util.find_spec"
    start = f"{hidden}; {opening} = lambda name: None; from backstory.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", start, "demo", "d"],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stderr.startswith("error: the demo needs scikit-learn\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seed", [1, 2])
def test_other_seeds_tell_other_stories(seed: int, tmp_path: Path) -> None:
    assert "The backstory of reader@3" in _told(tmp_path / "demo", "--seed", str(seed))


def test_a_folder_that_no_demo_made_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(RefusedError, match="was not made by a demo"):
        run_demo(tmp_path, seed=0, output=OUTPUT)
    (tmp_path / MARK).write_text(MARK_TEXT + "edited")
    with pytest.raises(RefusedError):
        run_demo(tmp_path, seed=0, output=OUTPUT)
    assert (tmp_path / "precious").read_text() == "mine"
