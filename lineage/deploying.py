"""Serving over valid time: deployments with their shares.

`deploy` records; it rolls nothing out. What is so from when is a row of its own: a changed share
ends one interval and begins another, and what was recorded before stays.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from backstory.lake.crash import crashpoint
from backstory.lake.errors import InvalidError, LimitExceededError, NotFoundError
from backstory.lake.location import check_name
from backstory.lineage import refs
from backstory.lineage.deployment import (
    Change,
    Interval,
    Mode,
    plan_deployment,
    plan_undeployment,
)
from backstory.lineage.graph import EdgeKind, EntityKind, Evidence, deployment_key
from backstory.lineage.observing import Served, served
from backstory.lineage.parts import Parts
from backstory.lineage.resolving import (
    DeploymentNamed,
    EnvironmentNamed,
    ModelNamed,
    resolve,
    resolve_ref,
    resolve_version,
)
from backstory.lineage.store import models, names, tables, writes
from backstory.lineage.store.deployments import (
    IntervalRecord,
    intervals,
    intervals_of,
    last_deployment_number,
)
from backstory.lineage.store.recorded import with_interval_times, with_version_times
from backstory.lineage.store.unit_of_work import Unit
from backstory.lineage.times import in_utc, time_text

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)  # of valid times: what lies before is a slip
MAX_AHEAD = timedelta(days=366)  # of valid times: a plan may be recorded, a slip in the year not


def deploy(
    parts: Parts,
    version: str,
    *,
    to: str,
    share: float = 1.0,
    mode: str = "live",
    at: datetime | None = None,
    reason: str = "",
) -> IntervalRecord:
    """Record that a version serves in an environment.

    Args:
        version: a model version's ref, e.g. `ranker@7` or `ranker@champion`.
        to: the environment.
        share: its share of the traffic, 0 to 1. A live share of 1 ends the other live versions; a
            canary takes its share from the live ones; shadow and holdout count nothing.
        mode: "live", "canary", "shadow" or "holdout".
        at: since when, from 2000 to a year ahead; now where nothing is said.
        reason: why, for the audit log.

    Raises:
        LimitExceededError: the time is too far off.
        RefusedError: the shares would exceed 1; the message names the current split.
    """
    check_name(to)
    found = resolve_version(parts, version)
    since = valid_time(parts, at)
    with parts.unit("deploy", f"env:{to}", reason=reason) as unit:
        changes = plan_deployment(
            traffic(unit, to, found.model),
            environment=to,
            version_ref=found.ref,
            mode=_mode(mode),
            share=share,
            at=since,
        )
        deployment = _add_deployment(unit, to, found, _mode(mode))
        _carry_out(unit, changes, deployment)
        unit.note(version=found.ref, share=str(share), mode=mode, since=since.isoformat())
        crashpoint("deploy.recorded")
        made = intervals_of(unit.connection, [deployment])[deployment][-1:]
        return with_interval_times(unit.connection, made, unit.at)[0]


def undeploy(
    parts: Parts,
    ref: str,
    *,
    from_environment: str | None = None,
    at: datetime | None = None,
    reason: str = "",
) -> list[IntervalRecord]:
    """Record that a version serves no longer.

    Args:
        ref: a deployment (`env:prod-eu#3`) or a model version.
        from_environment: where; needed when the version serves in more than one environment.
        at: since when, from 2000 to a year ahead; now where nothing is said.
        reason: why, for the audit log.

    Returns:
        The intervals that ended.

    Raises:
        NotFoundError: it does not serve there.
    """
    until = valid_time(parts, at)
    found = resolve(parts, ref)
    with parts.unit("undeploy", ref, reason=reason) as unit:
        if isinstance(found, DeploymentNamed):
            serving = intervals_of(unit.connection, [found.id]).get(found.id, [])
        elif isinstance(found, models.VersionRecord):
            serving = intervals(
                unit.connection, environment=from_environment, model_version=found.id
            )
        else:
            where = found.name if isinstance(found, EnvironmentNamed) else "prod-eu"
            raise InvalidError(
                f"{ref!r} is neither a deployment nor a model version",
                hint=f"write it like {deployment_key(where, 1)} or ranker@7",
            )
        ending = [i for i in serving if i.covers(until)]
        _one_environment(ref, ending, f"at {time_text(until)}" if at else "now")
        for interval in ending:
            changes = plan_undeployment(
                traffic(unit, interval.environment, interval.model),
                environment=interval.environment,
                deployment=interval.deployment,
                at=until,
            )
            _carry_out(unit, changes, interval.deployment)
        unit.note(until=until.isoformat(), ended=[i.number for i in ending])
        ended = intervals_of(unit.connection, [i.deployment for i in ending])
        last = [recorded[-1] for recorded in ended.values()]
        return with_interval_times(unit.connection, last, unit.at)


def deployments(
    parts: Parts,
    environment: str | None = None,
    *,
    at: datetime | None = None,
    as_of: datetime | None = None,
) -> list[Served]:
    """What serves in an environment at a time, or what has ever served where no time is given.

    Beside what serves then, or serves now, stands what processes had really loaded there, and
    where that is something else than was declared.

    Args:
        environment: one environment; all where nothing is said.
        at: what served then.
        as_of: as it was known then; as it is known now where nothing is said.
    """
    with parts.store.reader(as_of) as conn:
        if environment is not None:
            ref = refs.parse_ref(f"env:{environment.removeprefix('env:')}")
            found = resolve_ref(conn, ref, parts.clock)
            environment = found.name if isinstance(found, EnvironmentNamed) else environment
        serving = with_interval_times(conn, intervals(conn, environment=environment, at=at))
        return served(conn, serving, at or as_of or parts.clock())


def model_versions(
    parts: Parts,
    model: str | None = None,
    *,
    limit: int = 1000,
    before: int | None = None,
    as_of: datetime | None = None,
) -> list[models.VersionRecord]:
    """The versions of a model, newest first, or the newest versions of all models.

    Args:
        model: a model, or one version of it.
        limit: how many of a model at most.
        before: only numbers below this one: the next page behind it.
        as_of: as it was known then; as it is known now where nothing is said.
    """
    if model is None:
        with parts.store.reader(as_of) as conn:
            known = names.names(conn, "model")
            found = [v for m in known for v in models.versions_of(conn, m, limit=limit)]
            return with_version_times(conn, found)
    named = resolve(parts, model, as_of)
    with parts.store.reader(as_of) as conn:
        match named:
            case models.VersionRecord():
                found = [named]
            case ModelNamed(name=name):
                found = models.versions_of(conn, name, limit=limit, before=before)
            case _:
                raise InvalidError(f"{model!r} is not a model", hint="see `backstory models`")
        return with_version_times(conn, found)


def valid_time(parts: Parts, at: datetime | None) -> datetime:
    """The instant since when something is so; now where nothing is said."""
    now = parts.clock()
    since = in_utc(at or now)
    if EARLIEST <= since <= now + MAX_AHEAD:
        return since
    ahead = f"more than {MAX_AHEAD.days} days ahead"
    where = ahead if since > now else f"before {EARLIEST:%Y}"
    raise LimitExceededError(f"{time_text(since)} lies {where}", hint="look at the year")


def _add_deployment(unit: Unit, to: str, version: models.VersionRecord, mode: Mode) -> int:
    number = last_deployment_number(unit.connection, to) + 1
    label = f"{version.ref} in {to} ({mode.value})"
    entity = writes.add_entity(unit, EntityKind.DEPLOYMENT, deployment_key(to, number), label)
    writes.insert(
        unit,
        tables.deployment,
        id=entity,
        environment=to,
        number=number,
        model_version=version.id,
        mode=mode.value,
    )
    writes.add_edge(unit, version.id, entity, EdgeKind.DEPLOYED_AS, Evidence.DECLARED)
    return entity


def _carry_out(unit: Unit, changes: Sequence[Change], deployment: int) -> None:
    """Write what a plan says: every changed interval ends its row and gets new ones."""
    for change in changes:
        if change.before is not None and change.before.row is not None:
            writes.end(unit, tables.deployment_interval, change.before.row)
        for piece in change.after:
            write_interval(unit, piece.deployment or deployment, piece)


def write_interval(unit: Unit, deployment: int, interval: Interval) -> int:
    """Write a row for an interval of a deployment; give its number."""
    return writes.insert(
        unit,
        tables.deployment_interval,
        deployment=deployment,
        share=interval.share,
        from_at=interval.from_at,
        until_at=interval.until_at,
    )


def traffic(unit: Unit, environment: str, model: str) -> list[Interval]:
    """The intervals that share one model's traffic in an environment."""
    return [
        Interval(
            row=record.id,
            deployment=record.deployment,
            version_ref=f"{record.model}@{record.version}",
            mode=Mode(record.mode),
            share=record.share,
            from_at=record.from_at,
            until_at=record.until_at,
        )
        for record in intervals(unit.connection, environment=environment)
        if record.model == model
    ]


def _one_environment(ref: str, serving: Sequence[IntervalRecord], when: str) -> None:
    environments = sorted({i.environment for i in serving})
    if not environments:
        raise NotFoundError(f"{ref} serves nowhere {when}", hint="see `backstory deployments`")
    if len(environments) > 1:
        raise InvalidError(
            f"{ref} serves in {', '.join(environments)}", hint="name one with --from ENVIRONMENT"
        )


def _mode(text: str) -> Mode:
    try:
        return Mode(text)
    except ValueError as exc:
        raise InvalidError(
            f"{text!r} is not a mode", hint=f"one of {', '.join(m.value for m in Mode)}"
        ) from exc
