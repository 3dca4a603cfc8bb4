"""What became of a person's rows in a table: who keeps them, who read how many, what came of it.

Where a run's selection is known it is put to the person's rows again, so that the number is exact;
else all rows of the snapshot count, and the number is an upper bound.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backstory.lake.errors import BackstoryError
from backstory.lake.snapshot import Snapshot
from backstory.lineage.graph import EdgeKind
from backstory.lineage.parts import Parts
from backstory.lineage.pinning import open_at
from backstory.lineage.resolving import SliceAt
from backstory.lineage.store import deployments, models, neighbours, runs, slices
from backstory.lineage.store.uses import uses_of
from backstory.lineage.subject import (
    Known,
    SubjectRead,
    SubjectSlice,
    SubjectSnapshot,
    SubjectVersion,
)

CountRows = Callable[[Snapshot, str | None], int]
"""Counts rows of the person in a snapshot that meet a condition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldTable:
    """A table with rows of the person.

    Attributes:
        now: rows in its newest version.
        files: how many data files hold or held some.
        held: the versions that hold some.
        snapshots: its snapshots that hold some, with their rows.
    """

    record: slices.SliceRecord
    now: int
    files: int
    held: Sequence[tuple[int, int | None]]
    snapshots: Mapping[int, tuple[slices.SnapshotRecord, int]]
    count: CountRows


@dataclass(frozen=True, slots=True, kw_only=True)
class _Uses:
    """The uses of some snapshots.

    Attributes:
        reads: reads of ours, by snapshot.
        only_told: runs of which but an event says that they read it, by snapshot.
        declared: versions that are said to be trained on it, by snapshot.
        made: the versions that runs made.
    """

    pins: Mapping[int, list[slices.PinRecord]]
    reads: Mapping[int, list[runs.ReadRecord]]
    only_told: Mapping[int, list[int]]
    declared: Mapping[int, list[models.VersionRecord]]
    runs: Mapping[int, runs.RunRecord]
    made: Mapping[int, list[models.VersionRecord]]


def told(
    parts: Parts, one: HeldTable, as_of: datetime | None
) -> tuple[SubjectSlice, dict[int, Known]]:
    """A table as it is told, with the versions that came of it and how sure that is."""
    uses = _uses(parts, list(one.snapshots), as_of)
    versions: dict[int, Known] = {}
    snapshots = []
    for key, (snapshot, rows) in one.snapshots.items():
        own = [(read, *_rows_read(parts, one, snapshot, rows, read)) for read in uses.reads[key]]
        reads = [_read(uses, read.run, read, count, sure) for read, count, sure in own]
        reads += [
            _read(uses, run, None, rows, Known.SELECTION_UNKNOWN) for run in uses.only_told[key]
        ]
        ways = [(uses.made.get(read.run, []), sure) for read, count, sure in own if count]
        ways += [(uses.made.get(run, []), Known.SELECTION_UNKNOWN) for run in uses.only_told[key]]
        ways += [(uses.declared[key], Known.SELECTION_UNKNOWN)]
        for made, sure in ways:
            versions = surest(versions, {version.id: sure for version in made})
        snapshots.append(
            SubjectSnapshot(
                ref=snapshot.ref,
                at=snapshot.at,
                rows=rows,
                pins=uses.pins.get(key, []),
                reads=reads,
                declared=[version.ref for version in uses.declared[key]],
            )
        )
    table = SubjectSlice(
        name=one.record.name,
        version=one.record.last_version,
        rows=one.now,
        files=one.files,
        held=one.held,
        snapshots=snapshots,
    )
    return table, versions


def surest(one: Mapping[int, Known], other: Mapping[int, Known]) -> dict[int, Known]:
    """Of two ways to a version the surer one counts."""
    return {**one, **{key: sure for key, sure in other.items() if one.get(key) is not Known.EXACT}}


def _uses(parts: Parts, snapshots: Sequence[int], as_of: datetime | None) -> _Uses:
    with parts.store.reader(as_of) as conn:
        edges = uses_of(conn, snapshots)
        reads = {key: neighbours.readers(conn, [key]).get(key, []) for key in snapshots}
        said = models.versions(conn, sorted({dst for _, dst, kind in edges if kind == _SAID}))
        only_told: dict[int, list[int]] = {key: [] for key in snapshots}
        declared: dict[int, list[models.VersionRecord]] = {key: [] for key in snapshots}
        for src, dst, kind in edges:
            if kind == _SAID:
                declared[src].append(said[dst])
            elif dst not in {read.run for read in reads[src]}:
                only_told[src].append(dst)
        known = {read.run for found in reads.values() for read in found}
        known |= {run for found in only_told.values() for run in found}
        return _Uses(
            pins=slices.pins_of(conn, snapshots),
            reads=reads,
            only_told=only_told,
            declared=declared,
            runs=runs.runs_by_id(conn, sorted(known)),
            made=neighbours.versions_made(conn, sorted(known)),
        )


_SAID = EdgeKind.TRAINED_ON.value


def _rows_read(
    parts: Parts,
    one: HeldTable,
    snapshot: slices.SnapshotRecord,
    rows: int,
    read: runs.ReadRecord,
) -> tuple[int, Known]:
    """How many of the person's rows a run read: counted again where its selection is known."""
    if read.filter is None:
        return rows, Known.EXACT if read.rows == snapshot.rows else Known.SELECTION_UNKNOWN
    place = SliceAt(slice=one.record, version=snapshot.version, commit=None, snapshot=snapshot)
    try:
        return one.count(open_at(parts, place), read.filter), Known.EXACT
    except BackstoryError:
        return rows, Known.ROWS_GONE


def _read(
    uses: _Uses, run: int, read: runs.ReadRecord | None, rows: int, known: Known
) -> SubjectRead:
    record = uses.runs[run]
    return SubjectRead(
        run=record.run_id,
        model=record.model,
        state=record.state,
        role=read.role if read else None,
        filter=read.filter if read else None,
        rows=rows,
        known=known,
        versions=[version.ref for version in uses.made.get(run, [])],
    )


def versions_told(
    parts: Parts, sure: Mapping[int, Known], as_of: datetime | None
) -> list[SubjectVersion]:
    """Versions by model and number, with where they serve and served."""
    with parts.store.reader(as_of) as conn:
        found = models.versions(conn, sorted(sure))
        served: dict[int, list[Any]] = {}
        for interval in deployments.intervals_of_versions(conn, sorted(sure)):
            served.setdefault(interval.model_version, []).append(interval)
    return [
        SubjectVersion(
            ref=version.ref,
            at=version.at,
            known=sure[version.id],
            deployments=served.get(version.id, []),
        )
        for version in sorted(found.values(), key=lambda one: (one.model, one.number))
    ]
