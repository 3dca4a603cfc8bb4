"""Triggers against a home: what is to be seen of one now, and whether a run may start."""

from datetime import timedelta

from backstory.lake.drift import Statistic
from backstory.lake.errors import InvalidError
from backstory.lake.top_values import Value
from backstory.lineage import profiling
from backstory.lineage import trigger as rules
from backstory.lineage.parts import Parts
from backstory.lineage.resolving import resolve_slice_at
from backstory.lineage.store import runs, slices
from backstory.lineage.trigger import (
    CommitRange,
    Decay,
    Drift,
    Evaluated,
    Observation,
    Schedule,
    Threshold,
    Trigger,
    TriggerNotDue,
)


def evaluate(parts: Parts, model: str, trigger: Trigger) -> Evaluated:
    """Compare a trigger with what the home knows of a model now.

    Raises:
        NotFoundError: the trigger's slice does not exist.
        InvalidError: a drift trigger whose metric nobody measured, or a column that cannot be
            measured.
    """
    return rules.evaluate(trigger, _observe(parts, model, trigger))


def require_due(evaluated: Evaluated) -> None:
    """Refuse to start.

    Raises:
        TriggerNotDue: the condition is not met.
    """
    if not evaluated.due:
        raise TriggerNotDue(evaluated)


def _observe(parts: Parts, model: str, trigger: Trigger) -> Observation:
    if isinstance(trigger, Threshold | Drift | Decay):
        read, commits = _since_last_run(parts, model, trigger.slice)
        if isinstance(trigger, Decay):
            return _share(parts, trigger, commits)
        if isinstance(trigger, Drift) and trigger.statistic is not None:
            return _measured(parts, trigger, trigger.statistic, read, commits)
        metric = trigger.measured if isinstance(trigger, Drift) else None
        return Observation(commits=commits, metric=metric)
    if isinstance(trigger, Schedule):
        return Observation(elapsed=_since_last_success(parts, model))
    return Observation()


def _measured(
    parts: Parts,
    trigger: Drift,
    statistic: Statistic,
    read: int | None,
    commits: CommitRange | None,
) -> Observation:
    """The rows since the last run against what that run read, both from their profiles."""
    if read is None:
        return Observation(commits=commits, nothing="no successful run has read it yet")
    if commits is None:
        return Observation(nothing="there are no new rows")
    head = f"{trigger.slice}@{commits.first}..{commits.last}"
    columns = [trigger.column] if trigger.column else []
    found = profiling.drift(parts, f"{trigger.slice}@{read}", head, columns=columns)
    values = [(value, one.column) for one in found.columns if (value := one.of(statistic))]
    if not values and all(one.of(statistic) is None for one in found.columns):
        return Observation(commits=commits, nothing="no column has values that it can compare")
    metric, column = max(values, default=(0.0, None))
    return Observation(commits=commits, metric=metric, column=column)


def _share(parts: Parts, trigger: Decay, commits: CommitRange | None) -> Observation:
    """How often a value came since the last run; an estimate where a column has many values."""
    if commits is None:
        return Observation(nothing="there are no new rows")
    found = profiling.profile(parts, f"{trigger.slice}@{commits.first}..{commits.last}").profile
    column = found.columns.get(trigger.column)
    if column is None or column.top is None:
        raise InvalidError(
            f"decay of {trigger.slice}: the values of {trigger.column!r} are not counted",
            hint=f"name a column with few values that tell of nobody; `backstory profile "
            f"{trigger.slice}` lists them",
        )
    values = column.rows - column.nulls
    if not values:
        return Observation(commits=commits, nothing="there are no new values")
    counts = {_text(value): count for value, count in column.top.counts.items()}
    return Observation(commits=commits, metric=counts.get(trigger.value, 0) / values)


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _since_last_run(
    parts: Parts, model: str, slice_name: str
) -> tuple[int | None, CommitRange | None]:
    """The version of a slice that a completed run of the model read, and the commits behind it."""
    found = resolve_slice_at(parts, slice_name)
    with parts.store.reader() as conn:
        read = runs.last_read_of(conn, model, found.slice.id)
        after = -1 if read is None else read
        shares = slices.shares_by_source(conn, found.slice.id, after=after, upto=found.version)
        first = slices.first_commit_with_rows(conn, found.slice.id, after=after)
    rows = sum(share.rows for share in shares)
    if first is None or rows == 0:
        return read, None
    return read, CommitRange(slice=slice_name, first=first, last=found.version, rows=rows)


def _since_last_success(parts: Parts, model: str) -> timedelta | None:
    with parts.store.reader() as conn:
        ended = runs.last_success(conn, model)
    return None if ended is None else parts.clock() - ended
