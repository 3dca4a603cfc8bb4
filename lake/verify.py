"""Proving that a table's bytes are what was recorded: hashed again, replayed again, compared.

The steps, numbered as in the code:

1. Pins: the manifest has the digest that names its folder; holders and digests prove themselves;
   the checkpoint has its digest and says what the manifest says; copies are checked as data.
2. Log: recorded entries and checkpoints have their digests; no entry is missing between two others
   (a trimmed beginning is no fault); the log, replayed by `backstory.lake.replay`, says what
   delta-rs and the pins' manifests say; `_last_checkpoint` points to the newest checkpoint.
3. Contracts: each is the text that its meaning has, with its recorded digest.
4. Data: each file of the newest version and of every pin is there, with its size and SHA-256.
5. Statistics: rows, and what Delta knows of each file, against the file's own footer.
6. Subject sets, quarantines and what maintenance noted: each proves itself, and may be missing.
7. Profiles of those files, and what their histograms are counted on: each is what was written. None
    is needed: a file without one is read where its profile is asked for.

Of a table that others write only pins are checked: nothing else was promised. Data is hashed once,
however many snapshots list it. Nothing is mended or written here.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa
import pyarrow.parquet as pq

from backstory.lake.checkpoints import read_checkpoint
from backstory.lake.commits import LOG_FOLDER, kept_entry, log_entry
from backstory.lake.errors import IntegrityError
from backstory.lake.files import hash_file, stats_from_footer
from backstory.lake.findings import Finding
from backstory.lake.linked import LINK_FILE, LinkedTable
from backstory.lake.location import inside
from backstory.lake.manifest import Manifest, ManifestFile
from backstory.lake.object_path import parquet_source
from backstory.lake.pinned import (
    CHECKPOINT_FILE,
    DIGESTS_FILE,
    MANIFEST_FILE,
    copies_in,
    holder_files,
    pin_folders,
    pins_folder,
    read_digests,
    read_holder,
    read_manifest,
    same_content,
    snapshot_kept,
)
from backstory.lake.replay import Added, LogState
from backstory.lake.segments import log_files, segment
from backstory.lake.snapshot import OpenedBy, Snapshot, Table, open_snapshot
from backstory.lake.table import SliceTable
from backstory.lake.tally import Expected, Tally
from backstory.lake.verify_beside import check_beside
from backstory.lake.verify_log import (
    check_contracts,
    check_last_checkpoint,
    check_log,
    check_recorded,
    recorded_checkpoints,
)
from backstory.lake.verify_profiles import check_profiles

_NONE: Mapping[int, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was looked at, and what is not as it was recorded.

    Attributes:
        checked_files: files hashed.
        checked_bytes: bytes read for it.
        findings: everything that differs, each with its file.
    """

    checked_files: int
    checked_bytes: int
    findings: tuple[Finding, ...]


def log_entry_digest(folder: Path, version: int) -> str:
    """SHA-256 of a log entry's bytes, to be recorded when the commit is registered."""
    return hash_file(log_entry(folder, version))[0]


def verify_table(
    table: Table,
    *,
    log_digests: Mapping[int, str] = _NONE,
    contract_digests: Mapping[int, str] = _NONE,
) -> Verified:
    """Verify a whole table: its newest version, all pins, its log and contracts.

    Args:
        table: the table.
        log_digests: recorded digests of log entries, by version.
        contract_digests: recorded digests of contracts, by version.
    """
    tally = _tally(table)
    entries = ((log_entry(table.folder, v), sha256) for v, sha256 in log_digests.items())
    recorded = {kept_entry(path): sha256 for path, sha256 in entries}
    snapshots: list[Snapshot] = []
    for folder in pin_folders(table):  # 1
        snapshots += _pin(tally, table, folder, recorded)
    state = LogState()
    if isinstance(table, SliceTable):  # 2, 3
        with tally.reading(table.name, table.folder / LOG_FOLDER):
            snapshots.append(open_snapshot(table))
        state = check_log(tally, table, log_files(table.folder), snapshots)
        recorded |= recorded_checkpoints(tally, table)
        check_last_checkpoint(tally, table)
        check_contracts(tally, table, contract_digests)
    else:
        with tally.reading(table.name, table.home / LINK_FILE):
            LinkedTable.open(tally.root, table.name)
    check_recorded(tally, table, recorded)  # 2
    _data(tally, table, snapshots, state)  # 4, 5
    if isinstance(table, SliceTable):
        check_beside(tally, table)  # 6
    check_profiles(tally, table, snapshots)  # 7
    return _verified(tally)


