"""What the store knows of rejected rows: how many of which batch, why, and what became of them.

The rows themselves lie in the lake. What a commit replayed is known from that commit, so that a
crash between it and its registration loses nothing; what was dropped is known from here alone.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from backstory.lake.commits import Commit
from backstory.lineage.store import tables as t
from backstory.lineage.store import writes
from backstory.lineage.store.horizon import horizon, known_in
from backstory.lineage.store.unit_of_work import Unit

REPLAYED = "replayed"
DROPPED = "dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineRecord:
    """The rejected rows of one batch.

    Attributes:
        slice_name: the slice that they did not fit.
        version: the commit of the batch.
        at: when that was.
        source: who sent it.
        offset: its end position there.
        path: their file, in the table's folder.
        file: the file that they came in, if they did.
        rows: how many there are.
        reasons: how many for each reason; a row may have several.
        replayed: the numbers of those that landed since, with the version that they landed in.
        dropped: the numbers of those that were given up.
    """

    id: int
    slice_name: str
    version: int
    at: datetime
    source: str | None
    offset: int | None
    path: str
    file: str | None
    rows: int
    reasons: Mapping[str, int]
    replayed: Mapping[int, int]
    dropped: frozenset[int]

    @property
    def settled(self) -> set[int]:
        """The numbers of rows that wait no more."""
        return {*self.replayed, *self.dropped}

    @property
    def waiting(self) -> int:
        """How many rows still wait."""
        return self.rows - len(self.settled)


def quarantines(conn: Connection, slice_id: int | None = None) -> list[QuarantineRecord]:
    """Every batch with rejected rows, of one slice or of all, by slice and version."""
    query = (
        select(
            t.quarantine.c.id,
            t.slice_.c.name.label("slice_name"),
            t.quarantine.c.version,
            t.commit.c.at,
            t.commit.c.source,
            t.commit.c.offset,
            t.quarantine.c.path,
            t.quarantine.c.file,
            t.quarantine.c.rows,
            t.quarantine.c.reasons,
        )
        .join(t.slice_, t.slice_.c.id == t.quarantine.c.slice)
        .join(
            t.commit,
            (t.commit.c.slice == t.quarantine.c.slice)
            & (t.commit.c.version == t.quarantine.c.version),
        )
        .where(known_in(t.quarantine))
        .order_by(t.slice_.c.name, t.quarantine.c.version)
    )
    if slice_id is not None:
        query = query.where(t.quarantine.c.slice == slice_id)
    rows = conn.execute(query, horizon(conn)).mappings().all()
    replayed, dropped = _ends(conn, slice_id)
    return [
        QuarantineRecord(
            **row,
            replayed=replayed.get(row["id"], {}),
            dropped=frozenset(dropped.get(row["id"], set()) - replayed.get(row["id"], {}).keys()),
        )
        for row in rows
    ]


def _ends(
    conn: Connection, slice_id: int | None
) -> tuple[dict[int, dict[int, int]], dict[int, set[int]]]:
    query = (
        select(
            t.quarantine_end.c.quarantine,
            t.quarantine_end.c.rows,
            t.quarantine_end.c.outcome,
            t.quarantine_end.c.version,
        )
        .join(t.quarantine, t.quarantine.c.id == t.quarantine_end.c.quarantine)
        .where(known_in(t.quarantine_end))
    )
    if slice_id is not None:
        query = query.where(t.quarantine.c.slice == slice_id)
    replayed: dict[int, dict[int, int]] = {}
    dropped: dict[int, set[int]] = {}
    for key, rows, outcome, version in conn.execute(query, horizon(conn)):
        if outcome == REPLAYED:
            replayed.setdefault(key, {}).update(dict.fromkeys(from_ranges(rows), version))
        else:
            dropped.setdefault(key, set()).update(from_ranges(rows))
    return replayed, dropped


def register(unit: Unit, slice_id: int, commit: Commit) -> None:
    """Record what a commit says of rejected rows and of those that it replays."""
    said = commit.gate
    if "quarantine" in said:
        writes.insert(
            unit,
            t.quarantine,
            slice=slice_id,
            version=commit.version,
            path=said["quarantine"],
            file=commit.info.get("file"),
            rows=said["rejected"],
            reasons=said.get("reasons", {}),
        )
    for path, rows in said.get("replayed", {}).items():
        query = select(t.quarantine.c.id).where(
            t.quarantine.c.slice == slice_id, t.quarantine.c.path == path
        )
        if (key := unit.connection.execute(query).scalar_one_or_none()) is not None:
            end(unit, key, rows, outcome=REPLAYED, version=commit.version)


def end(unit: Unit, quarantine: int, rows: str, *, outcome: str, version: int | None) -> None:
    """Record what became of some rows, given as ranges."""
    writes.insert(
        unit, t.quarantine_end, quarantine=quarantine, rows=rows, outcome=outcome, version=version
    )


def to_ranges(numbers: Collection[int]) -> str:
    """Row numbers as text.

    >>> to_ranges({5, 1, 2, 3})
    '1-3,5'
    """
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(f"{a}-{b}" if a != b else str(a) for a, b in ranges)


def from_ranges(text: str) -> set[int]:
    """The row numbers that a text means.

    >>> sorted(from_ranges("1-3,5"))
    [1, 2, 3, 5]
    """
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found
