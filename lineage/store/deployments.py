"""What the store knows of deployments: which version served where, and when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, or_, select

from backstory.lineage.lateness import lateness
from backstory.lineage.store import tables as t
from backstory.lineage.store.horizon import horizon, known_in
from backstory.lineage.store.number_list import among
from backstory.lineage.store.prepared import Prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalRecord:
    """A deployment over one interval of valid time, in which its share did not change.

    Attributes:
        recorded_at: when its begin was first told; None where nobody asked, see `recorded`.
        end_recorded_at: likewise of its end; None where it has none.
    """

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
    recorded_at: datetime | None = None
    end_recorded_at: datetime | None = None

    @property
    def late(self) -> timedelta | None:
        """How late its begin was told; None where that was in time."""
        return lateness(self.from_at, self.recorded_at)

    @property
    def end_late(self) -> timedelta | None:
        """How late its end was told; None where that was in time."""
        return lateness(self.until_at, self.end_recorded_at)

    def covers(self, at: datetime) -> bool:
        """Whether the instant lies within."""
        return self.from_at <= at and (self.until_at is None or at < self.until_at)


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
    .where(known_in(t.deployment_interval))
    .order_by(t.deployment_interval.c.from_at, t.deployment_interval.c.id)
)
_INTERVALS_BY_DEPLOYMENT = Prepared(
    _INTERVALS.where(among(t.deployment_interval.c.deployment, "ids"))
)

_INTERVALS_BY_VERSION = Prepared(_INTERVALS.where(among(t.deployment.c.model_version, "ids")))


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
    return [IntervalRecord(**row) for row in conn.execute(query, horizon(conn)).mappings()]


def intervals_of(conn: Connection, deployments: Sequence[int]) -> dict[int, list[IntervalRecord]]:
    """Intervals by deployment id."""
    found: dict[int, list[IntervalRecord]] = {}
    known = _INTERVALS_BY_DEPLOYMENT.records(conn, IntervalRecord, ids=deployments)
    for interval in known:
        found.setdefault(interval.deployment, []).append(interval)
    return found


def intervals_of_versions(conn: Connection, versions: Sequence[int]) -> list[IntervalRecord]:
    """Where versions serve and served, by the begin."""
    return _INTERVALS_BY_VERSION.records(conn, IntervalRecord, ids=versions)


def deployment_by_number(conn: Connection, environment: str, number: int) -> Any | None:
    """A deployment's row."""
    query = select(t.deployment).where(
        t.deployment.c.environment == environment,
        t.deployment.c.number == number,
        known_in(t.deployment),
    )
    return conn.execute(query, horizon(conn)).one_or_none()


def last_deployment_number(conn: Connection, environment: str) -> int:
    """The number of an environment's newest deployment; 0 when it has none."""
    query = select(func.max(t.deployment.c.number)).where(t.deployment.c.environment == environment)
    return conn.execute(query).scalar_one() or 0


def environments(conn: Connection) -> list[str]:
    """The environments that something was ever deployed to."""
    query = select(t.deployment.c.environment).where(known_in(t.deployment)).distinct()
    return sorted(conn.execute(query, horizon(conn)).scalars())
