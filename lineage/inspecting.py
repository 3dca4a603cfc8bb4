"""Looking at things: slices, their history, a snapshot's rows, runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from backstory.lake.contract import Contract
from backstory.lake.errors import InvalidError, LimitExceededError
from backstory.lake.snapshot import Snapshot
from backstory.lineage import abandoning, linked_interactions
from backstory.lineage.parts import Parts
from backstory.lineage.pinning import open_at
from backstory.lineage.resolving import (
    ModelNamed,
    SliceAt,
    resolve,
    resolve_slice_at,
    resolve_version,
)
from backstory.lineage.store import contracts, deployments, models, names, runs, slices, upgrade
from backstory.lineage.store.amendments import Amended, marks
from backstory.lineage.store.loads import LoadRecord, newest_loads
from backstory.lineage.store.recorded import with_commit_times, with_version_times
from backstory.lineage.tracing import training_unknown_before

DEFAULT_ROWS = 10
MAX_ROWS = 10_000
MAX_COMMITS = 10_000
SHOWN_LOADS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeSummary:
    """A home at a glance.

    Attributes:
        known_since: when recording began; what lies before is unknown, not absent.
        revision: the store's revision.
    """

    known_since: datetime | None
    revision: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceSummary:
    """A slice with how many rows it got, and how many of its snapshots are pinned."""

    slice: slices.SliceRecord
    rows: int
    pinned: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitUse:
    """A commit with the runs that read the slice at it, and its pins."""

    commit: slices.CommitRecord
    snapshot: slices.SnapshotRecord | None
    runs: Sequence[str]
    pins: Sequence[slices.PinRecord]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A snapshot with a sample of its rows.

    Attributes:
        rows: the first rows that meet the condition, as Python values by column.
        matching: how many rows meet the condition.
    """

    at: SliceAt
    snapshot: Snapshot
    contract: Contract
    pins: Sequence[slices.PinRecord]
    rows: Sequence[Mapping[str, Any]]
    matching: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """A run with what it read and made.

    Attributes:
        facets: its OpenLineage facets by key.
        events: how many events were received of it.
    """

    run: runs.RunRecord
    reads: Sequence[tuple[runs.ReadRecord, slices.SnapshotRecord]]
    versions: Sequence[models.VersionRecord]
    facets: Mapping[str, Any]
    events: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionSummary:
    """A model version with what is known of its making and its use.

    Attributes:
        run: the id of the run that made it.
        trained_on: the snapshots that it is said to be trained on, where no run of ours was there.
        training_unknown_before: its training was not recorded before; None where it is known.
        loads: the newest loads of it.
        amended: when what was said of it was last amended, and why.
    """

    version: models.VersionRecord
    run: str | None
    trained_on: Sequence[slices.SnapshotRecord]
    training_unknown_before: datetime | None
    components: Sequence[models.ComponentRecord]
    loads: Sequence[LoadRecord]
    amended: Amended | None


def home_summary(parts: Parts) -> HomeSummary:
    """What a home says of itself."""
    with parts.store.reader() as conn:
        known_since = parts.store.first_time(conn)
    return HomeSummary(known_since=known_since, revision=upgrade.current(parts.store.engine))


def check_known(parts: Parts, as_of: datetime) -> None:
    """Make sure that something was known at a time: else that nothing is found says nothing.

    Raises:
        NotFoundError: nothing was recorded by then.
    """
    with parts.store.reader(as_of):
        return


def list_slices(
    parts: Parts, *, interactions: bool = False, as_of: datetime | None = None
) -> list[SliceSummary]:
    """All slices by name; interaction tables too when asked.

    Args:
        interactions: whether the tables of interactions are given too.
        as_of: as it was known then; as it is known now where nothing is said.
    """
    flavours = () if interactions else ("managed", "linked")
    with parts.store.reader(as_of) as conn:
        found = slices.slices(conn, flavours=flavours)
        rows = slices.rows_added(conn, [record.id for record in found])
        pinned = slices.snapshot_counts(conn)
    return [
        SliceSummary(slice=record, rows=rows.get(record.id, 0), pinned=pinned.get(record.id, 0))
        for record in found
    ]


def history(
    parts: Parts,
    ref: str,
    *,
    limit: int = 50,
    before: int | None = None,
    as_of: datetime | None = None,
) -> list[CommitUse]:
    """A slice's commits up to the ref's version, newest first, with who used them.

    Args:
        ref: the slice, at its newest version where none is named.
        limit: how many at most.
        before: only versions below this one: the next page behind it.
        as_of: as it was known then; as it is known now where nothing is said.
    """
    if not 0 < limit <= MAX_COMMITS:
        raise LimitExceededError(
            f"a history shows 1 to {MAX_COMMITS} commits at a time",
            hint="ask for a number in between",
        )
    found = resolve_slice_at(parts, ref, as_of)
    newest = found.version if before is None else min(found.version, before - 1)
    with parts.store.reader(as_of) as conn:
        records = with_commit_times(
            conn, slices.commits(conn, found.slice.id, upto=newest, limit=limit)
        )
        snapshots = slices.snapshots_between(
            conn, found.slice.id, records[-1].version if records else 0, newest
        )
        ids = [s.id for s in snapshots.values()]
        pins = slices.pins_of(conn, ids)
        used = _readers(conn, ids)
    return [
        CommitUse(
            commit=record,
            snapshot=snapshots.get(record.version),
            runs=used.get(snapshots[record.version].id, []) if record.version in snapshots else [],
            pins=pins.get(snapshots[record.version].id, []) if record.version in snapshots else [],
        )
        for record in records
    ]


