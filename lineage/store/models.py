"""What the store knows of runs, model versions, aliases, components and deployments."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from typing import Any

from sqlalchemy import Connection, bindparam, func, literal_column, or_, select

from backstory.lineage.run import RunState, StateChange, advance
from backstory.lineage.store import tables as t
from backstory.lineage.store.number_list import among
from backstory.lineage.store.prepared import Prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A run with its state as of now.

    Attributes:
        started: when the run began; None where only later events arrived.
        ended: when it completed, failed or was aborted.
        message: why it failed.
    """

    id: int
    run_id: str
    namespace: str
    job: str
    model: str | None
    trigger: dict[str, Any] | None
    state: str
    started: datetime | None
    ended: datetime | None
    message: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRecord:
    """One read of a run: which snapshot, and the selection applied to it."""

    run: int
    snapshot: int
    role: str
    columns: list[str] | None
    filter: str | None
    rows: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRecord:
    """A model version with its artifact and the aliases it has now."""

    id: int
    model: str
    number: int
    run: int | None
    artifact: str
    artifact_kind: str
    artifact_name: str
    artifact_size: int
    replay: list[str] | None
    at: datetime
    aliases: tuple[str, ...] = field(default=())

    @property
    def ref(self) -> str:
        """`ranker@7`."""
        return f"{self.model}@{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentRecord:
    """A versioned thing that a model version is composed with."""

    id: int
    kind: str
    name: str
    version: str
    digest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalRecord:
    """A deployment over one interval of valid time, in which its share did not change."""

    id: int
    deployment: int
    environment: str
    number: int
    model_version: int
    model: str
    version: int
    mode: str
    share: float
    from_at: datetime
    until_at: datetime | None


_COMMA = ","  # no alias holds one

_RUNS = select(
    t.run.c.id, t.run.c.run_id, t.run.c.namespace, t.run.c.job, t.run.c.model, t.run.c.trigger
).order_by(t.run.c.id.desc())
_RUNS_BY_ID = Prepared(_RUNS.where(among(t.run.c.id, "ids")))
_STATES = Prepared(
    select(t.run_state.c.run, t.run_state.c.state, t.run_state.c.at, t.run_state.c.message)
    .where(among(t.run_state.c.run, "ids"))
    .order_by(t.run_state.c.run, t.run_state.c.at, t.run_state.c.id)
)
_READS = Prepared(
    select(
        t.run_read.c.run,
        t.run_read.c.snapshot,
        t.run_read.c.role,
        t.run_read.c.columns,
        t.run_read.c.filter,
        t.run_read.c.rows,
    )
    .where(among(t.run_read.c.run, "ids"))
    .order_by(t.run_read.c.id)
)
_ALIASES = (
    # As a literal: a bound comma would be compiled anew for every execution.
    select(func.aggregate_strings(t.alias.c.alias, literal_column(f"'{_COMMA}'")))  # type: ignore[arg-type]
    .where(
        t.alias.c.model == t.model_version.c.model,
        t.alias.c.model_version == t.model_version.c.id,
        t.alias.c.ended_seq.is_(None),
        t.alias.c.until_at.is_(None),
    )
    .scalar_subquery()
)
_VERSIONS = select(
    t.model_version.c.id,
    t.model_version.c.model,
    t.model_version.c.number,
    t.model_version.c.run,
    t.model_version.c.artifact,
    t.artifact.c.kind.label("artifact_kind"),
    t.artifact.c.name.label("artifact_name"),
    t.artifact.c.size.label("artifact_size"),
    t.model_version.c.replay,
    t.model_version.c.at,
    _ALIASES.label("aliases"),
).join(t.artifact, t.artifact.c.digest == t.model_version.c.artifact)
_VERSION_FIELDS = _VERSIONS.selected_columns.keys()
_VERSIONS_BY_ID = Prepared(_VERSIONS.where(among(t.model_version.c.id, "ids")))
_VERSION_BY_NUMBER = _VERSIONS.where(
    t.model_version.c.model == bindparam("model"), t.model_version.c.number == bindparam("number")
)
_INTERVALS = (
    select(
        t.deployment_interval.c.id,
        t.deployment_interval.c.deployment,
        t.deployment.c.environment,
        t.deployment.c.number,
        t.deployment.c.model_version,
        t.model_version.c.model,
        t.model_version.c.number.label("version"),
        t.deployment.c.mode,
        t.deployment_interval.c.share,
        t.deployment_interval.c.from_at,
        t.deployment_interval.c.until_at,
    )
    .join(t.deployment, t.deployment.c.id == t.deployment_interval.c.deployment)
    .join(t.model_version, t.model_version.c.id == t.deployment.c.model_version)
    .where(t.deployment_interval.c.ended_seq.is_(None))
    .order_by(t.deployment_interval.c.from_at, t.deployment_interval.c.id)
)
_INTERVALS_BY_DEPLOYMENT = Prepared(
    _INTERVALS.where(among(t.deployment_interval.c.deployment, "ids"))
)
_COMPONENTS = select(
    t.component.c.id,
    t.component.c.kind,
    t.component.c.name,
    t.component.c.version,
    t.component.c.digest,
)
_COMPONENTS_BY_ID = Prepared(_COMPONENTS.where(among(t.component.c.id, "ids")))


