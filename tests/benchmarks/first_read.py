"""How long a training waits for its first read: START, and a snapshot of many files pinned.

The log lists the files of many appends, all of them hollow: a pin finds them there, and a read
that looked into one would fail. Each round reads a version that nobody has pinned yet.
"""

import hashlib
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from uuid import UUID

from deltalake import DeltaTable, PostCommitHookProperties
from deltalake.transaction import AddAction

from backstory.lake.location import folder_of
from backstory.lineage.home import Home, init
from tests.benchmarks.report import Measure, Topic

FILES, COMMITS = 10_000, 100
ROUNDS = 11
SECONDS = 0.5
SLICE = "many"
_FILE_BYTES = 1_668

_CONTRACT = f"""
slice: {SLICE}
purpose: measure
duplicate_window: 0
columns:
  event_id: {{type: string, role: event_id, nullable: false}}
  value: {{type: float64}}
"""


def measure(files: int = FILES, rounds: int = ROUNDS) -> Topic:
    """START to the first read, each time of a newer version."""
    starts, reads = list[float](), list[float]()
    with (
        TemporaryDirectory(prefix="backstory-bench-") as folder,
        init(Path(folder, "home")) as home,
    ):
        _fill(home, files)
        for at in range(1 + rounds):
            _append(home, at + 1)
            start, read = _first_read(home)
            if at:
                starts.append(start)
                reads.append(read)
    return Topic(
        name="first read",
        measures=[
            Measure(
                what=f"START to the first read of a snapshot of {files:,} files",
                value=median(map(sum, zip(starts, reads, strict=True))),
                unit="s",
                at_most=SECONDS,
                times={"START": median(starts) * 1_000, "the read": median(reads) * 1_000},
            )
        ],
        notes=["all data files were hollow: no read looked into one"],
    )


def _first_read(home: Home) -> tuple[float, float]:
    """Seconds until the run has started, and from there until its read is recorded."""
    begun = time.perf_counter()
    with home.retraining("ranker") as run:
        started = time.perf_counter()
        reading = run.read(SLICE)
        read = time.perf_counter()
        if reading.rows != home.slices()[0].rows:
            raise AssertionError(f"{reading.rows} rows are not all")
    return started - begun, read - started


def _append(home: Home, offset: int) -> None:
    rows = [{"event_id": f"{offset}-{row}", "value": float(row)} for row in range(3)]
    home.slice(SLICE).append(rows, source="bench", offset=offset)


def _fill(home: Home, files: int) -> None:
    """List files in the log, in commits that follow each other as those of appends do."""
    home.create_slice(_CONTRACT)
    folder = home.lake.root / folder_of(SLICE)
    delta = DeltaTable(folder)
    at = int(home.clock().timestamp() * 1000)
    for first in range(0, files, files // COMMITS):
        delta.create_write_transaction(
            [_listed(folder, number, at) for number in range(first, first + files // COMMITS)],
            "append",
            delta.schema(),
            post_commithook_properties=PostCommitHookProperties(create_checkpoint=True),
        )


def _listed(folder: Path, number: int, at: int) -> AddAction:
    """A hollow file that is named as ours are: by an id and the digest of its bytes."""
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    ids = f'"{number}-0"', f'"{number}-2"'
    stats = (
        f'{{"numRecords":3,"minValues":{{"event_id":{ids[0]},"value":0.0}},'
        f'"maxValues":{{"event_id":{ids[1]},"value":2.0}},"nullCount":{{"event_id":0,"value":0}}}}'
    )
    name = f"part-{UUID(int=number)}-{digest}.parquet"
    with (folder / name).open("xb") as file:
        file.truncate(_FILE_BYTES)
    return AddAction(name, _FILE_BYTES, {}, at, True, stats)