def verify_snapshot(table: Table, snapshot: Snapshot) -> Verified:
    """Verify one version: its files, its log where it was opened by it, its pin if it has one."""
    tally = _tally(table)
    recorded: dict[Path, str] = {}
    folder = pins_folder(table) / snapshot.digest
    if folder.is_dir():  # 1
        _pin(tally, table, folder, recorded)
    state = LogState()
    if isinstance(table, SliceTable) and snapshot.opened_by is OpenedBy.DELTA:  # 2
        with tally.reading(str(snapshot), table.folder / LOG_FOLDER):
            files = segment(table.folder, snapshot.version)
            state = check_log(tally, table, files, [snapshot])
    check_recorded(tally, table, recorded)  # 2
    _data(tally, table, [snapshot], state)  # 4, 5
    check_profiles(tally, table, [snapshot])  # 7
    return _verified(tally)


def _tally(table: Table) -> Tally:
    if isinstance(table, LinkedTable):
        return Tally(root=table.home.parent.parent)
    return Tally(root=table.folder.parent)


def _verified(tally: Tally) -> Verified:
    return Verified(
        checked_files=tally.files,
        checked_bytes=tally.bytes,
        findings=tuple(dict.fromkeys(tally.findings)),
    )


def _pin(tally: Tally, table: Table, folder: Path, recorded: dict[Path, str]) -> list[Snapshot]:
    """Check a pin's own files, collect the digests it recorded, and give its snapshot."""
    where = f"pin {folder.name[:12]} of {table.name}"
    for path in holder_files(folder):
        with tally.reading(where, path):
            if read_holder(path).digest != folder.name:
                tally.note(where, path, "misplaced", folder.name, "a holder of something else")
    copies = copies_in(folder)
    with tally.reading(where, folder / DIGESTS_FILE):
        for name, sha256 in read_digests(folder).items():
            if name == CHECKPOINT_FILE:
                recorded[folder / name] = sha256
            elif copies is None:  # a copy needs nothing of its table
                recorded[kept_entry(table.folder / name)] = sha256
    snapshots = []
    with tally.reading(where, folder / MANIFEST_FILE):
        manifest = read_manifest(folder)
        _checkpoint(tally, where, table, folder, manifest)
        snapshots.append(snapshot_kept(table, folder, manifest))
    return snapshots


def _checkpoint(tally: Tally, where: str, table: Table, folder: Path, manifest: Manifest) -> None:
    """The pin's checkpoint must say what the manifest says; rewritten copies have none."""
    path = folder / CHECKPOINT_FILE
    if not path.exists():
        return
    with tally.reading(where, path):
        said = read_checkpoint(path, manifest.version, table.folder, name=table.name).manifest
        if not same_content(said, manifest):
            tally.note(where, path, "contradicts", manifest.digest, said.digest)


def _data(tally: Tally, table: Table, snapshots: Sequence[Snapshot], state: LogState) -> None:
    """Hash every data file once, then compare those that are intact with their footers."""
    files: dict[Path, tuple[Snapshot, ManifestFile]] = {}
    for snapshot in snapshots:
        for file in snapshot.manifest.files:
            with tally.reading(str(snapshot), snapshot.folder / file.path):
                files.setdefault(inside(snapshot.folder, file.path), (snapshot, file))
    intact = tally.compare(
        Expected(where=str(snapshot), path=path, sha256=file.sha256, size=file.size)
        for path, (snapshot, file) in files.items()
    )
    for path, (snapshot, file) in files.items():
        if path in intact and not snapshot.needs_engine:
            added = state.files.get(file.path) if snapshot.folder == table.folder else None
            with tally.reading(str(snapshot), path):
                for problem, expected, found in _statistics(table, path, file, added):
                    tally.note(str(snapshot), path, problem, expected, found)


def _statistics(
    table: Table, path: Path, file: ManifestFile, added: Added | None
) -> Iterator[tuple[str, str, str]]:
    """Where a file's rows, or what Delta knows of it, are not what its footer says."""
    try:
        rows = pq.read_metadata(parquet_source(path)).num_rows
        stats = stats_from_footer(path, table.contract.personal_columns)
    except (pa.ArrowException, OSError) as exc:
        raise IntegrityError(f"no readable footer: {exc}") from exc
    if rows != file.rows:
        yield "rows", f"{file.rows} rows", f"{rows} rows"
    if added is not None and added.stats != (text := json.dumps(stats, separators=(",", ":"))):
        yield "statistics", text, added.stats or "none"
