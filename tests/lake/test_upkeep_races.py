"""Maintenance dies at every point, and races appends and pins: no row is doubled or lost."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from backstory.lake import compaction, fence, garbage, pins, trimming
from backstory.lake.crash import CRASHPOINTS
from backstory.lake.errors import GoneError
from backstory.lake.pinned import pins_of, reopen
from backstory.lake.pins import pin
from backstory.lake.snapshot import open_snapshot
from backstory.lake.table import SliceTable
from backstory.lake.verify import verify_table
from tests.lake.test_compaction import summed
from tests.lake.thumbs import NOW, append, create, rows
from tests.lake.upkeep import collected, compact_all, trimmed

REPOSITORY = Path(__file__).resolve().parents[2]
WRITERS = 3
DAY = timedelta(days=1)
POINTS = sorted(
    p for p in CRASHPOINTS if p.split(".")[0] in {"compact", "fence", "collect", "trim"}
)


@pytest.fixture
def table(tmp_path: Path) -> SliceTable:
    table = create(tmp_path)
    for number in range(21):
        append(table, rows(2, first=2 * number), offset=number)
    return table


def start(module: str, *arguments: str, crash_at: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.lake.{module}", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "BACKSTORY_CRASH_AT": crash_at},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    said, errors = process.communicate(timeout=3_000)
    assert not errors
    return process.returncode, said


@pytest.mark.parametrize("point", POINTS)
def test_maintenance_that_died_is_repeated(table: SliceTable, point: str) -> None:
    pin(table, open_snapshot(table, 9), pin_id="p1", holder="h", reason="r", at=NOW)
    before, pinned = summed(open_snapshot(table)), summed(open_snapshot(table, 9))
    root = str(table.folder.parent)
    code, _ = finish(start("upkeep", root, "3", "2", crash_at=point))
    assert code == -signal.SIGKILL

    assert summed(open_snapshot(table)) == before
    assert summed(reopen(table, 9)) == pinned
    assert verify_table(table).findings == ()
    append(table, rows(2, first=800), offset=800)
    assert finish(start("upkeep", root, "6", "2"))[0] == 0
    found = open_snapshot(table)
    assert found.rows == before[0] + 2
    assert summed(reopen(table, 9)) == pinned
    assert verify_table(table).findings == ()
    needed = {file.path for file in (*found.manifest.files, *reopen(table, 9).manifest.files)}
    assert {path.name for path in table.folder.glob("part-*")} == needed


@pytest.mark.parametrize("batches", [10, pytest.param(1_000, marks=pytest.mark.soak)])
def test_maintenance_races_appends(tmp_path: Path, batches: int) -> None:
    create(tmp_path)
    writers = [
        start("writing", str(tmp_path), f"s{n}", "", *map(str, range(batches)))
        for n in range(WRITERS)
    ]
    # Their days pass in seconds, so what is being written must not look older than a grace.
    keepers = [start("upkeep", str(tmp_path), str(batches // 2), "0.001") for _ in range(2)]
    for process in (*writers, *keepers):
        assert finish(process)[0] == 0
    assert finish(start("upkeep", str(tmp_path), "3", "3"))[0] == 0
    table = SliceTable.open(tmp_path, "thumbs/en")
    newest = {file.path for file in open_snapshot(table).manifest.files}
    assert {path.name for path in table.folder.glob("part-*")} == newest
    found = open_snapshot(table).arrow()["event_id"].to_pylist()
    assert sorted(found) == sorted(
        f"s{n}-{row}" for n in range(WRITERS) for row in range(batches * 5)
    )
    assert verify_table(table).findings == ()


def _pinned_at(table: SliceTable, version: int, pin_id: str) -> Callable[[str], None]:
    """What pins a version when a crash point is passed, if that can be done without waiting."""
    snapshot = open_snapshot(table, version)

    def pin_now(_: str) -> None:
        if not any(one.pin_id == pin_id for one in pins_of(table)):
            pin(table, snapshot, pin_id=pin_id, holder="h", reason="r", at=NOW)

    return pin_now


@pytest.mark.parametrize(
    "point", ["compact.written", "fence.before", "fence.after", "trim.archived"]
)
def test_a_pin_at_any_step_of_compaction_and_trimming_is_kept(
    table: SliceTable, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin_now = _pinned_at(table, 7, "p7")
    expected = summed(open_snapshot(table, 7))
    for module in (compaction, fence, trimming):
        monkeypatch.setattr(
            module, "crashpoint", lambda name: pin_now(name) if name == point else None
        )
    compact_all(table)
    trimmed(table, 2)
    monkeypatch.undo()
    collected(table, 0)
    collected(table, 9)
    assert [one.pin_id for one in pins_of(table)] == ["p7"]
    assert summed(reopen(table, 7)) == expected
    assert verify_table(table).findings == ()


@pytest.mark.parametrize("point", ["collect.condemned", "collect.noted", "collect.deleted"])
def test_a_pin_during_a_collection_waits_and_is_refused_for_what_went(
    table: SliceTable, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compact_all(table)
    collected(table, 0)
    waiting: list[subprocess.Popen[str]] = []

    def begin(name: str) -> None:
        if name == point:
            waiting.append(start("pinning", str(table.folder.parent), "p-new"))

    monkeypatch.setattr(garbage, "crashpoint", begin)
    gone = open_snapshot(table, 7)
    collected(table, 2)
    with pytest.raises(GoneError, match="collected on"):
        pin(table, gone, pin_id="p7", holder="h", reason="r", at=NOW)
    assert finish(waiting[0])[0] == 0
    assert [one.pin_id for one in pins_of(table)] == ["p-new"]
    assert verify_table(table).findings == ()


@pytest.mark.parametrize("point", ["pin.manifest", "pin.checkpoint", "pin.holder"])
def test_a_collection_during_a_pin_waits_for_it(
    table: SliceTable, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compact_all(table)
    collected(table, 0)
    snapshot = open_snapshot(table, 7)
    expected = summed(snapshot)
    waiting: list[subprocess.Popen[str]] = []

    def begin(name: str) -> None:
        if name == point:
            waiting.append(start("upkeep", str(table.folder.parent), "2", "3"))

    monkeypatch.setattr(pins, "crashpoint", begin)
    pin(table, snapshot, pin_id="p7", holder="h", reason="r", at=NOW)
    assert finish(waiting[0])[0] == 0
    assert summed(reopen(table, 7)) == expected
    assert verify_table(table).findings == ()


def test_a_pin_after_the_cut_is_refused_and_leaves_nothing(
    table: SliceTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[str] = []

    def pin_now(name: str) -> None:
        if name == "trim.cut":
            with pytest.raises(GoneError, match="no longer has all entries of version 7"):
                pin(table, snapshot, pin_id="p7", holder="h", reason="r", at=NOW)
            refused.append(name)

    snapshot = open_snapshot(table, 7)
    monkeypatch.setattr(trimming, "crashpoint", pin_now)
    trimmed(table, 2)
    assert refused == ["trim.cut"]
    assert pins_of(table) == []
    assert verify_table(table).findings == ()
