"""An append beside a raw pyarrow write of the same rows with the same encoding and fsync.

Rounds are interleaved and the quickest of each counts: a shared machine makes both slow at times,
and nothing makes either quicker than it is.
Steps are timed by wrapping the functions that the append calls, so the product knows nothing of it.

    python -m tests.benchmarks.append [ROWS] [ROUNDS]
"""

import hashlib
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from backstory.lake import table
from backstory.lake.attempt import Attempt
from backstory.lake.batch import Batch
from backstory.lake.contract import Contract
from backstory.lake.files import ROW_GROUP_ROWS, parquet_options
from backstory.lake.recent_events import RecentEvents
from backstory.lake.table import SliceTable
from backstory.lake.types import TIMESTAMP

FLOOR = 0.75
NOW = datetime(2026, 11, 24, tzinfo=UTC)
CONTRACT = Contract.from_yaml("""
slice: bench/append
purpose: measure
columns:
  event_id: {type: string, role: event_id, nullable: false}
  at: {type: timestamp, role: event_time}
  user: {type: string, role: subject}
  interaction: {type: string, role: interaction_id}
  signal: {type: string}
  value: {type: float64}
  position: {type: int64}
  label: {type: int64}
  text: {type: string}
""")

# What an append does, by the function that does it; the digest runs beside the data file.
STEPS: dict[str, tuple[Any, str]] = {
    "read the log": (SliceTable, "_last"),
    "events that came before": (RecentEvents, "fresh"),
    "system columns": (Attempt, "stored"),
    "data file, profile, subjects": (table, "write_with_derived"),
    "  batch digest, beside it": (Batch, "digested"),
    "commit": (SliceTable, "_try"),
    "read the outcome": (table, "find_append"),
    "sync the log": (table, "sync_log"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendTimes:
    """The quickest rounds, in milliseconds.

    Attributes:
        raw: pyarrow alone.
        append: the whole append.
        steps: each step of that append.
    """

    raw: float
    append: float
    steps: dict[str, float]

    @property
    def ratio(self) -> float:
        """How much of pyarrow's speed is left."""
        return self.raw / self.append

    def __str__(self) -> str:
        both = f"append {self.append:.1f} ms, raw pyarrow {self.raw:.1f} ms"
        steps = (f"  {s:26}{ms:6.1f} ms {ms / self.append:6.1%}" for s, ms in self.steps.items())
        return "\n".join([f"{both}: {self.ratio:.2f} of raw (floor {FLOOR})", *steps])


def make_batch(rows: int, seed: int = 7) -> pa.Table:
    """Nine columns, about 280 bytes a row, the text of about 170 characters."""
    random = np.random.default_rng(seed)
    words = np.array([f"w{n:04d}" for n in range(3_000)])
    return pa.table(
        {
            "event_id": [str(uuid.UUID(bytes=random.bytes(16))) for _ in range(rows)],
            "at": pa.array(1_700_000_000_000_000 + np.arange(rows) * 1_000, TIMESTAMP),
            "user": [
                f"k1:{hashlib.sha256(str(n).encode()).hexdigest()}"
                for n in random.integers(0, rows // 5 + 1, rows)
            ],
            "interaction": [str(uuid.UUID(bytes=random.bytes(16))) for _ in range(rows)],
            "signal": np.array(["up", "down", "none"])[random.integers(0, 3, rows)],
            "value": random.random(rows),
            "position": random.integers(0, 50, rows),
            "label": random.integers(0, 10, rows),
            "text": [" ".join(line) for line in words[random.integers(0, 3_000, (rows, 28))]],
        },
        schema=CONTRACT.schema,
    )


def with_new_events(batch: pa.Table, seed: int) -> pa.Table:
    """The same rows as other events: those that come again would not be written."""
    random = np.random.default_rng(seed + 1_000)
    ids = [str(uuid.UUID(bytes=random.bytes(16))) for _ in range(batch.num_rows)]
    return batch.set_column(0, batch.schema.field(0), pa.array(ids))


def measure(rows: int = 100_000, rounds: int = 15) -> AppendTimes:
    """Time both, round by round, after one round to warm up."""
    batch = make_batch(rows)
    with tempfile.TemporaryDirectory() as folder:
        slice_table = SliceTable.create(Path(folder) / "lake", CONTRACT, at=NOW)
        write_raw(batch, Path(folder) / "0.parquet")
        write_append(slice_table, batch, 0)
        raw: list[float] = []
        append: list[tuple[float, dict[str, float]]] = []
        for offset in range(1, rounds + 1):
            batch = with_new_events(batch, offset)
            path = Path(folder) / f"{offset}.parquet"  # truncating an old one would cost it
            raw.append(_milliseconds(partial(write_raw, batch, path)))
            with timed_steps() as steps:
                whole = _milliseconds(partial(write_append, slice_table, batch, offset))
            append.append((whole, steps))
    quickest, steps = min(append, key=itemgetter(0))
    return AppendTimes(raw=min(raw), append=quickest, steps=steps)


def write_raw(batch: pa.Table, path: Path) -> None:
    """What anybody would do with pyarrow, encoded as we do and synced."""
    with path.open("wb") as file:
        options = parquet_options(batch, CONTRACT)
        with pq.ParquetWriter(file, batch.schema, **options) as writer:
            writer.write_table(batch, row_group_size=ROW_GROUP_ROWS)
        file.flush()
        os.fsync(file.fileno())


def new_id() -> str:
    """Any unique text: a version 4 UUID is as long as a version 7 one."""
    return str(uuid.uuid4())


def write_append(slice_table: SliceTable, batch: pa.Table, offset: int) -> None:
    """The product's whole way."""
    slice_table.append(batch, source="bench", offset=offset, at=NOW, new_id=new_id)


@contextmanager
def timed_steps() -> Iterator[dict[str, float]]:
    """Add up the milliseconds of each step while the block runs."""
    times = dict.fromkeys(STEPS, 0.0)
    with ExitStack() as stack:
        for step, (owner, name) in STEPS.items():
            timed = _timed(getattr(owner, name), step, times)
            stack.enter_context(mock.patch.object(owner, name, timed))
        yield times


def _timed(call: Callable[..., Any], step: str, times: dict[str, float]) -> Callable[..., Any]:
    def timed(*args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        try:
            return call(*args, **kwargs)
        finally:
            times[step] += (time.perf_counter() - started) * 1_000

    return timed


def _milliseconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1_000


if __name__ == "__main__":
    print(measure(*map(int, sys.argv[1:])))
