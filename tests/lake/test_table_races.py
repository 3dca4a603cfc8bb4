"""Many processes append at once, and processes die while they append."""

import contextlib
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from backstory.lake.receipt import Outcome
from backstory.lake.table import SliceTable
from tests.lake.thumbs import append, contract, create
from tests.lake.writing import BATCH, batch

REPOSITORY = Path(__file__).resolve().parents[2]
PROCESSES = 8
BATCHES = 8
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.lake.writing"])
COMMIT_POINTS = ["file.written", "file.renamed", "commit.before", "commit.after"]


def start(
    root: Path, source: str, writer: str, offsets: Sequence[int], *, crash_at: str = ""
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.lake.writing"),
            *(str(root), source, writer, *map(str, offsets)),
        ],
        cwd=REPOSITORY,
        env={**os.environ, "BACKSTORY_CRASH_AT": crash_at},
        stdout=subprocess.PIPE,
        text=True,
    )


def outcomes(process: subprocess.Popen[str], *, dies: bool = False) -> dict[int, str]:
    out, _ = process.communicate(timeout=120)
    assert process.returncode == (-signal.SIGKILL if dies else 0)
    return {int(offset): outcome for offset, outcome in (line.split() for line in out.splitlines())}


def events(table: SliceTable) -> Counter[str]:
    return Counter(
        pa.table(DeltaTable(table.folder).scan(columns=["event_id"]))["event_id"].to_pylist()
    )


def expected(*batches: pa.Table) -> Counter[str]:
    return Counter(event for rows in batches for event in rows["event_id"].to_pylist())


def test_processes_with_own_sources_lose_nothing(tmp_path: Path) -> None:
    table = create(tmp_path)
    offsets = range(12)
    writers = [start(tmp_path, f"source-{n}", "", offsets) for n in range(PROCESSES)]

    for writer in writers:
        assert outcomes(writer) == dict.fromkeys(offsets, "accepted")

    assert events(table) == expected(
        *(batch(f"source-{n}", offset) for n in range(PROCESSES) for offset in offsets)
    )
    assert table.version == PROCESSES * len(offsets)


def test_processes_that_share_a_source_land_each_row_once_or_are_refused(tmp_path: Path) -> None:
    """Each process has offsets of its own, interleaved with the others'."""
    table = create(tmp_path)
    writers = {
        n: start(tmp_path, "shared", f"-{n}", range(n, 12 * PROCESSES, PROCESSES))
        for n in range(PROCESSES)
    }

    landed = []
    for n, writer in writers.items():
        found = outcomes(writer)
        assert set(found.values()) <= {"accepted", "conflict"}
        landed += [batch("shared", o, f"-{n}") for o, was in found.items() if was == "accepted"]

    assert events(table) == expected(*landed)
    assert len(landed) >= 12  # whoever has the highest offset left always wins
    assert len(list(table.folder.glob("*.parquet"))) == len(landed)


def test_processes_that_send_the_same_batches_land_each_once(tmp_path: Path) -> None:
    table = create(tmp_path)
    offsets = range(12)
    writers = [start(tmp_path, "shared", "", offsets) for _ in range(PROCESSES)]

    found = [outcomes(writer) for writer in writers]

    for offset in offsets:
        assert Counter(f[offset] for f in found) == {"accepted": 1, "duplicate": PROCESSES - 1}
    assert events(table) == expected(*(batch("shared", offset) for offset in offsets))


def test_processes_that_make_one_slice_agree_on_one(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.lake.thumbs import create\n"
        "from backstory.lake.errors import ConflictError\n"
        "try: create(Path(sys.argv[1])); print('made')\n"
        "except ConflictError: print('exists')"
    )
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]

    assert Counter(maker.communicate(timeout=120)[0].strip() for maker in makers) == {
        "made": 1,
        "exists": 3,
    }
    assert [path.name for path in tmp_path.iterdir()] == ["thumbs__en"]
    assert append(SliceTable.open(tmp_path, "thumbs/en"), batch("app", 0)).version == 1


