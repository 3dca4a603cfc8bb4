"""Proving that kept profiles are what was written: each by its seal, its file and its rows.

A missing one is no finding: nothing needs it. A damaged one costs a reading of its file, so it is
told: removing it changes nothing else.
"""

from collections.abc import Iterable

from backstory.lake.profiles import edges_files, profile_file, read_edges, read_profile
from backstory.lake.snapshot import Snapshot, Table
from backstory.lake.table import SliceTable
from backstory.lake.tally import Tally


def check_profiles(tally: Tally, table: Table, snapshots: Iterable[Snapshot]) -> None:
    """Read the kept profiles of the snapshots' files."""
    if not isinstance(table, SliceTable):
        return
    where = f"profiles of {table.name}"
    rows = {file.path: file.rows for one in snapshots for file in one.manifest.files}
    for path, count in rows.items():
        with tally.reading(where, profile_file(table.folder, path)):
            read_profile(table.folder, path, rows=count)
    for edges in edges_files(table.folder):
        with tally.reading(where, edges):
            read_edges(edges)


def without_profile(table: SliceTable, snapshot: Snapshot) -> int:
    """How many of a snapshot's files have none."""
    kept = {path.name for path in profile_file(table.folder, "").parent.glob("*.json")}
    files = snapshot.manifest.files
    return sum(profile_file(table.folder, file.path).name not in kept for file in files)
