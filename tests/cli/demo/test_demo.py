"""The demo as a person sees it, and as the next program does."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import backstory
from backstory.cli.demo.opening import MARK, MARK_TEXT, run_demo
from backstory.lake.errors import RefusedError

PROGRAM = Path(sys.executable).with_name("backstory")


def _told(folder: Path, seed: int = 0) -> str:
    done = subprocess.run(
        [PROGRAM, "demo", str(folder), "--seed", str(seed)],
        check=True,
        capture_output=True,
        text=True,
        # COLUMNS says how wide to draw; readline puts it into the environment of a whole process.
        env={name: value for name, value in os.environ.items() if name != "COLUMNS"},
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


@pytest.mark.parametrize("seed", [1, 2])
def test_other_seeds_tell_other_stories(seed: int, tmp_path: Path) -> None:
    assert "The backstory of reader@3" in _told(tmp_path / "demo", seed)


def test_a_folder_that_no_demo_made_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(RefusedError, match="was not made by a demo"):
        run_demo(tmp_path, seed=0)
    (tmp_path / MARK).write_text(MARK_TEXT + "edited")
    with pytest.raises(RefusedError):
        run_demo(tmp_path, seed=0)
    assert (tmp_path / "precious").read_text() == "mine"
