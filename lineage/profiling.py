"""What the rows of a slice look like, and how far two of them lie apart, from kept profiles.

    home.profile("thumbs/en@58")
    home.drift("thumbs/en@41", "thumbs/en@42..58")
    home.drift("ranker@7", "thumbs/en")

`SLICE@M..N` are the rows that the commits M to N added, wherever a compaction has put them since. A
model version stands for the snapshots that it was trained on, all of their rows, whatever condition
it read them under. Rows are read only of files that have no profile, or a damaged one.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from backstory.lake.commits import data_added
from backstory.lake.contract import Role
from backstory.lake.drift import ColumnDrift
from backstory.lake.drift import drift as drift_of_profiles
from backstory.lake.errors import InvalidError, LimitExceededError, NotFoundError
from backstory.lake.histogram import Edges
from backstory.lake.profile import Profile
from backstory.lake.profiled import Profiled, profile_snapshot
from backstory.lake.snapshot import Snapshot
from backstory.lineage.input_text import DEFAULT_ROLE
from backstory.lineage.parts import Parts
from backstory.lineage.pinning import open_at
from backstory.lineage.resolving import SliceAt, resolve, resolve_slice_at
from backstory.lineage.store import models, runs, slices
from backstory.lineage.store.models import VersionRecord

MAX_RANGE = 100_000  # commits of one range

_ID_ROLES = (Role.EVENT_ID, Role.INTERACTION)
_RANGE = re.compile(r"(?P<slice>[^@]+)@(?P<first>\d{1,18})\.\.(?P<last>\d{1,18})")


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceProfile:
    """What some rows look like.

    Attributes:
        ref: what was asked for, exactly: a slice at a version, a range of commits, or a model
            version.
        files: how many data files hold the rows.
        read: how many of them were read, as they have no profile that can be used.
        damaged: profiles that are not what was written.
    """

    ref: str
    profile: Profile
    files: int
    read: int
    damaged: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftReport:
    """Two profiles side by side.

    Attributes:
        base: what is compared with.
        head: what is compared.
        columns: how far each column that can be compared has moved.
    """

    base: SliceProfile
    head: SliceProfile
    columns: Sequence[ColumnDrift]


def profile(parts: Parts, ref: str, *, as_of: datetime | None = None) -> SliceProfile:
    """What the rows of a slice look like at a version, or those that a range of commits added.

    Args:
        ref: a slice, at a version or time or as it is now; `SLICE@M..N`; or a model version, which
            stands for what it was trained on.
        as_of: as it was known then; as it is known now where nothing is said.

    Raises:
        NotFoundError: nothing has that ref, or that version was not trained on a snapshot.
        GoneError: files without a profile are no longer there.
    """
    exact, snapshots = _snapshots(parts, ref, as_of)
    return _merged(parts, exact, snapshots, {})


def drift(
    parts: Parts,
    a: str,
    b: str,
    *,
    columns: Sequence[str] = (),
    as_of: datetime | None = None,
) -> DriftReport:
    """How far the values of one lie from those of another, column by column.

    Args:
        a: what is compared with: a slice at a version, a range of commits, or a model version,
            which stands for what it was trained on.
        b: what is compared, likewise.
        columns: these columns only; all that can be compared where nothing is said.
        as_of: as it was known then; as it is known now where nothing is said.

    Raises:
        InvalidError: a column that is asked for cannot be compared.
        NotFoundError: nothing has that ref, or that version was not trained on a snapshot.
        GoneError: files without a profile are no longer there.
    """
    edges: dict[str, Edges] = {}
    base_ref, base = _snapshots(parts, a, as_of, beside=b)
    head_ref, head = _snapshots(parts, b, as_of, beside=a)
    one, two = _merged(parts, base_ref, base, edges), _merged(parts, head_ref, head, edges)
    ids = {name for snapshot in (*base, *head) for name in _ids(parts, snapshot.slice)}
    found = [c for c in drift_of_profiles(one.profile, two.profile) if c.column not in ids]
    if unknown := [name for name in columns if name not in {one.column for one in found}]:
        known = ", ".join(one.column for one in found)
        raise InvalidError(
            f"{unknown[0]!r} is no column that {one.ref} and {two.ref} can be compared by",
            hint=f"one of {known}" if known else "they have no such column in common",
        )
    return DriftReport(
        base=one,
        head=two,
        columns=[column for column in found if not columns or column.column in columns],
    )


def _snapshots(
    parts: Parts, ref: str, as_of: datetime | None, *, beside: str = ""
) -> tuple[str, list[Snapshot]]:
    """The snapshots whose rows a ref stands for; of a model version those of the other's slice."""
    if found := _RANGE.fullmatch(ref):
        name, first, last = found["slice"], int(found["first"]), int(found["last"])
        return f"{name}@{first}..{last}", [_added(parts, name, first, last, as_of)]
    at = resolve(parts, ref, as_of)
    if isinstance(at, VersionRecord):
        return at.ref, list(_trained_on(parts, at, beside, as_of))
    at = resolve_slice_at(parts, ref, as_of)
    return at.ref, [open_at(parts, at)]


