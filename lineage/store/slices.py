"""What the store knows of slices: their contracts, commits, snapshots and pins."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ScalarSelect,
    bindparam,
    cast,
    func,
    select,
)

from backstory.lineage.lateness import lateness
from backstory.lineage.store import tables as t
from backstory.lineage.store.horizon import horizon, known_in
from backstory.lineage.store.number_list import among
from backstory.lineage.store.prepared import Prepared

INTERACTIONS_PREFIX = "_interactions/"


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceRecord:
    """A slice as registered.

    Attributes:
        flavour: "managed" (our table), "linked" (somebody else's) or "interactions".
        last_version: the last registered commit, -1 when there is none.
    """

    id: int
    name: str
    flavour: str
    table_id: str
    uri: str | None
    last_version: int
    last_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitRecord:
    """One Delta version with what Backstory knows of it.

    Attributes:
        recorded_at: when it was registered; None where nobody asked, see `recorded`.
    """

    slice: int
    version: int
    at: datetime
    operation: str
    source: str | None
    offset: int | None
    batch: str | None
    rows: int | None
    contract_version: int | None
    actor: str | None
    log_digest: str
    recorded_seq: int
    recorded_at: datetime | None = None

    @property
    def late(self) -> timedelta | None:
        """How long after it was made it was registered; None where that was in time."""
        return lateness(self.at, self.recorded_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRecord:
    """A slice at one version that somebody used, pinned or named."""

    id: int
    slice: int
    slice_name: str
    version: int
    digest: str
    rows: int
    size: int
    files: int
    at: datetime | None

    @property
    def ref(self) -> str:
        """`thumbs/en@58`."""
        return f"{self.slice_name}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PinRecord:
    """A pin that holds now."""

    id: int
    pin_id: str
    snapshot: int
    holder: str
    reason: str
    strength: str
    until: datetime | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceShare:
    """What one source contributed to a range of commits."""

    source: str | None
    commits: int
    rows: int


# PostgreSQL sums whole numbers to a decimal, which has no JSON form.
_ROWS = cast(func.coalesce(func.sum(t.commit.c.rows), 0), BigInteger)


def _newest(value: Column[Any]) -> ScalarSelect[Any]:
    # From the end of an index: a slice costs the same, however many commits it has.
    return (
        select(value)
        .where(t.commit.c.slice == t.slice_.c.id, known_in(t.commit))
        .order_by(value.desc())
        .limit(1)
        .scalar_subquery()
    )


_SLICES = (
    select(
        t.slice_.c.id,
        t.slice_.c.name,
        t.slice_.c.flavour,
        t.slice_.c.table_id,
        t.slice_.c.uri,
        func.coalesce(_newest(t.commit.c.version), -1).label("last_version"),
        _newest(t.commit.c.at).label("last_at"),
    )
    .where(known_in(t.slice_))
    .order_by(t.slice_.c.name)
)
_SLICE_BY_NAME = _SLICES.where(t.slice_.c.name == bindparam("name"))
_SLICES_BY_ID = Prepared(_SLICES.where(among(t.slice_.c.id, "ids")))
_ROWS_ADDED = Prepared(
    select(t.commit.c.slice, _ROWS)
    .where(among(t.commit.c.slice, "ids"), known_in(t.commit))
    .group_by(t.commit.c.slice)
)
_COMMIT_BY_VERSION = select(t.commit).where(
    t.commit.c.slice == bindparam("slice"),
    t.commit.c.version == bindparam("version"),
    known_in(t.commit),
)
_COMMIT_AT = (
    select(t.commit)
    .where(
        t.commit.c.slice == bindparam("slice"), t.commit.c.at <= bindparam("at"), known_in(t.commit)
    )
    .order_by(t.commit.c.version.desc())
    .limit(1)
)
_SNAPSHOTS = (
    select(
        t.snapshot.c.id,
        t.snapshot.c.slice,
        t.slice_.c.name.label("slice_name"),
        t.snapshot.c.version,
        t.snapshot.c.digest,
        t.snapshot.c.rows,
        t.snapshot.c.size,
        t.snapshot.c.files,
        t.commit.c.at,
    )
    .join(t.slice_, t.slice_.c.id == t.snapshot.c.slice)
    .outerjoin(
        t.commit,
        (t.commit.c.slice == t.snapshot.c.slice) & (t.commit.c.version == t.snapshot.c.version),
    )
)
_SNAPSHOT_OF = _SNAPSHOTS.where(
    t.snapshot.c.slice == bindparam("slice"),
    t.snapshot.c.version == bindparam("version"),
    known_in(t.snapshot),
)
_BY_ID = _SNAPSHOTS.where(among(t.snapshot.c.id, "ids"))
_SNAPSHOTS_BY_ID = Prepared(_BY_ID)
PIN = (
    t.pin.c.id,
    t.pin.c.pin_id,
    t.pin.c.snapshot,
    t.pin.c.holder,
    t.pin.c.reason,
    t.pin.c.strength,
    t.pin.c.until,
    t.pin.c.at,
)
_PINS_OF = Prepared(
    select(*PIN).where(among(t.pin.c.snapshot, "ids"), known_in(t.pin)).order_by(t.pin.c.id)
)
_HOLDING = t.pin.alias("holding")
_LONGEST_PIN = (
    select(_HOLDING.c.id)
    .where(_HOLDING.c.snapshot == t.snapshot.c.id, known_in(_HOLDING))
    .order_by(_HOLDING.c.id)
    .limit(1)
    .scalar_subquery()
    .correlate(t.snapshot)
)
_KEPT_SNAPSHOTS = Prepared(
    _BY_ID.add_columns(*PIN).outerjoin(
        # By the snapshot as well: PostgreSQL would read all pins for a few snapshots.
        t.pin,
        (t.pin.c.snapshot == t.snapshot.c.id) & (t.pin.c.id == _LONGEST_PIN),
    )
)


def slices(conn: Connection, *, flavours: Sequence[str] = ()) -> list[SliceRecord]:
    """All slices by name, of the given flavours only where some are given."""
    query = _SLICES.where(t.slice_.c.flavour.in_(flavours)) if flavours else _SLICES
    return [SliceRecord(**row) for row in conn.execute(query, horizon(conn)).mappings()]


def slices_by_id(conn: Connection, ids: Sequence[int]) -> dict[int, SliceRecord]:
    """Slices by id."""
    return {found.id: found for found in _SLICES_BY_ID.records(conn, SliceRecord, ids=ids)}


def rows_added(conn: Connection, ids: Sequence[int]) -> dict[int, int]:
    """How many rows the commits of slices added, by slice id; this reads every one of them."""
    return dict(_ROWS_ADDED.rows(conn, ids=ids))


def slice_by_name(conn: Connection, name: str) -> SliceRecord | None:
    """The slice of that name, if there is one."""
    row = conn.execute(_SLICE_BY_NAME, {"name": name, **horizon(conn)}).one_or_none()
    return SliceRecord(**row._mapping) if row else None


def last_versions(conn: Connection) -> dict[str, tuple[int, int]]:
    """For every registered slice its id and its last registered version (-1 for none)."""
    return {found.name: (found.id, found.last_version) for found in slices(conn)}


def commits(
    conn: Connection, slice_id: int, *, after: int = -1, upto: int | None = None, limit: int = 1000
) -> list[CommitRecord]:
    """A slice's commits, newest first, with `after < version <= upto`."""
    query = (
        select(t.commit)
        .where(t.commit.c.slice == slice_id, t.commit.c.version > after, known_in(t.commit))
        .order_by(t.commit.c.version.desc())
        .limit(limit)
    )
    if upto is not None:
        query = query.where(t.commit.c.version <= upto)
    return [CommitRecord(**row) for row in conn.execute(query, horizon(conn)).mappings()]


def commit(conn: Connection, slice_id: int, version: int) -> CommitRecord | None:
    """One commit."""
    wanted = {"slice": slice_id, "version": version, **horizon(conn)}
    row = conn.execute(_COMMIT_BY_VERSION, wanted).one_or_none()
    return CommitRecord(**row._mapping) if row else None


def commit_at(conn: Connection, slice_id: int, at: datetime) -> CommitRecord | None:
    """The last commit at or before a time: what the slice was then."""
    row = conn.execute(_COMMIT_AT, {"slice": slice_id, "at": at, **horizon(conn)}).one_or_none()
    return CommitRecord(**row._mapping) if row else None


def commit_of_batch(
    conn: Connection, slice_id: int, source: str, batch: str
) -> CommitRecord | None:
    """The commit in which a source sent exactly these rows."""
    query = (
        select(t.commit)
        .where(
            t.commit.c.slice == slice_id,
            t.commit.c.source == source,
            t.commit.c.batch == batch,
        )
        .limit(1)
    )
    row = conn.execute(query).one_or_none()
    return CommitRecord(**row._mapping) if row else None


def last_offset(conn: Connection, slice_id: int, source: str) -> int:
    """The end position of a source's last batch; 0 when it has sent none."""
    query = select(func.max(t.commit.c.offset)).where(
        t.commit.c.slice == slice_id, t.commit.c.source == source
    )
    return conn.execute(query).scalar_one() or 0


def shares_by_source(
    conn: Connection, slice_id: int, *, after: int, upto: int
) -> list[SourceShare]:
    """Commits and rows by source in `after < version <= upto`, the largest first."""
    query = (
        select(
            t.commit.c.source,
            func.count().label("commits"),
            _ROWS.label("rows"),
        )
        .where(
            t.commit.c.slice == slice_id,
            t.commit.c.version > after,
            t.commit.c.version <= upto,
            t.commit.c.rows.is_not(None),
            known_in(t.commit),
        )
        .group_by(t.commit.c.source)
        .order_by(func.sum(t.commit.c.rows).desc(), t.commit.c.source)
    )
    return [SourceShare(**row) for row in conn.execute(query, horizon(conn)).mappings()]


def first_commit_with_rows(conn: Connection, slice_id: int, *, after: int) -> int | None:
    """The first version behind `after` that brought rows."""
    query = select(func.min(t.commit.c.version)).where(
        t.commit.c.slice == slice_id, t.commit.c.version > after, t.commit.c.rows > 0
    )
    first: int | None = conn.execute(query).scalar_one()
    return first


def log_digests(conn: Connection, slice_id: int) -> dict[int, str]:
    """The digest of every registered log entry of a slice, by version."""
    query = select(t.commit.c.version, t.commit.c.log_digest).where(t.commit.c.slice == slice_id)
    return {row.version: row.log_digest for row in conn.execute(query)}


def contract_digests(conn: Connection, slice_id: int) -> dict[int, str]:
    """The digests of a slice's registered contracts, by contract version."""
    query = select(t.contract.c.version, t.contract.c.digest).where(t.contract.c.slice == slice_id)
    return {row.version: row.digest for row in conn.execute(query)}


def newest_contract(conn: Connection, slice_id: int) -> str | None:
    """The JSON text of a slice's newest registered contract."""
    query = (
        select(t.contract.c.body)
        .where(t.contract.c.slice == slice_id, known_in(t.contract))
        .order_by(t.contract.c.version.desc())
        .limit(1)
    )
    body: str | None = conn.execute(query, horizon(conn)).scalar()
    return body


def _snapshot(row: Any) -> SnapshotRecord:
    return SnapshotRecord(**row._mapping)


def snapshot_of(conn: Connection, slice_id: int, version: int) -> SnapshotRecord | None:
    """The snapshot of a slice at a version, if somebody used, pinned or named it."""
    wanted = {"slice": slice_id, "version": version, **horizon(conn)}
    row = conn.execute(_SNAPSHOT_OF, wanted).one_or_none()
    return _snapshot(row) if row else None


def snapshots(conn: Connection, ids: Sequence[int]) -> dict[int, SnapshotRecord]:
    """Snapshots by id."""
    found = _SNAPSHOTS_BY_ID.records(conn, SnapshotRecord, ids=ids) if ids else []
    return {snapshot.id: snapshot for snapshot in found}


def snapshots_between(
    conn: Connection, slice_id: int, first: int, last: int
) -> dict[int, SnapshotRecord]:
    """A slice's snapshots by version, from `first` to `last`."""
    query = _SNAPSHOTS.where(
        t.snapshot.c.slice == slice_id,
        t.snapshot.c.version.between(first, last),
        known_in(t.snapshot),
    )
    return {row.version: _snapshot(row) for row in conn.execute(query, horizon(conn))}


def pins_of(conn: Connection, ids: Sequence[int]) -> dict[int, list[PinRecord]]:
    """The pins that hold now, by snapshot id."""
    found: dict[int, list[PinRecord]] = {}
    for pin in _PINS_OF.records(conn, PinRecord, ids=ids) if ids else ():
        found.setdefault(pin.snapshot, []).append(pin)
    return found


def kept_snapshots(
    conn: Connection, ids: Sequence[int]
) -> tuple[dict[int, SnapshotRecord], dict[int, PinRecord]]:
    """Snapshots by id, and by the same id the pin that has held one longest of those that hold now.

    A snapshot that many runs read has a pin of each; one says already that it is kept.
    """
    snapshots, pins = {}, {}
    width = len(_SNAPSHOTS_BY_ID.fields)
    for row in _KEPT_SNAPSHOTS.rows(conn, ids=ids) if ids else ():
        known = zip(_SNAPSHOTS_BY_ID.fields, row[:width], strict=True)
        snapshots[row[0]] = SnapshotRecord(**dict(known))
        if row[width] is not None:
            pins[row[0]] = PinRecord(**dict(zip(_PINS_OF.fields, row[width:], strict=True)))
    return snapshots, pins


def pin_by_id(conn: Connection, pin_id: str) -> tuple[PinRecord, int | None] | None:
    """A pin, held or released, with the sequence number that ended it."""
    query = select(*PIN, t.pin.c.ended_seq).where(t.pin.c.pin_id == pin_id)
    row = conn.execute(query).one_or_none()
    if row is None:
        return None
    fields = dict(row._mapping)
    ended: int | None = fields.pop("ended_seq")
    return PinRecord(**fields), ended


def pinned_snapshots(conn: Connection, slice_name: str | None = None) -> list[int]:
    """The snapshots that are pinned now, of one slice or of all, by slice and version."""
    query = (
        select(t.snapshot.c.id)
        .join(t.slice_, t.slice_.c.id == t.snapshot.c.slice)
        .where(t.snapshot.c.id.in_(select(t.pin.c.snapshot).where(known_in(t.pin))))
        .order_by(t.slice_.c.name, t.snapshot.c.version)
    )
    if slice_name is not None:
        query = query.where(t.slice_.c.name == slice_name)
    return list(conn.execute(query, horizon(conn)).scalars())


def snapshot_counts(conn: Connection) -> dict[int, int]:
    """How many snapshots of each slice are pinned now."""
    query = (
        select(t.snapshot.c.slice, func.count(func.distinct(t.snapshot.c.id)))
        .join(t.pin, t.pin.c.snapshot == t.snapshot.c.id)
        .where(known_in(t.pin))
        .group_by(t.snapshot.c.slice)
    )
    return {row[0]: row[1] for row in conn.execute(query, horizon(conn))}


def interaction_files(
    conn: Connection, low: str, high: str, model: str | None = None
) -> list[tuple[str, str, int]]:
    """Data files that may hold an interaction id between two: (slice, path, version)."""
    query = (
        select(t.slice_.c.name, t.interaction_file.c.path, t.interaction_file.c.version)
        .join(t.slice_, t.slice_.c.id == t.interaction_file.c.slice)
        .where(
            t.interaction_file.c.max_id >= low,
            t.interaction_file.c.min_id <= high,
            known_in(t.interaction_file),
        )
        .order_by(t.interaction_file.c.version)
    )
    if model is not None:
        query = query.where(t.slice_.c.name == INTERACTIONS_PREFIX + model)
    return [(row[0], row[1], row[2]) for row in conn.execute(query, horizon(conn))]


def file_times(conn: Connection, slice_id: int) -> dict[str, datetime]:
    """When each data file of an interaction table was recorded, by its path."""
    query = (
        select(t.interaction_file.c.path, t.commit.c.at)
        .join(
            t.commit,
            (t.commit.c.slice == t.interaction_file.c.slice)
            & (t.commit.c.version == t.interaction_file.c.version),
        )
        .where(t.interaction_file.c.slice == slice_id)
    )
    return {row.path: row.at for row in conn.execute(query)}
