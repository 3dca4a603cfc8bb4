"""Which data files a table of ours had from when to when: told to the store with each commit.

The store goes on knowing when the log was trimmed and the files were collected. Commits that were
registered before this was recorded are told of when somebody asks, from their log entries.
"""

from backstory.lake.commits import file_changes
from backstory.lake.table import SliceTable
from backstory.lineage.parts import Parts
from backstory.lineage.store import tables, writes
from backstory.lineage.store.file_lives import ADDED, REMOVED, untold
from backstory.lineage.store.unit_of_work import Unit


def record_files(unit: Unit, slice_id: int, table: SliceTable, version: int) -> None:
    """Record the data files that a commit added and removed.

    Raises:
        FileNotFoundError: its log entry is gone.
        IntegrityError: it does not parse.
    """
    for change in file_changes(table.folder, version):
        writes.insert(
            unit,
            tables.file_change,
            slice=slice_id,
            version=version,
            path=change.path,
            change=ADDED if change.added else REMOVED,
            rows=change.rows,
        )


def record_earlier(parts: Parts, slice_id: int, table: SliceTable) -> int:
    """Record the data files of commits that were registered without them.

    Returns:
        Of how many such commits nothing can be told: their log entries are gone.
    """
    with parts.store.reader() as conn:
        waiting = untold(conn, slice_id)
    if not waiting:
        return 0
    gone = 0
    with parts.unit("files.record", f"slice:{table.name}") as unit:
        waiting = untold(unit.connection, slice_id)  # another command may have been faster
        for version in waiting:
            try:
                record_files(unit, slice_id, table, version)
            except FileNotFoundError:
                gone += 1
        unit.note(commits=len(waiting) - gone)
    return gone