def runs(
    conn: Connection,
    *,
    ids: Sequence[int] | None = None,
    model: str | None = None,
    limit: int = 50,
    before: int | None = None,
) -> list[RunRecord]:
    """Runs, newest first: those of given ids, or of a model, or the last ones below `before`."""
    if ids is not None:
        return _run_records(conn, _RUNS_BY_ID.rows(conn, ids=ids))
    query = _RUNS.limit(limit)
    if model is not None:
        query = query.where(t.run.c.model == model)
    if before is not None:
        query = query.where(t.run.c.id < before)
    return _run_records(conn, conn.execute(query).all())


def runs_with_prefix(conn: Connection, prefix: str, limit: int = 3) -> list[RunRecord]:
    """Runs whose id begins so."""
    query = _RUNS.where(t.run.c.run_id.startswith(prefix, autoescape=True)).limit(limit)
    return _run_records(conn, conn.execute(query).all())


def _run_records(conn: Connection, rows: Sequence[Any]) -> list[RunRecord]:
    """Runs, each with the state that its changes amount to, whatever order they came in."""
    told: dict[int, list[StateChange]] = {}
    for run, state, at, message in _STATES.rows(conn, ids=[row[0] for row in rows]) if rows else ():
        change = StateChange(state=RunState(state), at=at, message=message)
        told.setdefault(run, []).append(change)
    return [_run_record(row, told.get(row[0], [])) for row in rows]


def _run_record(row: Any, told: Sequence[StateChange]) -> RunRecord:
    number, run_id, namespace, job, model, trigger = row
    last = reduce(advance, told, None)
    started = [change.at for change in told if change.state is RunState.STARTED]
    return RunRecord(
        id=number,
        run_id=run_id,
        namespace=namespace,
        job=job,
        model=model,
        trigger=trigger,
        state=last.state.value if last else "unknown",
        started=min(started, default=None),
        ended=last.at if last and last.state.ended else None,
        message=last.message if last else None,
    )


def run_facets(conn: Connection, run: int) -> dict[str, Any]:
    """A run's current facets by key."""
    query = select(t.run_facet.c.key, t.run_facet.c.body).where(
        t.run_facet.c.run == run, t.run_facet.c.ended_seq.is_(None)
    )
    return {row.key: row.body for row in conn.execute(query)}


def run_events(conn: Connection, run_id: str, limit: int = 1000) -> list[str]:
    """The raw OpenLineage events of a run, in the order of their times."""
    query = (
        select(t.openlineage_event.c.body)
        .where(t.openlineage_event.c.run_id == run_id)
        .order_by(t.openlineage_event.c.event_time, t.openlineage_event.c.id)
        .limit(limit)
    )
    return list(conn.execute(query).scalars())


