"""A data file of ours with what is derived of its rows and lies beside it.

Keeps true: whose rows a file holds (`subject_index`) and what they look like (`profiles`) is
written and synced before the commit that lists the file. Both are made from the rows in memory,
while the file is encoded.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa

from backstory.lake.contract import SYSTEM_COLUMNS, Contract
from backstory.lake.errors import BackstoryError
from backstory.lake.files import DataFile, write_data_file
from backstory.lake.profile import Profile
from backstory.lake.profiles import SharedEdges, profile_file, write_profile
from backstory.lake.profiling import profile_rows
from backstory.lake.subject_index import discard_set, keep_set, subjects_in

_log = logging.getLogger(__name__)


def write_with_derived(
    rows: pa.Table,
    folder: Path,
    contract: Contract,
    *,
    file_id: str,
    edges: SharedEdges,
    version: int,
) -> DataFile:
    """Write rows as a data file, and beside it what is derived of them.

    Args:
        rows: as they shall be stored, system columns too.
        folder: the table's folder.
        contract: of the rows.
        file_id: UUIDv7 text.
        edges: those of the table's histograms.
        version: of the table, when the rows came in.

    Raises:
        UnavailableError: disk full, no permission; nothing is left behind.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:
        subjects = pool.submit(subjects_in, rows, contract)
        profile = pool.submit(_profile, rows, contract, edges, version)
        file = write_data_file(rows, folder, contract, file_id=file_id)
        try:
            kept = pool.submit(_keep, profile.result(), folder, file.path)
            try:
                if (found := subjects.result()) is not None:
                    keep_set(folder, file.path, found)
            finally:
                kept.result()  # nothing is put beside the file after it was discarded
        except BackstoryError:
            discard(folder, file.path)
            raise
        return file


def discard(folder: Path, path: str) -> None:
    """Remove a data file that no version lists, and what was derived of it."""
    (folder / path).unlink(missing_ok=True)
    discard_set(folder, path)
    profile_file(folder, path).unlink(missing_ok=True)


def _keep(profile: Profile | None, folder: Path, path: str) -> None:
    if profile is not None:
        write_profile(folder, path, profile)


def _profile(
    rows: pa.Table, contract: Contract, edges: SharedEdges, version: int
) -> Profile | None:
    """What rows look like; of the system columns only who sent them."""
    shown = rows.drop_columns([name for name in SYSTEM_COLUMNS if name != "_source"])
    personal = contract.personal_columns
    try:
        return profile_rows(shown, personal, edges.fixed_by(shown, personal, version))
    except pa.ArrowException as exc:  # no row is lost for a profile, which can be made later
        _log.warning("%s: a batch has no profile: %s", contract.slice, exc)
        return None
