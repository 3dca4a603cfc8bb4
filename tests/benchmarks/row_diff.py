"""What a row diff costs: a small change of a big table beside the full join of both versions.

A table of ten million rows in 500 files gets 10,000 rows more, loses one file of 1,000 rows less
and has 500 rows changed in another. The peer joins all rows of both versions by key, with a hash of
each row: the quickest way to the same answer for who knows nothing of files. After that, all files
are compacted into fewer, and the diff is the same. Memory is measured in a process of its own.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable, PostCommitHookProperties
from deltalake.transaction import AddAction, RemoveAction

from backstory.lake.change_shares import RowCounts
from backstory.lake.contract import SYSTEM_FIELDS, Contract
from backstory.lake.kept_sums import keep_sums
from backstory.lake.logical_sum import sum_of_file
from backstory.lake.moved_rows import DifferingFiles
from backstory.lake.row_diff import diff_rows
from backstory.lake.snapshot import Snapshot, open_snapshot
from backstory.lake.table import SliceTable
from tests.benchmarks.append import NOW
from tests.benchmarks.report import Measure, Topic

FILES, ROWS = 500, 20_000
PUT_TOGETHER = 5  # files that one compacted file is made of
AT_LEAST = 20.0
GIBIBYTES = 2.0
ROUNDS = 5
EXPECTED = RowCounts(added=10_000, removed=1_000, changed=500)
CONTRACT = Contract.from_yaml("""
slice: bench/diff
purpose: measure
columns:
  event_id: {type: string, role: event_id, nullable: false}
  at: {type: timestamp, role: event_time}
  user: {type: string, role: subject}
  signal: {type: string}
  value: {type: float64}
  label: {type: int64}
