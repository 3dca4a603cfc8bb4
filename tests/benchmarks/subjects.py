"""What it costs to find a person among ten million rows in 500 files.

The sets of the files are made as appends make them, and joined by the product, but no data file is
written: 21,300 people a file, one row in nearly each of ten million pairs. The lookup is timed over
other people each time; with it the files' lives are read from the store and joined to the versions.
"""

import hashlib
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa

from backstory.lake.subject_index import join_sets, keep_set, look_up, set_files
from backstory.lake.subject_sets import set_of
from backstory.lineage.home import Home, init
from backstory.lineage.store import tables, writes
from backstory.lineage.store.file_lives import ADDED, file_lives
from tests.benchmarks.report import Measure, Topic

FILES = 500
PEOPLE_A_FILE = 21_300
PEOPLE = 200_000
LOOKUPS = 50
MILLISECONDS = 20

_CONTRACT = """
slice: thumbs
purpose: measure
columns: {event_id: {type: string}, user: {type: string, role: subject}}
"""


def measure(files: int = FILES, people_a_file: int = PEOPLE_A_FILE) -> Topic:
    """Lookups of one person after another."""
    random = np.random.default_rng(7)
    with (
        TemporaryDirectory(prefix="backstory-bench-") as folder,
        init(Path(folder, "home")) as home,
    ):
        home.create_slice(_CONTRACT)
        table = home.lake.slice("thumbs").folder
        names = [f"part-{n:08x}.parquet" for n in range(files)]
        began = time.perf_counter()
        for name in names:
            keep_set(table, name, set_of(name, _people(random.integers(0, PEOPLE, people_a_file))))
            join_sets(table)
        made = time.perf_counter() - began
        slice_id = _record(home, names)
        asked = random.integers(0, PEOPLE, LOOKUPS)
        finding = [_milliseconds(partial(look_up, table, [_number(n)])) for n in asked]
        joining = [_milliseconds(partial(_versions, home, table, slice_id, n)) for n in asked]
        size = sum(path.stat().st_size for path in set_files(table))
        kept = f"{len(set_files(table))} sets, {size / 1e6:.0f} MB, made in {made:.1f} s"
    return Topic(
        name="subject",
        measures=[
            Measure(
                what="a person over 10M rows: files and versions",
                value=sorted(joining)[len(joining) // 2],
                unit="ms",
                at_most=MILLISECONDS,
                times={"median lookup": sorted(finding)[len(finding) // 2], "worst": max(joining)},
            )
        ],
        notes=[f"{files * people_a_file:,} rows: {kept}; no data file was written"],
    )


def _versions(home: Home, table: Path, slice_id: int, person: int) -> list[tuple[int, int]]:
    """The rows of a person by the version that brought them."""
    held = look_up(table, [_number(person)])
    with home.store.reader() as conn:
        lives = file_lives(conn, [slice_id])
    return [(life.added, held.files[life.path]) for life in lives if life.path in held.files]


def _record(home: Home, names: list[str]) -> int:
    """Commits that brought a file each, as the store would know them."""
    [summary] = home.slices()
    with home.unit("bench", "slice:thumbs") as unit:
        for version, name in enumerate(names, start=1):
            writes.insert(
                unit,
                tables.commit,
                slice=summary.slice.id,
                version=version,
                at=home.clock(),
                operation="WRITE",
                log_digest="0" * 64,
            )
            writes.insert(
                unit,
                tables.file_change,
                slice=summary.slice.id,
                version=version,
                path=name,
                change=ADDED,
            )
    return summary.slice.id


def _people(numbers: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> pa.ChunkedArray:
    return pa.chunked_array([[f"k1:{_digest(n)}" for n in numbers.tolist()]])


def _digest(person: int) -> str:
    return hashlib.sha256(str(person).encode()).hexdigest()


def _number(person: int) -> int:
    return int.from_bytes(bytes.fromhex(_digest(person)[:16]), "little")


def _milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1_000