def _trained_on(
    parts: Parts, version: VersionRecord, beside: str, as_of: datetime | None
) -> Iterator[Snapshot]:
    """What a version was trained on; of the slice that it is compared with, where it is one."""
    wanted = _slice_of(parts, beside, as_of)
    with parts.store.reader(as_of) as conn:
        reads = runs.reads_of(conn, [version.run]) if version.run is not None else []
        ids = [read.snapshot for read in reads if read.role == DEFAULT_ROLE]
        ids = ids or [read.snapshot for read in reads]
        ids = ids or models.trained_on(conn, [version.id]).get(version.id, [])
        records = slices.snapshots(conn, list(dict.fromkeys(ids))).values()
    refs = [record.ref for record in records if wanted in (None, record.slice_name)]
    if not refs:
        of = f" of {wanted}" if wanted else ""
        raise NotFoundError(
            f"it is not known that {version.ref} was trained on a snapshot{of}",
            hint=f"see what it came from with `backstory trace {version.ref}`",
        )
    for ref in refs:
        yield open_at(parts, resolve_slice_at(parts, ref, as_of))


def _slice_of(parts: Parts, ref: str, as_of: datetime | None) -> str | None:
    if found := _RANGE.fullmatch(ref):
        return found["slice"]
    at = resolve(parts, ref, as_of) if ref else None
    return at.slice.name if isinstance(at, SliceAt) else None


def _ids(parts: Parts, name: str) -> set[str]:
    """Columns that name one thing each, and so are other ones in all rows to come."""
    columns = map(parts.lake.table(name).contract.column_with, _ID_ROLES)
    return {column.name for column in columns if column is not None}


def _added(parts: Parts, name: str, first: int, last: int, as_of: datetime | None) -> Snapshot:
    """The rows that a range of commits added, as a snapshot of their files."""
    if first > last or last - first >= MAX_RANGE:
        raise LimitExceededError(
            f"{name}@{first}..{last} is no range of 1 to {MAX_RANGE:,} commits",
            hint="write the older commit first, like thumbs/en@41..58",
        )
    at = resolve_slice_at(parts, f"{name}@{last}", as_of)
    snapshot = open_at(parts, at)
    if snapshot.needs_engine:
        raise InvalidError(
            f"{name}: its files alone do not say what rows a commit added",
            hint=f"profile all of it, as {name}@{last}",
        )
    folder = parts.lake.folder(name)
    files = [file for version in range(first, last + 1) for file in data_added(folder, version)]
    return replace(snapshot, manifest=replace(snapshot.manifest, files=tuple(files)), folder=folder)


def _merged(
    parts: Parts, ref: str, snapshots: Sequence[Snapshot], edges: dict[str, Edges]
) -> SliceProfile:
    found: list[Profiled] = [
        profile_snapshot(parts.lake.table(snapshot.slice), snapshot, edges)
        for snapshot in snapshots
    ]
    return SliceProfile(
        ref=ref,
        profile=Profile.merge([one.profile for one in found]),
        files=sum(one.files for one in found),
        read=sum(one.read for one in found),
        damaged=tuple(text for one in found for text in one.damaged),
    )
