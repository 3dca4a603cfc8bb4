"""A watched folder: each file once, when it is complete, whatever happens between two looks."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import backstory
from backstory.lineage.home import Home
from backstory.lineage.watching import Found, watch
from tests.lineage.homes import CONTRACT


def line(number: int) -> str:
    return json.dumps({"event_id": f"e{number}", "stars": number}) + "\n"


def watched(
    home: Home, folder: Path, between: Sequence[Callable[[], object]] = (), *, once: bool = False
) -> list[Found]:
    """Look, do something, look again …; then end."""
    steps = iter(between)

    def wait(_seconds: float) -> bool:
        step = next(steps, None)
        if step is None:
            return not once
        step()
        return False

    return list(watch(home, "thumbs/en", folder, wait=wait, once=once))


def ids(home: Home) -> list[str]:
    return sorted(home.slice("thumbs/en").at().arrow()["event_id"].to_pylist())


def nothing() -> None:
    """Time passes."""


@pytest.fixture
def folder(home: Home, tmp_path: Path) -> Path:
    home.create_slice(CONTRACT)
    made = tmp_path / "incoming"
    made.mkdir()
    return made


def test_a_file_is_taken_once_it_rests(home: Home, folder: Path) -> None:
    file = folder / "a.jsonl"
    file.write_text(line(1))

    def grow() -> None:
        with file.open("a") as end:
            end.write(line(2))

    assert watched(home, folder, [grow]) == []
    [found] = watched(home, folder, [nothing, nothing])
    assert found.receipt is not None
    assert found.receipt.accepted == 2
    [again] = watched(home, folder, [nothing])
    assert again.receipt is not None
    assert again.receipt.outcome == "duplicate"
    assert ids(home) == ["e1", "e2"]


def test_a_file_that_is_refused_holds_nothing_up(home: Home, folder: Path) -> None:
    bad = folder / "a.jsonl"
    bad.write_text("{\n")
    (folder / "b.jsonl").write_text(line(1))
    for name in (".c.jsonl", "_d.jsonl", "readme.txt"):
        (folder / name).write_text("{\n")
    (folder / "e.jsonl").mkdir()
    found = watched(home, folder, [nothing, nothing, lambda: bad.write_text(line(2)), nothing])
    assert [(each.path.name, each.error is None) for each in found] == [
        ("a.jsonl", False),
        ("b.jsonl", True),
        ("a.jsonl", True),
    ]
    assert ids(home) == ["e1", "e2"]


def test_once_ends_when_all_is_dealt_with(home: Home, folder: Path) -> None:
    assert watched(home, folder, once=True) == []
    for number in range(3):
        (folder / f"{number}.jsonl").write_text(line(number))
    found = watched(home, folder, [nothing, nothing, nothing], once=True)
    assert len(found) == 3


def test_what_cannot_be_watched(home: Home, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(backstory.NotFoundError, match="there is no folder"):
        watched(home, folder / "none")
    monkeypatch.setattr("backstory.lineage.watching.MAX_WATCHED_FILES", 0)
    (folder / "a.jsonl").touch()
    with pytest.raises(backstory.InvalidError, match="more than 0 files"):
        watched(home, folder)


CHILD = """
import sys, backstory
from pathlib import Path
from backstory.lineage.watching import watch
with backstory.open(sys.argv[1]) as home:
    list(watch(home, "thumbs/en", Path(sys.argv[2]), wait=lambda _: False, once=True))
"""


def test_killed_and_started_again(home: Home, folder: Path) -> None:
    for number in range(6):
        (folder / f"{number}.jsonl").write_text(line(number))
    for crash_at in ("commit.before", "commit.after", "unit.before_commit"):
        environment = {**os.environ, "BACKSTORY_CRASH_AT": crash_at}
        child = [sys.executable, "-c", CHILD, str(home.settings.home), str(folder)]
        ended = subprocess.run(child, env=environment, check=False, timeout=200)
        assert ended.returncode == -signal.SIGKILL
    watched(home, folder, [nothing] * 2)
    assert ids(home) == [f"e{number}" for number in range(6)]