def reads_of(conn: Connection, runs: Sequence[int]) -> list[ReadRecord]:
    """What runs read, in the order of reading."""
    return _READS.records(conn, ReadRecord, ids=runs) if runs else []


def readers_of(conn: Connection, snapshots: Sequence[int]) -> list[ReadRecord]:
    """The reads of given snapshots."""
    query = select(
        t.run_read.c.run,
        t.run_read.c.snapshot,
        t.run_read.c.role,
        t.run_read.c.columns,
        t.run_read.c.filter,
        t.run_read.c.rows,
    ).where(t.run_read.c.snapshot.in_(snapshots))
    return [ReadRecord(**row) for row in conn.execute(query).mappings()]


def last_read_of(conn: Connection, model: str, slice_id: int) -> int | None:
    """The newest version of a slice that a completed run of this model has read."""
    query = (
        select(func.max(t.snapshot.c.version))
        .join(t.run_read, t.run_read.c.snapshot == t.snapshot.c.id)
        .join(t.run, t.run.c.id == t.run_read.c.run)
        .join(t.run_state, t.run_state.c.run == t.run.c.id)
        .where(
            t.run.c.model == model,
            t.snapshot.c.slice == slice_id,
            t.run_state.c.state == "completed",
        )
    )
    newest: int | None = conn.execute(query).scalar_one()
    return newest


def last_success(conn: Connection, model: str) -> datetime | None:
    """When a run of this model last completed."""
    query = (
        select(func.max(t.run_state.c.at))
        .join(t.run, t.run.c.id == t.run_state.c.run)
        .where(t.run.c.model == model, t.run_state.c.state == "completed")
    )
    ended: datetime | None = conn.execute(query).scalar_one()
    return ended


def artifact_kinds(conn: Connection) -> dict[str, str]:
    """What every registered artifact is, "file" or "tree", by digest."""
    query = select(t.artifact.c.digest, t.artifact.c.kind).order_by(t.artifact.c.digest)
    return {row.digest: row.kind for row in conn.execute(query)}


def has_artifact(conn: Connection, digest: str) -> bool:
    """Whether an artifact of that digest is registered."""
    query = select(t.artifact.c.digest).where(t.artifact.c.digest == digest)
    return conn.execute(query).first() is not None


def _version_record(row: Any) -> VersionRecord:
    fields = dict(zip(_VERSION_FIELDS, row, strict=True))
    aliases = fields.pop("aliases")
    return VersionRecord(**fields, aliases=tuple(sorted(aliases.split(_COMMA))) if aliases else ())


def versions(conn: Connection, ids: Sequence[int]) -> dict[int, VersionRecord]:
    """Model versions by id."""
    rows = _VERSIONS_BY_ID.rows(conn, ids=ids) if ids else ()
    return {row[0]: _version_record(row) for row in rows}


def version(conn: Connection, model: str, number: int) -> VersionRecord | None:
    """One model version."""
    row = conn.execute(_VERSION_BY_NUMBER, {"model": model, "number": number}).one_or_none()
    return _version_record(row) if row else None


