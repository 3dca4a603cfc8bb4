"""Training runs: the state a run is in, whatever the order in which its events arrive.

A run's state is the greatest of all changes that were told of it: an end beats a beginning, then
the later time wins. So events may come twice, late or backwards, and the state is the same.
`ABANDONED` is our conclusion about a process that was lost; whatever the process itself says of its
end beats it.

>>> from datetime import UTC, datetime
>>> start = StateChange(state=RunState.STARTED, at=datetime(2026, 11, 14, 9, tzinfo=UTC))
>>> end = StateChange(state=RunState.COMPLETED, at=datetime(2026, 11, 14, 8, tzinfo=UTC))
>>> last_change([end, start]).state
<RunState.COMPLETED: 'completed'>
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from backstory.lineage.times import in_utc


class RunState(StrEnum):
    """What a run does or how it ended."""

    STARTED = "started"
    RUNNING = "running"
    ABANDONED = "abandoned"
    ABORTED = "aborted"
    FAILED = "failed"
    COMPLETED = "completed"

    @property
    def ended(self) -> bool:
        """Nothing more is expected of the run."""
        return self not in OPEN


OPEN = (RunState.STARTED, RunState.RUNNING)

# Ties at one instant are decided by this order, so that the state stays a function of the set.
_RANK = {state: rank for rank, state in enumerate(RunState)}
_OPENLINEAGE = {
    "START": RunState.STARTED,
    "RUNNING": RunState.RUNNING,
    "ABORT": RunState.ABORTED,
    "FAIL": RunState.FAILED,
    "COMPLETE": RunState.COMPLETED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """That a run was in a state at a time, and why, where that was said."""

    state: RunState
    at: datetime
    message: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", in_utc(self.at))


def last_change(changes: Iterable[StateChange]) -> StateChange | None:
    """The change that counts: a function of the set, so that order and repetition do not."""
    return max(changes, key=_weight, default=None)


def state_of_event(event_type: str | None) -> RunState | None:
    """The state that an OpenLineage `eventType` tells of; None for `OTHER`, unknown and absent."""
    return _OPENLINEAGE.get((event_type or "").upper())


def training_job(model: str) -> str:
    """The OpenLineage job name of a model's retrainings."""
    return f"retrain.{model}"


def not_captured(*, by_command: bool, has_reads: bool) -> str | None:
    """What of a run's reads nobody saw; None where all of them are known.

    >>> not_captured(by_command=False, has_reads=False)
    'reads'
    """
    if by_command:
        return "what the command read beside its inputs"
    return None if has_reads else "reads"


def _weight(change: StateChange) -> tuple[int, datetime, int, str]:
    certainty = 0 if not change.state.ended else 1 if change.state is RunState.ABANDONED else 2
    return certainty, change.at, _RANK[change.state], change.message or ""