def show(
    parts: Parts,
    ref: str,
    *,
    rows: int = DEFAULT_ROWS,
    columns: Sequence[str] | None = None,
    where: str | None = None,
    system: bool = False,
    as_of: datetime | None = None,
) -> Shown:
    """A slice at a version or time, with its first rows.

    Args:
        ref: the slice, at its newest version where none is named.
        rows: how many rows at most.
        columns: these columns only.
        where: a condition that the rows meet.
        system: whether the columns that Backstory writes are given too.
        as_of: as it was known then; as it is known now where nothing is said.

    Raises:
        LimitExceededError: more than `MAX_ROWS` rows are asked for.
    """
    if not 0 <= rows <= MAX_ROWS:
        raise LimitExceededError(
            f"show gives 0 to {MAX_ROWS} rows, not {rows}",
            hint="read all of them in Python with home.slice(...).at(...)",
        )
    found = resolve_slice_at(parts, ref, as_of)
    snapshot = open_at(parts, found)
    with parts.store.reader(as_of) as conn:
        entity = found.snapshot.id if found.snapshot else 0
        pins = slices.pins_of(conn, [entity]).get(entity, [])
        contract = contracts.in_force(conn, found.slice.id, found.version)
        if found.commit is not None:
            [commit] = with_commit_times(conn, [found.commit])
            found = replace(found, commit=commit)
        subjects = linked_interactions.subject_columns(conn, found.slice.id)
    return Shown(
        at=found,
        snapshot=snapshot,
        contract=Contract.from_json(contract)
        if contract
        else parts.lake.table(found.slice.name).contract,
        pins=pins,
        rows=linked_interactions.hidden(
            parts, snapshot.head(rows, columns, where, system=system), subjects
        ),
        matching=snapshot.count(where),
    )


def known_refs(parts: Parts, beginning: str, *, limit: int = 100) -> list[str]:
    """Refs that begin so, for a shell to complete: names, versions, aliases and environments."""
    with parts.store.reader() as conn:
        found = [*names.names(conn), *(f"env:{name}" for name in deployments.environments(conn))]
        for model in names.names(conn, "model"):
            if model.startswith(beginning) or beginning.startswith(f"{model}@"):
                found += [version.ref for version in models.versions_of(conn, model, limit=limit)]
                found += [f"{model}@{alias}" for alias in models.alias_names(conn, model)]
    return sorted(ref for ref in found if ref.startswith(beginning))[:limit]


def list_runs(
    parts: Parts,
    model: str | None = None,
    *,
    limit: int = 50,
    before: int | None = None,
    as_of: datetime | None = None,
) -> list[runs.RunRecord]:
    """Runs, newest first.

    Args:
        model: those of one model.
        limit: how many at most.
        before: only those behind this one: the next page.
        as_of: as it was known then; as it is known now where nothing is said.
    """
    if model is not None and not isinstance(resolve(parts, model, as_of), ModelNamed):
        raise InvalidError(f"{model!r} is not a model", hint="see `backstory models`")
    with parts.store.reader(as_of) as conn:
        return abandoning.told(
            conn, runs.newest_runs(conn, model=model, limit=limit, before=before)
        )


def show_run(parts: Parts, ref: str, *, as_of: datetime | None = None) -> RunSummary:
    """One run, whole; as it was known at a time, where one is given."""
    found = resolve(parts, ref if ref.startswith("run:") else f"run:{ref}", as_of)
    if not isinstance(found, runs.RunRecord):
        raise InvalidError(f"{ref!r} is not a run", hint="write it like run:019a8f")
    with parts.store.reader(as_of) as conn:
        [found] = abandoning.told(conn, [found])
        reads = runs.reads_of(conn, [found.id])
        snapshots = slices.snapshots(conn, [read.snapshot for read in reads])
        return RunSummary(
            run=found,
            reads=[(read, snapshots[read.snapshot]) for read in reads],
            versions=models.versions_made_by(conn, found.id),
            facets=runs.run_facets(conn, found.id),
            events=runs.run_events(conn, found.run_id),
        )


def show_version(parts: Parts, ref: str, *, as_of: datetime | None = None) -> VersionSummary:
    """One model version, whole; as it was known at a time, where one is given."""
    version = resolve_version(parts, ref, as_of)
    with parts.store.reader(as_of) as conn:
        [version] = with_version_times(conn, [version])
        run = runs.runs_by_id(conn, [version.run])[version.run] if version.run else None
        said = models.trained_on(conn, [version.id]).get(version.id, [])
        known_since = parts.store.first_time(conn)
        return VersionSummary(
            version=version,
            run=run.run_id if run else None,
            trained_on=list(slices.snapshots(conn, said).values()),
            training_unknown_before=training_unknown_before(
                version, known_since, trained=bool(said)
            ),
            components=models.components_of(conn, version.id),
            loads=newest_loads(conn, version=version.id, limit=SHOWN_LOADS),
            amended=marks(conn, [version.id]).get(version.id),
        )


def _readers(conn: Any, snapshots: Sequence[int]) -> dict[int, list[str]]:
    reads = runs.readers_of(conn, snapshots)
    known = runs.runs_by_id(conn, [read.run for read in reads])
    found: dict[int, list[str]] = {}
    for read in reads:
        found.setdefault(read.snapshot, []).append(known[read.run].run_id)
    return found
