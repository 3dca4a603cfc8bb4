"""What is asked of Delta: settings that keep history alive, handles, and a log that is on disk.

Keeps true: a table of ours is never opened for writing with settings under which delta-rs would
drop log entries; what it committed can be made to survive a power cut (delta-rs does not sync).
It decides nothing about rows: that is `backstory.lake.table`.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable

from backstory.lake.commits import (
    COMMIT_KEY,
    LOG_FOLDER,
    kept_entry,
    latest_version,
    log_entry,
    stamp,
)
from backstory.lake.contract import Contract
from backstory.lake.contract_files import contract_file, put_first
from backstory.lake.errors import IntegrityError, UnavailableError
from backstory.lake.files import sync_file, sync_folder
from backstory.lake.location import translate_os_error
from backstory.lake.messages import plain, system_error
from backstory.lake.object_path import is_object
from backstory.lake.versions import open_delta

CHECKPOINT_INTERVAL = 10
LOG_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "delta.checkpointInterval": str(CHECKPOINT_INTERVAL),
        "delta.logRetentionDuration": "interval 36500 days",  # delta-rs ignores "years": 30 days
        "delta.enableExpiredLogCleanup": "false",
    }
)


def create_delta(
    folder: Path, contract: Contract, *, at: datetime, table_id: str | None = None
) -> None:
    """Make version 0 of a table in an empty folder, with its settings read back.

    Args:
        folder: an empty folder that nobody knows yet.
        contract: gives the columns.
        at: the time of the commit.
        table_id: Delta's id of the table; drawn by delta-rs where none is given.

    Raises:
        IntegrityError: Delta did not keep a setting.
    """
    about = {**stamp(at), "contract_version": contract.version}
    DeltaTable.create(
        folder,
        contract.stored_schema,
        configuration=settings_of(contract),
        commit_properties=CommitProperties(custom_metadata={COMMIT_KEY: about}),
    )
    if table_id is not None:
        _set_table_id(log_entry(folder, 0), table_id)
    open_for_append(folder, contract)
    sync_log(folder, 0)


def place_table(table: Path, folder: Path) -> None:
    """Give a new table its place, where none may be.

    In an object store the log decides. Before it comes the contract, so that who finds the log
    finds that; if we die in between, whoever brings the same contract goes on.

    Args:
        table: what `create_delta` made, with its contract, on this machine.
        folder: its place.

    Raises:
        OSError: a table is there.
    """
    if not is_object(folder):
        table.rename(folder)
        return
    for path in (contract_file(table, 1), log_entry(table, 0)):
        place, data = folder / path.relative_to(table), path.read_bytes()
        is_first = put_first(folder, place, data)
        if not is_first and (path.parent.name == LOG_FOLDER or place.read_bytes() != data):
            raise FileExistsError(place)


def open_for_append(folder: Path, contract: Contract) -> DeltaTable:
    """A handle on the newest version, to append with.

    Args:
        folder: where the table lies.
        contract: the one that its newest version is under.

    Raises:
        NotFoundError: there is no log, or not all of it.
        IntegrityError: a file of the log is damaged, or a setting is not ours any more.
        UnavailableError: the operating system does not let it be read.
    """
    return check_settings(open_delta(folder, name=contract.slice), contract)


def check_settings(delta: DeltaTable, contract: Contract) -> DeltaTable:
    """The same handle, if its table has the settings of its contract.

    Raises:
        IntegrityError: a setting is not ours any more.
    """
    found = delta.metadata().configuration
    for key, value in settings_of(contract).items():
        if found.get(key) != value:
            raise IntegrityError(
                f"{contract.slice}: setting {key} is {found.get(key)!r}, not {value!r}",
                hint="somebody changed it; with another value Delta may drop history",
            )
    return delta


def not_now(exc: Exception, what: str) -> UnavailableError:
    """The error for something that delta-rs could not do; it tells the system's errno in text."""
    if met := system_error(exc):
        return translate_os_error(met, what)
    return UnavailableError(f"{what}: {plain(exc)}", hint="nothing was changed; try again")


def sync_log(folder: Path, *versions: int) -> None:
    """Have commits survive a power cut.

    Raises:
        UnavailableError: the disk failed; the commits may or may not survive.
    """
    if is_object(folder):
        return
    try:
        for version in versions:
            sync_file(kept_entry(log_entry(folder, version)))
        sync_folder(folder / LOG_FOLDER)
    except OSError as exc:
        raise translate_os_error(exc, f"syncing the log of {folder.name}") from exc


def drop_torn(folder: Path, *, after: int) -> list[int]:
    """Remove the newest log entries that a power cut left with holes; which ones they were.

    delta-rs gives an entry its name when it is whole, and does not sync it. So one that is empty or
    has bytes of zero, which no JSON has, was cut off before `sync_log`, and acknowledged to nobody;
    left where it is, it would close the table. Nobody may append meanwhile who has not done this.

    Args:
        folder: the table's folder.
        after: the last version that is known to be whole.
    """
    torn: list[int] = []
    for version in range(latest_version(folder, after=after), after, -1):
        entry = log_entry(folder, version)
        text = entry.read_bytes()
        if text and b"\0" not in text:
            break
        entry.unlink()
        torn.append(version)
    if torn:
        sync_folder(folder / LOG_FOLDER)
    return torn


def _set_table_id(entry: Path, table_id: str) -> None:
    """Put our id in place of the one that delta-rs drew; it takes none."""
    actions = [json.loads(line) for line in entry.read_text().splitlines()]
    for action in actions:
        if "metaData" in action:
            action["metaData"]["id"] = table_id
    lines = [json.dumps(action, separators=(",", ":")) + "\n" for action in actions]
    entry.write_text("".join(lines))


def settings_of(contract: Contract) -> dict[str, str]:
    """Delta's settings of a table: its log lives, and bounds of personal columns are not kept."""
    indexed = [
        f"`{f.name}`"
        for f in contract.stored_schema
        if f.name not in contract.personal_columns and not pa.types.is_nested(f.type)
    ]
    return {**LOG_SETTINGS, "delta.dataSkippingStatsColumns": ",".join(indexed)}