@pytest.mark.parametrize("point", COMMIT_POINTS)
def test_whoever_dies_while_appending_is_healed_by_sending_again(
    tmp_path: Path, point: str
) -> None:
    table = create(tmp_path)
    append(table, batch("app", 0), offset=0)
    assert outcomes(start(tmp_path, "app", "", [1], crash_at=point), dies=True) == {}

    landed = point == "commit.after"
    assert events(table) == expected(*(batch("app", n) for n in range(1 + landed)))
    again = append(table, batch("app", 1), offset=1)
    append(table, batch("app", 2), offset=2)

    assert again.outcome is (Outcome.DUPLICATE if landed else Outcome.ACCEPTED)
    assert events(table) == expected(*(batch("app", n) for n in range(3)))
    assert table.version == 3
    assert DeltaTable(table.folder).count() == 3 * BATCH


@pytest.mark.parametrize("point", ["slice.built", "slice.created"])
def test_whoever_dies_while_making_a_slice_leaves_all_of_it_or_nothing(
    tmp_path: Path, point: str
) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.lake.thumbs import create\n"
        "create(Path(sys.argv[1]))"
    )
    died = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=REPOSITORY,
        env={**os.environ, "BACKSTORY_CRASH_AT": point},
        check=False,
    )
    assert died.returncode == -signal.SIGKILL

    if point == "slice.built":
        create(tmp_path)
    table = SliceTable.open(tmp_path, "thumbs/en")

    assert table.contract == contract()
    assert append(table, batch("app", 0)).accepted == BATCH


def append_and_tell(root: Path, source: str, told: Connection) -> None:
    table = SliceTable.open(root, "thumbs/en")
    for offset in range(BATCHES):
        append(table, batch(source, offset), source=source, offset=offset)
        told.send(offset)


class Writer:
    """A process that appends the batches of one source and tells of each."""

    def __init__(self, root: Path, source: str) -> None:
        self._pipe, theirs = FORKS.Pipe(duplex=False)
        self._process = FORKS.Process(target=append_and_tell, args=(root, source, theirs))
        self._process.start()
        theirs.close()

    def wait_for(self, batches: int) -> int:
        """The batches that it told of, at least so many."""
        return len([self._pipe.recv() for _ in range(batches)])

    def kill(self, *, after: float) -> int:
        """Kill it so many seconds from now; the batches that it told of meanwhile."""
        self._process.join(after)
        self._process.kill()
        self._process.join()
        told = 0
        with contextlib.suppress(EOFError):
            while True:
                self._pipe.recv()
                told += 1
        return told


def time_of_a_batch(root: Path, source: str) -> float:
    """Seconds, from the first batch of a run to its last."""
    writer = Writer(root, source)
    writer.wait_for(1)
    started = time.perf_counter()
    writer.wait_for(BATCHES - 1)
    writer.kill(after=0)
    return (time.perf_counter() - started) / (BATCHES - 1)


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.soak)])
def test_a_process_killed_at_any_time_loses_and_doubles_nothing(tmp_path: Path, kills: int) -> None:
    """Kills are spread evenly over a run: so many batches told, and a part of a batch's time."""
    table = create(tmp_path)
    duration = min(time_of_a_batch(tmp_path, f"whole-{n}") for n in range(3))

    histogram: Counter[int] = Counter()
    for kill in range(kills):
        source = f"killed-{kill}"
        part, batches = math.modf(1 + kill / kills * (BATCHES - 2))
        writer = Writer(tmp_path, source)
        told = writer.wait_for(int(batches)) + writer.kill(after=part * duration)
        histogram[told] += 1
        found = {event: n for event, n in events(table).items() if event.startswith(f"{source}-")}
        stored = len(found) // BATCH
        assert stored - told in {0, 1}  # the last one may have had no time to tell
        assert found == expected(*(batch(source, offset) for offset in range(stored)))
        for offset in range(BATCHES):
            append(table, batch(source, offset), source=source, offset=offset)

    print("killed after batch:", dict(sorted(histogram.items())))
    sources = [*(f"whole-{n}" for n in range(3)), *(f"killed-{n}" for n in range(kills))]
    assert events(table) == expected(*(batch(s, o) for s in sources for o in range(BATCHES)))
    assert histogram[BATCHES] <= 0.2 * kills
