"""Ten million rows of a file by `backstory ingest`, and how much memory that takes at its most.

The rows are made, and written by pyarrow alone, in a process of their own: neither its memory nor
that of whoever measures is part of the figure.

    python -m tests.benchmarks.many_rows FOLDER ROWS
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from backstory.lake.contract import Contract
from backstory.lake.files import ROW_GROUP_ROWS, parquet_options
from backstory.lake.sources.batches import PART_ROWS
from backstory.lineage.home import init
from tests.benchmarks.report import Measure

ROWS = 10_000_000
GIBIBYTES = 2.0
CONTRACT = Contract.from_yaml("""
slice: bench/many
purpose: measure
columns:
  event_id: {type: string, role: event_id, nullable: false}
  at: {type: timestamp, role: event_time}
  user: {type: string, role: subject}
  signal: {type: string}
  value: {type: float64}
  label: {type: int64}
""")
_MADE = """
SELECT CAST(uuid() AS VARCHAR) AS event_id,
       strftime(TIMESTAMP '2026-11-01' + to_milliseconds(n), '%Y-%m-%dT%H:%M:%S.%fZ') AS at,
       'user-' || CAST(floor(random() * 200000) AS INTEGER) AS "user",
       ['up', 'down', 'none'][1 + CAST(floor(random() * 3) AS INTEGER)] AS signal,
       random() AS value,
       CAST(floor(random() * 10) AS BIGINT) AS label
FROM range({rows}) AS numbers(n)
"""
_INGEST = """
import sys
from backstory.cli.main import main
try:
    main(sys.argv[1:])
finally:  # of this program alone: `ru_maxrss` begins with that of the process that started it
    [peak] = (line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(peak.split()[1], file=sys.stderr)
"""


def measure(rows: int = ROWS) -> list[Measure]:
    """The memory of the command at its most, and its speed beside pyarrow's, by the file's format.

    Args:
        rows: how many there are.
    """
    with TemporaryDirectory(prefix="backstory-bench-") as folder:
        raw = float(_run("-m", __name__, folder, str(rows)).stdout)
        found = []
        for kind in ("jsonl", "parquet"):
            took, peak = _ingest(Path(folder), kind, rows)
            found += [
                Measure(
                    what=f"memory of {rows:,} rows of {kind} by `backstory ingest`",
                    value=peak,
                    unit="GiB",
                    at_most=GIBIBYTES,
                ),
                Measure(
                    what=f"their speed: {rows / took:,.0f} rows/s; of a raw pyarrow write's",
                    value=raw / took,
                    times={"ingest": took * 1_000, "pyarrow": raw * 1_000},
                ),
            ]
        return found


def _ingest(folder: Path, kind: str, rows: int) -> tuple[float, float]:
    """Seconds and GiB of a new home's first file."""
    home = folder / kind
    with init(home) as opened:
        opened.create_slice(CONTRACT)
    words = ("ingest", CONTRACT.slice, str(folder / f"rows.{kind}"), "--home", str(home), "--json")
    started = time.perf_counter()
    done = _run("-c", _INGEST, *words)
    took = time.perf_counter() - started
    [receipt] = json.loads(done.stdout)["data"]
    if receipt["accepted"] != rows:
        raise RuntimeError(f"{receipt['accepted']} of {rows} rows were stored")
    return took, int(done.stderr.split()[-1]) / (1 << 20)


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], check=True, capture_output=True, text=True)


def make(folder: Path, rows: int) -> float:
    """Write the rows in both formats; gives the seconds that pyarrow alone takes for Parquet."""
    with duckdb.connect() as con:
        con.execute(f"COPY ({_MADE.format(rows=rows)}) TO '{folder / 'rows.jsonl'}' (FORMAT json)")
        read = con.read_json(str(folder / "rows.jsonl"), format="newline_delimited")
        took, writer = 0.0, None
        for batch in read.to_arrow_reader(PART_ROWS):
            table = pa.Table.from_batches([batch]).cast(CONTRACT.schema)
            if writer is None:
                options = parquet_options(table, CONTRACT)
                writer = pq.ParquetWriter(folder / "rows.parquet", table.schema, **options)
            started = time.perf_counter()
            writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
            took += time.perf_counter() - started
        if writer is not None:
            writer.close()
    return took


if __name__ == "__main__":
    print(make(Path(sys.argv[1]), int(sys.argv[2])))
