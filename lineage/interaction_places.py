"""Where interactions of ours lie: the few data files that may hold an id, each hashed first.

The store tells which files were written with which ids. What compaction replaced since is looked
for in the files that took its place, and what was recorded later than a question speaks of is left
out there. A file that no version lists, and no compaction replaced, is damage, and said so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backstory.lake import lookup
from backstory.lake.snapshot import Snapshot, open_snapshot
from backstory.lineage.interaction import RECORDED_COLUMN
from backstory.lineage.parts import Parts
from backstory.lineage.store import slices
from backstory.lineage.store.compactions import last_compaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Files of one interaction table.

    Attributes:
        table: the table as it is now.
        paths: which of its files.
        until: rows that were recorded later do not count; None where all do.
    """

    table: Snapshot
    paths: frozenset[str]
    until: datetime | None = None

    def rows(self, low: str, high: str, columns: Sequence[str]) -> list[dict[str, Any]]:
        """The rows whose id lies between two.

        Raises:
            GoneError: a file is no longer there.
            IntegrityError: a file is not what was written, or no version lists it.
        """
        found = lookup.rows_where(
            lookup.proved(self.table, self.paths), "id", low, high, columns=columns
        )
        return [row for row in found if self.until is None or row[RECORDED_COLUMN] <= self.until]


def places_of(parts: Parts, low: str, high: str, as_of: datetime | None) -> list[Place]:
    """The files that may hold an id between two, of all models."""
    with parts.store.reader(as_of) as conn:
        known = slices.interaction_files(conn, low, high)
    by_table: dict[str, dict[str, int]] = {}
    for name, path, version in known:
        by_table.setdefault(name, {})[path] = version
    return [_place(parts, name, files, (low, high), as_of) for name, files in by_table.items()]


def _place(
    parts: Parts, name: str, files: Mapping[str, int], ids: tuple[str, str], as_of: datetime | None
) -> Place:
    table = open_snapshot(parts.lake.table(name))
    listed = {file.path for file in table.manifest.files}
    unlisted = [version for path, version in files.items() if path not in listed]
    if not unlisted:
        return Place(table=table, paths=frozenset(files))
    with parts.store.reader() as conn:
        replaced = last_compaction(conn, name)
        now = slices.interaction_files(conn, *ids)
    if replaced is None or replaced < max(unlisted):
        return Place(table=table, paths=frozenset(files))
    paths = frozenset(path for one, path, _ in now if one == name and path in listed)
    return Place(table=table, paths=paths, until=_known_until(parts, name, as_of))


def _known_until(parts: Parts, name: str, as_of: datetime | None) -> datetime | None:
    if as_of is None:
        return None
    with parts.store.reader(as_of) as conn:
        record = slices.slice_by_name(conn, name)
    return record.last_at if record else None
