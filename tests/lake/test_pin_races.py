"""Processes pin the same snapshot at once, and die while they pin."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backstory.lake.pinned import Strength, pin_folders, pins_folder, pins_of, reopen
from backstory.lake.pins import pin
from backstory.lake.snapshot import open_snapshot
from backstory.lake.table import SliceTable
from backstory.lake.verify import verify_table
from tests.lake.thumbs import NOW, append, create, rows

REPOSITORY = Path(__file__).resolve().parents[2]
PROCESSES = 4
PINS = 5


@pytest.fixture
def table(tmp_path: Path) -> SliceTable:
    table = create(tmp_path)
    for number in range(3):
        append(table, rows(3, first=3 * number), offset=number)
    return table


def start(table: SliceTable, *pin_ids: str, crash_at: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.lake.pinning", str(table.folder.parent), *pin_ids],
        cwd=REPOSITORY,
        env={**os.environ, "BACKSTORY_CRASH_AT": crash_at},
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> int:
    _, errors = process.communicate(timeout=60)
    assert not errors
    return process.returncode


@pytest.mark.parametrize("strength", [Strength.HELD, Strength.COPIED])
@pytest.mark.parametrize("point", ["pin.manifest", "pin.checkpoint", "pin.holder"])
def test_a_pin_that_died_is_not_there_and_the_next_one_is_whole(
    table: SliceTable, point: str, strength: Strength
) -> None:
    pin_id = "copy-1" if strength is Strength.COPIED else "held-1"
    assert finish(start(table, pin_id, crash_at=point)) == -signal.SIGKILL

    assert (pins_of(table), pin_folders(table)) == ([], [])
    assert verify_table(table).findings == ()

    snapshot = open_snapshot(table)
    kept = pin(table, snapshot, pin_id=pin_id, holder="h", reason="r", strength=strength, at=NOW)
    assert pins_of(table) == [kept]
    assert {path.name for path in pins_folder(table).iterdir()} == {".lock", kept.digest}
    assert reopen(table, kept.digest).arrow() == rows(9)
    assert verify_table(table).findings == ()


def test_processes_that_pin_one_snapshot_at_once_all_hold_it(table: SliceTable) -> None:
    held = [f"held-{process}-{n}" for process in range(PROCESSES) for n in range(PINS)]
    running = [
        start(table, *[name for n in range(PINS) for name in (f"brief-{p}-{n}", f"held-{p}-{n}")])
        for p in range(PROCESSES)
    ]
    running.append(start(table, "copy-1"))

    assert [finish(process) for process in running] == [0] * len(running)

    assert sorted(kept.pin_id for kept in pins_of(table)) == sorted([*held, "copy-1"])
    assert len(pin_folders(table)) == 1
    assert verify_table(table).findings == ()
