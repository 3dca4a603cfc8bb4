"""When facts were recorded: the times of the audit leaves that they came with.

A row that is cut anew repeats what was told before: an interval that gets an end keeps the begin
that was told with its first row. So of intervals and aliases it is asked when each of these times
was first told, by any row, superseded ones too. A question costs one statement, however many things
are asked about, and only who shows these times asks; a trace does not.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, bindparam, select

from backstory.lineage.store import tables as t
from backstory.lineage.store.deployments import IntervalRecord
from backstory.lineage.store.horizon import LAST_KNOWN, horizon
from backstory.lineage.store.models import VersionRecord
from backstory.lineage.store.number_list import among
from backstory.lineage.store.prepared import Prepared
from backstory.lineage.store.slices import CommitRecord

_Interval = TypeVar("_Interval", bound=IntervalRecord)

_LEAF_TIMES = Prepared(
    select(t.audit_leaf.c.seq, t.audit_leaf.c.at).where(among(t.audit_leaf.c.seq, "ids"))
)
_VERSION_TIMES = Prepared(
    select(t.model_version.c.id, t.audit_leaf.c.at)
    .join(t.audit_leaf, t.audit_leaf.c.seq == t.model_version.c.recorded_seq)
    .where(among(t.model_version.c.id, "ids"))
)
_INTERVALS_TOLD = Prepared(
    select(
        t.deployment_interval.c.deployment,
        t.deployment_interval.c.from_at,
        t.deployment_interval.c.until_at,
        t.deployment_interval.c.share,
        t.audit_leaf.c.at,
    )
    .join(t.audit_leaf, t.audit_leaf.c.seq == t.deployment_interval.c.recorded_seq)
    .where(
        among(t.deployment_interval.c.deployment, "ids"),
        t.deployment_interval.c.recorded_seq <= LAST_KNOWN,
    )
    .order_by(t.deployment_interval.c.recorded_seq)
)
_ALIASES_TOLD = (
    select(t.alias.c.alias, t.alias.c.model_version, t.alias.c.from_at, t.audit_leaf.c.at)
    .join(t.audit_leaf, t.audit_leaf.c.seq == t.alias.c.recorded_seq)
    .where(t.alias.c.model == bindparam("model"), t.alias.c.recorded_seq <= LAST_KNOWN)
    .order_by(t.alias.c.recorded_seq)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """When the times of one deployment's intervals were first told.

    Attributes:
        begins: by the begin of an interval and its share from then on.
        ends: by the end of an interval.
    """

    begins: Mapping[tuple[datetime, float], datetime]
    ends: Mapping[datetime, datetime]

    def of(self, interval: _Interval, under_way: datetime | None = None) -> _Interval:
        """The interval with when its begin and its end were told.

        Args:
            under_way: the time of the unit of work that tells them now: its leaf is still to come.
        """
        until = interval.until_at
        return replace(
            interval,
            recorded_at=self.begins.get((interval.from_at, interval.share), under_way),
            end_recorded_at=self.ends.get(until, under_way) if until is not None else None,
        )


def leaf_times(conn: Connection, seqs: Iterable[int]) -> dict[int, datetime]:
    """The times of audit leaves by their numbers."""
    wanted = sorted(set(seqs))
    return dict(_LEAF_TIMES.rows(conn, ids=wanted)) if wanted else {}


def version_times(conn: Connection, versions: Sequence[int]) -> dict[int, datetime]:
    """When model versions were recorded, by their ids."""
    return dict(_VERSION_TIMES.rows(conn, ids=versions)) if versions else {}


def intervals_told(conn: Connection, deployments: Sequence[int]) -> dict[int, Told]:
    """When the intervals of deployments were told, by deployment."""
    found: dict[int, Any] = {number: ({}, {}) for number in deployments}
    rows = _INTERVALS_TOLD.rows(conn, ids=deployments) if deployments else ()
    for deployment, from_at, until_at, share, at in rows:
        begins, ends = found[deployment]
        begins.setdefault((from_at, share), at)
        if until_at is not None:
            ends.setdefault(until_at, at)
    return {number: Told(begins=begins, ends=ends) for number, (begins, ends) in found.items()}


def alias_times(conn: Connection, model: str) -> dict[tuple[str, int, datetime], datetime]:
    """When a model's aliases were first told to move: by alias, version and time of the move."""
    found: dict[tuple[str, int, datetime], datetime] = {}
    for row in conn.execute(_ALIASES_TOLD, {"model": model, **horizon(conn)}):
        found.setdefault((row.alias, row.model_version, row.from_at), row.at)
    return found


def with_interval_times(
    conn: Connection, intervals: Sequence[_Interval], under_way: datetime | None = None
) -> list[_Interval]:
    """The intervals, each with when its begin and its end were told; see `Told.of`."""
    told = intervals_told(conn, sorted({interval.deployment for interval in intervals}))
    return [told[interval.deployment].of(interval, under_way) for interval in intervals]


def with_version_times(
    conn: Connection, versions: Sequence[VersionRecord], under_way: datetime | None = None
) -> list[VersionRecord]:
    """The versions, each with when it was recorded; `under_way` as with intervals."""
    times = version_times(conn, [version.id for version in versions])
    return [replace(v, recorded_at=times.get(v.id, under_way)) for v in versions]


def with_commit_times(conn: Connection, commits: Sequence[CommitRecord]) -> list[CommitRecord]:
    """The commits, each with when it was registered."""
    times = leaf_times(conn, (commit.recorded_seq for commit in commits))
    return [replace(commit, recorded_at=times.get(commit.recorded_seq)) for commit in commits]
