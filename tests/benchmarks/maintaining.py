"""What maintenance costs, and what it keeps quick: a collection over many pins, and opening.

The tables are made of log entries and names alone: neither a collection nor opening reads rows.
"""

import hashlib
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from backstory.lake.checkpoints import add_checkpoint
from backstory.lake.commits import log_entry
from backstory.lake.contract import Contract
from backstory.lake.garbage import collect, look
from backstory.lake.grace import MIN_GRACE
from backstory.lake.manifest import Manifest, ManifestFile
from backstory.lake.pinned import HOLDERS_FOLDER, MANIFEST_FILE, pins_folder
from backstory.lake.snapshot import open_snapshot
from backstory.lake.table import SliceTable
from backstory.lake.trimming import plan_trim, trim
from tests.benchmarks.report import Measure, Topic

PINS, FILES = 50, 5_000
COMMITS, ACTIVE = 10_000, 500
ROUNDS = 9
COLLECTION_SECONDS = 0.2
OPENING_MILLISECONDS = 60

_NOW = datetime(2026, 11, 24, tzinfo=UTC)
_CONTRACT = """
slice: bench/{name}
purpose: measure
columns:
  event_id: {{type: string, role: event_id, nullable: false}}
  value: {{type: float64}}
"""


def measure(pins: int = PINS, files: int = FILES, commits: int = COMMITS) -> Topic:
    """A collection beside pins, and opening a table of many commits before and after a cut."""
    with TemporaryDirectory(prefix="backstory-bench-") as folder:
        pinned = _table(folder, "pinned")
        names = [_name(number) for number in range(files)]
        _commit(pinned, 1, names, [])
        for name in names:
            (pinned.folder / name).touch()
        for number in range(pins):
            _pin(pinned, names, number)
        collecting = _quickest(lambda: look(pinned, _NOW, MIN_GRACE))
        removing = _quickest(lambda: collect(pinned, _NOW, MIN_GRACE, by="bench"))
        long = _table(folder, "long")
        for number in range(1, commits + 1):
            gone = [_name(number - ACTIVE)] if number > ACTIVE else []
            _commit(long, number, [_name(number)], gone)
        add_checkpoint(long.folder, commits, name=long.name)
        opening = _quickest(lambda: open_snapshot(long))
        later = _NOW + timedelta(days=2)
        cut = plan_trim(long, registered=commits, now=later, grace=MIN_GRACE)
        trim(long, cut, now=later, by="bench")
        trimmed = _quickest(lambda: open_snapshot(long))
    return Topic(
        name="maintain",
        measures=[
            Measure(
                what=f"deciding a collection with {pins} pins of {files:,} files",
                value=max(collecting, removing),
                unit="s",
                at_most=COLLECTION_SECONDS,
                times={"look": collecting * 1000, "collect": removing * 1000},
            ),
            Measure(
                what=f"opening a table of {commits:,} commits, {ACTIVE} files of them live",
                value=opening * 1000,
                unit="ms",
                at_most=OPENING_MILLISECONDS,
                times={"whole log": opening * 1000, "trimmed": trimmed * 1000},
            ),
        ],
    )


def _table(folder: str, name: str) -> SliceTable:
    contract = Contract.from_yaml(_CONTRACT.format(name=name))
    return SliceTable.create(Path(folder), contract, at=_NOW)


def _name(number: int) -> str:
    return f"part-{number:08x}-0000-7000-8000-000000000000-{'0' * 64}.parquet"


def _commit(table: SliceTable, version: int, added: list[str], removed: list[str]) -> None:
    stats = json.dumps({"numRecords": 20, "minValues": {}, "maxValues": {}, "nullCount": {}})
    about = {"size": 0, "modificationTime": 0, "dataChange": True, "stats": stats}
    adds = [{"add": {"path": name, "partitionValues": {}, **about}} for name in added]
    removes = [{"remove": {"path": n, "dataChange": True, "size": 0}} for n in removed]
    milliseconds = int(_NOW.timestamp() * 1000)
    info = {"commitInfo": {"timestamp": milliseconds, "operation": "WRITE"}}
    lines = [json.dumps(action) + "\n" for action in (info, *adds, *removes)]
    log_entry(table.folder, version).write_text("".join(lines))


def _pin(table: SliceTable, names: list[str], number: int) -> None:
    manifest = Manifest(
        table_id=f"table-{number}",
        version=1,
        schema_json="{}",
        files=tuple(ManifestFile(path=n, size=0, rows=20, sha256="0" * 64) for n in names),
    )
    text = manifest.to_text().encode()
    folder = pins_folder(table) / hashlib.sha256(text).hexdigest()
    (folder / HOLDERS_FOLDER).mkdir(parents=True)
    (folder / MANIFEST_FILE).write_bytes(text)
    (folder / HOLDERS_FOLDER / f"pin-{number}").touch()


def _quickest(work: Callable[[], object]) -> float:
    """Seconds of the quickest round: what a busy machine adds is no cost of the work."""
    found = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return min(found)
