"""What is asked of Delta: settings that keep history alive, handles, and a log that is on disk.

Keeps true: a table of ours is never opened for writing with settings under which delta-rs would
drop log entries; what it committed can be made to survive a power cut (delta-rs does not sync).
It decides nothing about rows: that is `backstory.lake.table`.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from backstory.lake.commits import COMMIT_KEY, log_entry, stamp
from backstory.lake.contract import Contract
from backstory.lake.errors import IntegrityError, NotFoundError
from backstory.lake.files import sync_file, sync_folder

CHECKPOINT_INTERVAL = 10
LOG_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "delta.checkpointInterval": str(CHECKPOINT_INTERVAL),
        "delta.logRetentionDuration": "interval 36500 days",  # delta-rs ignores "years": 30 days
        "delta.enableExpiredLogCleanup": "false",
    }
)


def create_delta(folder: Path, contract: Contract, *, at: datetime) -> None:
    """Make version 0 of a table in an empty folder, with its settings read back.

    Raises:
        IntegrityError: Delta did not keep a setting.
    """
    about = {**stamp(at), "contract_version": contract.version}
    DeltaTable.create(
        folder,
        contract.stored_schema,
        configuration=_settings(contract),
        commit_properties=CommitProperties(custom_metadata={COMMIT_KEY: about}),
    )
    open_delta(folder, contract)
    sync_log(folder, 0)


def open_delta(folder: Path, contract: Contract) -> DeltaTable:
    """A handle on the newest version, to append with.

    Raises:
        NotFoundError: there is no log.
        IntegrityError: the log cannot be read, or a setting is not ours any more.
    """
    try:
        delta = DeltaTable(folder)
    except TableNotFoundError as exc:
        raise NotFoundError(f"{contract.slice} has no Delta log") from exc
    except DeltaError as exc:
        raise IntegrityError(
            f"{contract.slice}: its log cannot be read: {first_line(exc)}",
            hint="`backstory verify` names the damaged file",
        ) from exc
    found = delta.metadata().configuration
    for key, value in _settings(contract).items():
        if found.get(key) != value:
            raise IntegrityError(
                f"{contract.slice}: setting {key} is {found.get(key)!r}, not {value!r}",
                hint="somebody changed it; with another value Delta may drop history",
            )
    return delta


def sync_log(folder: Path, version: int) -> None:
    """Have a commit survive a power cut, with the checkpoint that it may have brought."""
    entry = log_entry(folder, version)
    sync_file(entry)
    for name in (f"{version:020d}.checkpoint.parquet", "_last_checkpoint"):
        with suppress(FileNotFoundError):
            sync_file(entry.with_name(name))
    sync_folder(entry.parent)


def first_line(exc: Exception) -> str:
    """A library's message as the one line that ours may have."""
    return (str(exc) or type(exc).__name__).splitlines()[0]


def _settings(contract: Contract) -> dict[str, str]:
    """Delta's settings of a table: its log lives, and bounds of personal columns are not kept."""
    indexed = [
        f"`{f.name}`"
        for f in contract.stored_schema
        if f.name not in contract.personal_columns and not pa.types.is_nested(f.type)
    ]
    return {**LOG_SETTINGS, "delta.dataSkippingStatsColumns": ",".join(indexed)}
