"""The part of verification that looks at a table's log, checkpoints and contracts.

Each function adds what it finds to a tally. A log whose beginning was trimmed is whole; one with a
hole is not.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from backstory.lake.checkpoints import checkpoint_records
from backstory.lake.commits import ARCHIVE_FOLDER, LOG_FOLDER, kept_entry, log_entry
from backstory.lake.contract import Contract
from backstory.lake.contract_files import CONTRACT_FOLDER
from backstory.lake.manifest import Manifest
from backstory.lake.object_path import parquet_source
from backstory.lake.replay import LogDamageError, LogState, replay
from backstory.lake.sealed import read_sealed
from backstory.lake.segments import LogFile, log_files
from backstory.lake.snapshot import Snapshot, Table
from backstory.lake.table import SliceTable
from backstory.lake.tally import Expected, Tally


def check_log(
    tally: Tally, table: SliceTable, files: Sequence[LogFile], snapshots: Sequence[Snapshot]
) -> LogState:
    """Replay log files and compare what they say with the manifests of their versions.

    Returns:
        The state after the last file; empty where the log does not lead there.
    """
    missing = [v for v in _holes(files) if not kept_entry(log_entry(table.folder, v)).exists()]
    for version in missing:
        path = log_entry(table.folder, version)
        tally.note(table.name, path, "missing", "a log entry", "nothing")
    state = LogState()
    try:
        for version, state in replay([] if missing else files):
            for snapshot in snapshots:
                if snapshot.version == version and not _says(state, snapshot.manifest):
                    path = table.folder / LOG_FOLDER
                    tally.note(str(snapshot), path, "contradicts", snapshot.digest, "other files")
    except LogDamageError as exc:
        tally.note(table.name, exc.path, "damaged", "what was written", exc.message)
        return LogState()
    return state


def check_recorded(tally: Tally, table: Table, recorded: Mapping[Path, str]) -> None:
    """Compare log entries, checkpoints and contracts with the digests recorded of them."""
    log = table.folder / LOG_FOLDER
    begin = _begin(log_files(table.folder))
    archived = (table.folder / ARCHIVE_FOLDER).exists()  # then no entry was cut and not kept
    tally.compare(
        Expected(where=table.name, path=path, sha256=sha256)
        for path, sha256 in sorted(recorded.items())
        if path.exists()
        or path.parent != log
        or int(path.name[:20]) >= begin
        or (archived and path.suffix == ".json")
    )


def recorded_checkpoints(tally: Tally, table: SliceTable) -> dict[Path, str]:
    """The digests that were recorded of a table's checkpoints; each record proves itself."""
    recorded = {}
    for record in checkpoint_records(table.folder):
        with tally.reading(table.name, record):
            recorded[table.folder / LOG_FOLDER / record.name] = read_sealed(record).strip()
    return recorded


def check_last_checkpoint(tally: Tally, table: SliceTable) -> None:
    """Delta's hint where to begin reading must name a checkpoint, in delta-rs's own words."""
    path = table.folder / LOG_FOLDER / "_last_checkpoint"
    if not path.exists():
        return  # readers do without it
    checkpoints = [file for file in log_files(table.folder) if file.parts]
    found = path.read_bytes()
    with tally.reading(table.name, path):
        if not any(_hint(file) == found for file in reversed(checkpoints)):
            tally.note(table.name, path, "changed", "the newest checkpoint", "something else")


def check_contracts(tally: Tally, table: SliceTable, recorded: Mapping[int, str]) -> None:
    """Contracts must be in the one text that their meaning has, and have their digests."""
    folder = table.folder / CONTRACT_FOLDER
    expected = {folder / f"v{version}.json": sha256 for version, sha256 in recorded.items()}
    paths = {*expected, *folder.glob("*.json")}
    intact = tally.compare(
        Expected(where=table.name, path=path, sha256=expected.get(path, ""))
        for path in sorted(paths)
    )
    for path in sorted(intact - set(expected)):
        with tally.reading(table.name, path):
            text = path.read_bytes().decode(errors="replace")
            contract = Contract.from_json(text)
            is_itself = path.name == f"v{contract.version}.json" and contract.slice == table.name
            if not is_itself or contract.to_json() != text:
                tally.note(table.name, path, "changed", "a contract's own text", "another text")


def _holes(files: Sequence[LogFile]) -> list[int]:
    """The versions whose entries are missing."""
    entries = {file.version for file in files if not file.parts}
    return sorted(set(range(_begin(files), max(entries, default=0))) - entries)


def _begin(files: Sequence[LogFile]) -> int:
    """Where a log rightly begins: at version 0, or at a checkpoint that it was trimmed to."""
    first = min((file.version for file in files if not file.parts), default=0)
    checkpoints = {file.version for file in files if file.parts}
    return first if {first - 1, first} & checkpoints else 0


def _says(state: LogState, manifest: Manifest) -> bool:
    """Whether a replayed state is what a manifest says."""
    return (
        state.table_id == manifest.table_id
        and _json(state.schema_json) == _json(manifest.schema_json)
        and {path: added.size for path, added in state.files.items()}
        == {file.path: file.size for file in manifest.files}
    )


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _hint(checkpoint: LogFile) -> bytes:
    try:
        file = pq.ParquetFile(parquet_source(checkpoint.path))
        adds = file.read(["add.path"])["add"]
        rows = file.metadata.num_rows
    except (pa.ArrowException, KeyError, OSError) as exc:
        raise LogDamageError(checkpoint.path, f"does not parse: {exc}") from exc
    size = checkpoint.path.stat().st_size
    hint = {
        "version": checkpoint.version,
        "size": rows,
        "sizeInBytes": size,
        "numOfAddFiles": rows - adds.null_count,
    }
    return f"{json.dumps(hint, separators=(',', ':'))}\n".encode()
