"""Triggers against a home: what is to be seen of one now, and whether a run may start."""

from datetime import timedelta

from backstory.lineage import trigger as rules
from backstory.lineage.parts import Parts
from backstory.lineage.resolving import resolve_slice_at
from backstory.lineage.store import runs, slices
from backstory.lineage.trigger import (
    CommitRange,
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
        InvalidError: a drift trigger, whose metric nobody measured.
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
    if isinstance(trigger, Threshold | Drift):
        commits = _commits_since_last_run(parts, model, trigger.slice)
        metric = trigger.measured if isinstance(trigger, Drift) else None
        return Observation(commits=commits, metric=metric)
    if isinstance(trigger, Schedule):
        return Observation(elapsed=_since_last_success(parts, model))
    return Observation()


def _commits_since_last_run(parts: Parts, model: str, slice_name: str) -> CommitRange | None:
    """The commits of a slice behind those that a completed run of the model has read."""
    found = resolve_slice_at(parts, slice_name)
    with parts.store.reader() as conn:
        read = runs.last_read_of(conn, model, found.slice.id)
        after = -1 if read is None else read
        shares = slices.shares_by_source(conn, found.slice.id, after=after, upto=found.version)
        first = slices.first_commit_with_rows(conn, found.slice.id, after=after)
    rows = sum(share.rows for share in shares)
    if first is None or rows == 0:
        return None
    return CommitRange(slice=slice_name, first=first, last=found.version, rows=rows)


def _since_last_success(parts: Parts, model: str) -> timedelta | None:
    with parts.store.reader() as conn:
        ended = runs.last_success(conn, model)
    return None if ended is None else parts.clock() - ended
