"""Files into a slice beside a raw pyarrow write of the same rows, many small commits, large files.

Everything counts that a user waits for: reading, the gate with its pseudonyms, the commit and its
registration. Each round ingests the same rows as another source, so that none is a repetition.
"""

import itertools
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq

from backstory.lake.files import ROW_GROUP_ROWS, parquet_options
from backstory.lineage.home import Home, init
from backstory.lineage.taking_files import ingest_files
from tests.benchmarks import many_rows
from tests.benchmarks.append import CONTRACT, make_batch
from tests.benchmarks.report import Measure, Topic

ROWS = 200_000
ROUNDS = 5
COMMITS, COMMIT_ROWS, ENDS = 1_000, 20, 100
FLAT = 1.5  # the last commits beside the first


def measure(rows: int = ROWS, rounds: int = ROUNDS, commits: int = COMMITS) -> Topic:
    """All of it, in homes of their own."""
    with (
        TemporaryDirectory(prefix="backstory-bench-") as folder,
        init(Path(folder, "home")) as home,
    ):
        home.create_slice(CONTRACT)
        files = _files(home, Path(folder), rows, rounds)
        small = _small_commits(home, commits)
    return Topic(name="ingest", measures=[*files, small, *many_rows.measure()])


def _files(home: Home, folder: Path, rows: int, rounds: int) -> list[Measure]:
    batch = make_batch(rows)
    arrow, jsonl, raw = folder / "rows.arrow", folder / "rows.jsonl", folder / "raw.parquet"
    with pa.ipc.new_file(str(arrow), batch.schema) as writer:
        writer.write_table(batch, max_chunksize=ROW_GROUP_ROWS)
    _write_jsonl(batch, jsonl)
    number = itertools.count()

    def ingest(path: Path) -> None:
        list(ingest_files(home, CONTRACT.slice, [path], source=f"round-{next(number)}"))

    works: dict[str, Callable[[], None]] = {
        "pyarrow": lambda: _write_raw(batch, raw),
        "arrow": lambda: ingest(arrow),
        "jsonl": lambda: ingest(jsonl),
    }
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            times[name].append(_milliseconds(work))
    best = {name: min(taken) for name, taken in times.items()}
    return [
        Measure(
            what=f"{name} of {rows:,} rows: how much of a raw pyarrow write's speed is left",
            value=best["pyarrow"] / best[name],
            times={name: best[name], "pyarrow": best["pyarrow"]},
        )
        for name in ("arrow", "jsonl")
    ]


def _write_jsonl(batch: pa.Table, path: Path) -> None:
    frame = batch.to_pandas()
    frame.to_json(path, orient="records", lines=True, date_format="iso", date_unit="us")


def _write_raw(batch: pa.Table, path: Path) -> None:
    with path.open("wb") as file:
        with pq.ParquetWriter(file, batch.schema, **parquet_options(batch, CONTRACT)) as writer:
            writer.write_table(batch, row_group_size=ROW_GROUP_ROWS)
        file.flush()
        os.fsync(file.fileno())


def _small_commits(home: Home, commits: int) -> Measure:
    batch = make_batch(COMMIT_ROWS * commits, seed=11)
    home.create_slice(CONTRACT.to_json().replace("bench/append", "bench/small"))
    small = home.slice("bench/small")

    def append(number: int) -> None:
        rows = batch.slice(number * COMMIT_ROWS, COMMIT_ROWS)
        small.append(rows, source="app", offset=number + 1)

    times = [_milliseconds(partial(append, number)) for number in range(commits)]
    ends = max(1, commits * ENDS // COMMITS)
    first, last = sum(times[:ends]) / ends, sum(times[-ends:]) / ends
    return Measure(
        what=f"the last {ends} of {commits:,} commits of {COMMIT_ROWS} rows beside the first",
        value=last / first,
        at_most=FLAT,
        times={"first": first, "last": last},
    )


def _milliseconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000