""")
_HOOKS = PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=False)
_AT = int(NOW.timestamp() * 1_000)


def measure(files: int = FILES, rows: int = ROWS) -> Iterator[Topic]:
    """Diffs of a small change, before and after a compaction, and memory of a whole join."""
    with TemporaryDirectory(prefix="backstory-bench-") as folder:
        table = SliceTable.create(Path(folder), CONTRACT, at=NOW)
        _fill(table, files, rows)
        _change(table)
        small, full = _times(table, 2)
        _compact(table)
        compacted, _ = _times(table, 3, full=False)
        peak = _peak(table)
        yield Topic(
            name="row diff",
            measures=[
                _measure(f"{files * rows:,} rows in {files} files", full, small),
                _measure("the same after all files were compacted", full, compacted),
                Measure(
                    what="memory of a join of all rows of both versions",
                    value=peak,
                    unit="GiB",
                    at_most=GIBIBYTES,
                ),
            ],
            notes=["beside a full join by key of a hash of each row; medians"],
        )


def _measure(what: str, full: float, small: float) -> Measure:
    return Measure(
        what=f"diff of a small change, {what}",
        value=full / small,
        at_least=AT_LEAST,
        times={"diff": small * 1_000, "full join": full * 1_000},
    )


def _times(table: SliceTable, version: int, *, full: bool = True) -> tuple[float, float]:
    """Seconds of our diff and of the full join, in turn."""
    ours, theirs = list[float](), list[float]()
    for round_ in range(ROUNDS + 1):
        begun = time.perf_counter()
        with diff_rows(
            open_snapshot(table, 1), open_snapshot(table, version), key="event_id"
        ) as diff:
            if diff.counts != EXPECTED:
                raise AssertionError(f"{diff.counts} is not what was changed")
        if round_:
            ours.append(time.perf_counter() - begun)
        if full and round_ <= 3:
            theirs.append(_full_join(open_snapshot(table, 1), open_snapshot(table, version)))
    return median(ours), median(theirs) if full else 0.0


def _full_join(a: Snapshot, b: Snapshot) -> float:
    values = ", ".join(f'"{name}"' for name in a.schema.names)
    sides = (
        f"SELECT event_id, hash({values}) AS h FROM read_parquet("
        f"{[str(s.folder / file.path) for file in s.manifest.files]!r})"
        for s in (a, b)
    )
    old, new = sides
    begun = time.perf_counter()
    with duckdb.connect() as con:
        found = con.execute(
            f"SELECT count(*) FILTER (o.h IS NULL), count(*) FILTER (n.h IS NULL), count(*) "
            f"FROM ({old}) o FULL JOIN ({new}) n USING (event_id) WHERE o.h IS DISTINCT FROM n.h"
        ).fetchone()
    taken = time.perf_counter() - begun
    if found != (EXPECTED.added, EXPECTED.removed, 11_500):
        raise AssertionError(f"the full join found {found}")
    return taken


def _peak(table: SliceTable) -> float:
    """The most memory, in GiB, of a process that joins all rows of both versions."""
    command = [sys.executable, "-m", "tests.benchmarks.row_diff", str(table.folder.parent)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(ran.stdout)["peak"])


def join_all(root: Path) -> None:
    """Compare without what files and sums tell, and say how much memory it took."""
    table = SliceTable.open(root, CONTRACT.slice)
    a, b = open_snapshot(table, 1), open_snapshot(table)
    files = DifferingFiles(removed=a.manifest.files, added=b.manifest.files)
    with diff_rows(a, b, key="event_id", files=files) as diff:
        if diff.counts != EXPECTED:
            raise AssertionError(f"{diff.counts} is not what was changed")
        for _ in diff.stream():
            pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    print(json.dumps({"peak": peak}))


def _batch(first: int, count: int) -> pa.Table:
    random = np.random.default_rng(first)
    numbers = pa.array(np.arange(first, first + count))
    ids = pc.binary_join_element_wise(
        "event", pc.utf8_lpad(numbers.cast(pa.string()), 12, "0"), "-"
    )
    stored = {
        "event_id": ids,
        "at": pa.array(1_700_000_000_000_000 + np.arange(first, first + count) * 1_000),
        "user": pa.array(random.integers(0, 200_000, count)).cast(pa.string()),
        "signal": np.array(["up", "down", "none"])[random.integers(0, 3, count)],
        "value": random.random(count),
        "label": random.integers(0, 10, count),
        "_source": pa.repeat("bench", count),
        "_offset": pa.repeat(first, count),
        "_ingested_at": pa.repeat(pa.scalar(NOW, pa.timestamp("us", "UTC")), count),
    }
    schema = pa.schema([*CONTRACT.schema, *SYSTEM_FIELDS])
    return pa.table({name: pa.chunked_array([pa.array(v)]) for name, v in stored.items()}).cast(
        schema
    )


def _fill(table: SliceTable, files: int, rows: int) -> None:
    _commit(table, [], (_batch(number * rows, rows) for number in range(files)))


def _change(table: SliceTable) -> None:
    """10,000 rows more, 1,000 fewer in one file, 500 changed in another."""
    fewer, changed = (file.path for file in open_snapshot(table).manifest.files[:2])
    before = pq.read_table(table.folder / changed)
    label = before.schema.get_field_index("label")
    flags = pa.array(np.arange(before.num_rows) < EXPECTED.changed)
    values = pc.if_else(flags, pc.add(before["label"], 1), before["label"])
    after = before.set_column(label, before.schema.field("label"), values)
    kept = pq.read_table(table.folder / fewer).slice(EXPECTED.removed)
    more = _batch(FILES * ROWS, EXPECTED.added)
    _commit(table, [fewer, changed], [kept, after, more])


def _compact(table: SliceTable) -> None:
    """Write all files anew, and keep the sums, as compaction does."""
    paths = sorted(file.path for file in open_snapshot(table).manifest.files)
    together = [paths[at : at + PUT_TOGETHER] for at in range(0, len(paths), PUT_TOGETHER)]
    put = (pa.concat_tables([pq.read_table(table.folder / p) for p in some]) for some in together)
    paths += _commit(table, paths, put, data_change=False)
    keep_sums(table.folder, "0", {path: sum_of_file(table.folder / path) for path in paths})


def _commit(
    table: SliceTable,
    taken: Sequence[str],
    put: Iterable[pa.Table],
    *,
    data_change: bool = True,
) -> list[str]:
    delta = DeltaTable(str(table.folder))
    adds = [_written(table.folder, rows, data_change=data_change) for rows in put]
    removes = [RemoveAction(path, data_change, _AT) for path in taken]
    delta.create_write_transaction(
        [*removes, *adds], "append", delta.schema(), post_commithook_properties=_HOOKS
    )
    return [add.path for add in adds]


def _written(folder: Path, rows: pa.Table, *, data_change: bool) -> AddAction:
    """A file without what costs time and is not looked at here: digest, bounds, fsync."""
    name = f"part-{time.time_ns():036x}-{'0' * 64}.parquet"
    pq.write_table(rows, folder / name, compression="zstd", compression_level=1)
    stats = json.dumps({"numRecords": rows.num_rows})
    return AddAction(name, (folder / name).stat().st_size, {}, _AT, data_change, stats)


if __name__ == "__main__":
    join_all(Path(sys.argv[1]))
