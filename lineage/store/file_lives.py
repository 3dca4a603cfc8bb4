"""What the store knows of data files: in which versions of its table each of them is."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, exists, or_, select

from backstory.lineage.store import tables as t
from backstory.lineage.store.horizon import horizon, known_in
from backstory.lineage.store.number_list import among
from backstory.lineage.store.prepared import Prepared

ADDED, REMOVED = "added", "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLife:
    """A data file and the versions that it is of.

    Attributes:
        slice: the slice's number.
        path: relative to the table.
        added: the first version with it.
        removed: the first version without it again; None while it lives.
        rows: how many it has; None where nobody said.
    """

    slice: int
    path: str
    added: int
    removed: int | None
    rows: int | None

    def at(self, version: int) -> bool:
        """Whether it is a file of that version."""
        return self.added <= version and (self.removed is None or version < self.removed)


# Known as the commit is, however much later its files were written down.
_CHANGES = Prepared(
    select(
        t.file_change.c.slice,
        t.file_change.c.path,
        t.file_change.c.version,
        t.file_change.c.change,
        t.file_change.c.rows,
    )
    .join(
        t.commit,
        (t.commit.c.slice == t.file_change.c.slice)
        & (t.commit.c.version == t.file_change.c.version),
    )
    .where(among(t.file_change.c.slice, "ids"), known_in(t.commit))
    .order_by(t.file_change.c.slice, t.file_change.c.version)
)


def file_lives(conn: Connection, slices: Sequence[int]) -> list[FileLife]:
    """The data files of some slices; one that came back has several lives."""
    done: list[FileLife] = []
    living: dict[tuple[int, str], tuple[int, int | None]] = {}
    for slice_id, path, version, change, rows in _CHANGES.rows(conn, ids=slices):
        begun = living.pop((slice_id, path), None)
        if begun is not None:
            done.append(_life(slice_id, path, begun, version))
        if change == ADDED:
            living[slice_id, path] = version, rows
    return done + [_life(*file, begun, None) for file, begun in living.items()]


def untold(conn: Connection, slice_id: int) -> list[int]:
    """The commits of a table of ours that brought rows, and of whose files nothing is recorded."""
    told = exists().where(
        t.file_change.c.slice == t.commit.c.slice, t.file_change.c.version == t.commit.c.version
    )
    query = (
        select(t.commit.c.version)
        .where(
            t.commit.c.slice == slice_id,
            or_(t.commit.c.rows.is_(None), t.commit.c.rows > 0),
            ~told,
            known_in(t.commit),
        )
        .order_by(t.commit.c.version)
    )
    return list(conn.scalars(query, horizon(conn)))


def _life(slice_id: int, path: str, begun: tuple[int, int | None], removed: int | None) -> FileLife:
    added, rows = begun
    return FileLife(slice=slice_id, path=path, added=added, removed=removed, rows=rows)
