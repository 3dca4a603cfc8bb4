"""The files that a table at a version consists of, so that all of it can be taken elsewhere.

Keeps true: what is named makes the table at exactly that version, as if nobody had written since:
enough to open it, to read every earlier version that still could be read, and to verify it all.
Nothing is locked, and who appends meanwhile is not disturbed: what a log says up to a version was
in its place before that version was. Delta's hint where to begin reading is left out: it speaks of
the newest version, and readers do without it.

Pins are named one by one, since they may end at any moment. Of a table of others our link and what
pins copied are ours to take; the table is not.
"""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from backstory.lake.checkpoints import checkpoint_records
from backstory.lake.commits import ARCHIVE_FOLDER, paths_added, read_commit
from backstory.lake.contract_files import CONTRACT_FOLDER
from backstory.lake.linked import LINK_FILE, LinkedTable
from backstory.lake.location import inside
from backstory.lake.pinned import (
    FILES_FOLDER,
    HOLDERS_FOLDER,
    copies_in,
    pins_folder,
    read_manifest,
)
from backstory.lake.profiles import edges_files, profile_file
from backstory.lake.segments import log_files
from backstory.lake.snapshot import Table
from backstory.lake.table import SliceTable
from backstory.lake.versions import read_version


def table_files(table: Table, version: int, contracts: Collection[int]) -> Iterator[Path]:
    """The files of a table at a version, its pins aside.

    Args:
        table: a slice, or a link.
        version: the last one that belongs to it.
        contracts: the versions of its contract that belong to it.

    Raises:
        GoneError: the version can no longer be opened.
        IntegrityError: its log is damaged.
    """
    if isinstance(table, LinkedTable):
        yield table.home / LINK_FILE
        return
    for number in sorted(contracts):
        yield table.folder / CONTRACT_FOLDER / f"v{number}.json"
    yield from (path for path in checkpoint_records(table.folder) if _number(path) <= version)
    log = [file for file in log_files(table.folder) if file.version <= version]
    yield from (file.path for file in log)
    archive = sorted((table.folder / ARCHIVE_FOLDER).glob("*.json"))
    yield from (path for path in archive if _number(path) <= version)
    needed = {
        file.path for file in read_version(table.folder, version, name=table.name).manifest.files
    }
    entries = [file.version for file in log if not file.parts]
    earlier = {path for entry in entries for path in paths_added(table.folder, entry)} - needed
    for name in sorted(needed):
        yield inside(table.folder, name)
    for entry in entries:
        rejected = read_commit(table.folder, entry, name=table.name).gate.get("quarantine")
        if rejected and (path := inside(table.folder, rejected)).exists():
            yield path  # gone where no row of it waits
    # What only earlier versions need may have been collected; then they are gone here too.
    for name in sorted(earlier):
        if (path := inside(table.folder, name)).exists():
            yield path
    kept = (profile_file(table.folder, name) for name in sorted(needed | earlier))
    yield from (path for path in kept if path.exists())
    yield from edges_files(table.folder)


def data_of_pin(table: Table, pinned: Path) -> Iterator[Path]:
    """The data files of a table that a pinned snapshot needs; none where the pin has copies.

    Args:
        table: a slice, or a link.
        pinned: the snapshot's own files, or a copy of them: they may go where a pin is released.
    """
    if isinstance(table, SliceTable) and pinned.exists() and not copies_in(pinned):
        for file in read_manifest(pinned).files:
            yield inside(table.folder, file.path)


def pin_files(table: Table, digest: str, pin_ids: Iterable[str]) -> list[Path]:
    """The files of a pinned snapshot with those of its holders that are asked for and still there.

    Nothing where none of them is.
    """
    folder = pins_folder(table) / digest
    holders = [folder / HOLDERS_FOLDER / pin_id for pin_id in sorted(pin_ids)]
    present = [path for path in holders if path.exists()]
    if not present:
        return []
    own = [path for path in folder.glob("*") if path.is_file()]
    copies = [path for path in (folder / FILES_FOLDER).rglob("*") if path.is_file()]
    return [*sorted(own), *sorted(copies), *present]


def _number(record: Path) -> int:
    return int(record.name[:20])