def versions_of(
    conn: Connection, model: str, *, limit: int = 1000, before: int | None = None
) -> list[VersionRecord]:
    """A model's versions, newest first; only numbers below `before` where one is given."""
    query = (
        _VERSIONS.where(t.model_version.c.model == model)
        .order_by(t.model_version.c.number.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(t.model_version.c.number < before)
    return [_version_record(row) for row in conn.execute(query)]


def versions_made_by(conn: Connection, run: int) -> list[VersionRecord]:
    """The versions that a run made."""
    query = _VERSIONS.where(t.model_version.c.run == run)
    return [_version_record(row) for row in conn.execute(query)]


def last_number(conn: Connection, model: str) -> int:
    """The number of a model's newest version; 0 when it has none."""
    query = select(func.max(t.model_version.c.number)).where(t.model_version.c.model == model)
    return conn.execute(query).scalar_one() or 0


def alias_at(conn: Connection, model: str, alias: str, at: datetime | None) -> int | None:
    """The version id that an alias named at a time, or names now."""
    query = select(t.alias.c.model_version).where(
        t.alias.c.model == model, t.alias.c.alias == alias, t.alias.c.ended_seq.is_(None)
    )
    if at is None:
        query = query.where(t.alias.c.until_at.is_(None))
    else:
        query = query.where(
            t.alias.c.from_at <= at, or_(t.alias.c.until_at.is_(None), t.alias.c.until_at > at)
        )
    return conn.execute(query.order_by(t.alias.c.id.desc()).limit(1)).scalar_one_or_none()


def alias_rows(conn: Connection, model: str, alias: str) -> list[Any]:
    """The current record of an alias's moves, oldest first."""
    query = (
        select(t.alias)
        .where(t.alias.c.model == model, t.alias.c.alias == alias, t.alias.c.ended_seq.is_(None))
        .order_by(t.alias.c.from_at)
    )
    return list(conn.execute(query))


def alias_names(conn: Connection, model: str) -> list[str]:
    """The aliases that a model has now."""
    query = select(t.alias.c.alias).where(
        t.alias.c.model == model, t.alias.c.ended_seq.is_(None), t.alias.c.until_at.is_(None)
    )
    return sorted(set(conn.execute(query).scalars()))


def components_of(conn: Connection, version: int) -> list[ComponentRecord]:
    """The components that a model version is composed with."""
    query = (
        _COMPONENTS.join(t.edge, t.edge.c.src == t.component.c.id)
        .where(t.edge.c.dst == version, t.edge.c.kind == "component_of")
        .order_by(t.component.c.kind, t.component.c.name)
    )
    return [ComponentRecord(**row) for row in conn.execute(query).mappings()]


def components(conn: Connection, ids: Sequence[int]) -> dict[int, ComponentRecord]:
    """Components by id."""
    found = _COMPONENTS_BY_ID.records(conn, ComponentRecord, ids=ids) if ids else []
    return {component.id: component for component in found}


def intervals(
    conn: Connection,
    *,
    environment: str | None = None,
    at: datetime | None = None,
    model_version: int | None = None,
) -> list[IntervalRecord]:
    """Deployment intervals by their begin: of an environment, at a time, of a version."""
    query = _INTERVALS
    if environment is not None:
        query = query.where(t.deployment.c.environment == environment)
    if model_version is not None:
        query = query.where(t.deployment.c.model_version == model_version)
    if at is not None:
        until = t.deployment_interval.c.until_at
        query = query.where(t.deployment_interval.c.from_at <= at, or_(until.is_(None), until > at))
    return [IntervalRecord(**row) for row in conn.execute(query).mappings()]


def intervals_of(conn: Connection, deployments: Sequence[int]) -> dict[int, list[IntervalRecord]]:
    """Intervals by deployment id."""
    found: dict[int, list[IntervalRecord]] = {}
    known = _INTERVALS_BY_DEPLOYMENT.records(conn, IntervalRecord, ids=deployments)
    for interval in known:
        found.setdefault(interval.deployment, []).append(interval)
    return found


def deployment_by_number(conn: Connection, environment: str, number: int) -> Any | None:
    """A deployment's row."""
    query = select(t.deployment).where(
        t.deployment.c.environment == environment, t.deployment.c.number == number
    )
    return conn.execute(query).one_or_none()


def last_deployment_number(conn: Connection, environment: str) -> int:
    """The number of an environment's newest deployment; 0 when it has none."""
    query = select(func.max(t.deployment.c.number)).where(t.deployment.c.environment == environment)
    return conn.execute(query).scalar_one() or 0


def environments(conn: Connection) -> list[str]:
    """The environments that something was ever deployed to."""
    return sorted(conn.execute(select(t.deployment.c.environment).distinct()).scalars())
