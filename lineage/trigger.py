"""Why a run starts: triggers, and what became of evaluating one.

A trigger is a condition; `evaluate` compares it with an `Observation` that somebody else made, and
says what was seen, what the limit was and which commits caused it. Nothing is read here.

>>> seen = CommitRange(slice="thumbs/en", first=41, last=58, rows=10_214)
>>> evaluated = evaluate(Threshold("thumbs/en", rows=10_000), Observation(commits=seen))
>>> evaluated.due, evaluated.reason
(True, 'thumbs/en@41..58, +10,214 rows: at least 10,000 were asked for')
>>> Evaluated.from_json(evaluated.to_json()) == evaluated
True
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, assert_never

from backstory.lake.drift import Statistic
from backstory.lake.errors import IntegrityError, InvalidError, RefusedError
from backstory.lake.location import check_table_name

TRIGGER_FORMAT = 1


class TriggerKind(StrEnum):
    """The kinds of triggers, as stored."""

    MANUAL = "manual"
    SCHEDULE = "schedule"
    THRESHOLD = "threshold"
    DRIFT = "drift"
    DECAY = "decay"
    ERASURE = "erasure"


@dataclass(frozen=True, slots=True)
class Manual:
    """Somebody started it."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Schedule:
    """So long after the last successful run of the model; at once when there was none."""

    name: str
    every: timedelta = field(kw_only=True)

    def __post_init__(self) -> None:
        if self.every <= timedelta(0):
            raise InvalidError(
                f"schedule {self.name!r}: an interval of {self.every} is not positive",
                hint="give an interval of at least a second",
            )


@dataclass(frozen=True, slots=True)
class Threshold:
    """So many rows of a slice since the last successful run of the model."""

    slice: str
    rows: int = field(kw_only=True)

    def __post_init__(self) -> None:
        check_table_name(self.slice)
        if self.rows < 1:
            raise InvalidError(
                f"threshold on {self.slice}: {self.rows} rows is not a positive count",
                hint="give 1 or more",
            )


@dataclass(frozen=True, slots=True)
class Drift:
    """A measure of a slice's change that has gone beyond its limit.

    Attributes:
        metric: what is measured: `psi`, `js` or `ks` of the rows since the model's last successful
            run against what that run read, from profiles; or anything, in your words.
        column: of which column; of the one that moved most where none is named.
        measured: its value now, where you measure it; only what has another name needs that.
    """

    slice: str
    metric: str = field(kw_only=True)
    limit: float = field(kw_only=True)
    column: str | None = field(kw_only=True, default=None)
    measured: float | None = field(kw_only=True, default=None, compare=False)

    def __post_init__(self) -> None:
        check_table_name(self.slice)
        if not math.isfinite(self.limit):
            raise InvalidError(
                f"drift of {self.slice}: the limit {self.limit} is not a finite number",
                hint="give a number",
            )

    @property
    def statistic(self) -> Statistic | None:
        """What is measured here; None where you measure."""
        is_ours = self.measured is None and self.metric in set(Statistic)
        return Statistic(self.metric) if is_ours else None


@dataclass(frozen=True, slots=True)
class Decay:
    """Feedback that says of too many answers that they are bad.

    Attributes:
        column: of the slice, whose values are few.
        value: the one that is bad, as text: `down`, `0` or `false`.
        limit: its largest share, from 0 to 1, among the values since the model's last successful
            run, or since ever.
    """

    slice: str
    column: str = field(kw_only=True)
    value: str = field(kw_only=True)
    limit: float = field(kw_only=True)

    def __post_init__(self) -> None:
        check_table_name(self.slice)
        if not 0 <= self.limit <= 1:
            raise InvalidError(
                f"decay of {self.slice}: the limit {self.limit} is no share",
                hint="give a number from 0 to 1",
            )


@dataclass(frozen=True, slots=True)
class Erasure:
    """Rows that the model was trained on were erased."""

    reason: str


Trigger = Manual | Schedule | Threshold | Drift | Decay | Erasure


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitRange:
    """Commits `first` to `last` of a slice, both included, and the rows that they added."""

    slice: str
    first: int
    last: int
    rows: int

    def __str__(self) -> str:
        versions = str(self.last) if self.first == self.last else f"{self.first}..{self.last}"
        return f"{self.slice}@{versions}, +{self.rows:,} row{'' if self.rows == 1 else 's'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a trigger is compared with.

    Attributes:
        commits: the commits of the trigger's slice since the model's last successful run, or since
            ever; None when there are none.
        elapsed: time since the model's last successful run; None when there was none.
        metric: the drift metric's value, or the share of the value that decay shows.
        column: the column that moved so far, where it was measured here.
        nothing: why there is nothing to compare, where there is not.
    """

    commits: CommitRange | None = None
    elapsed: timedelta | None = None
    metric: float | None = None
    column: str | None = None
    nothing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """A trigger with what was seen of it.

    Attributes:
        value, limit: the numbers that were compared: rows, seconds, or the metric; None where
            nothing is compared or nothing was seen.
        range: the commits that caused it.
        due: whether the run may start.
        reason: the same in words.
    """

    trigger: Trigger
    value: float | None
    limit: float | None
    range: CommitRange | None
    due: bool
    reason: str

    @property
    def kind(self) -> TriggerKind:
        """The trigger's kind."""
        return kind_of(self.trigger)

    def to_json(self) -> dict[str, Any]:
        """The stored form, format 1."""
        return {
            "v": TRIGGER_FORMAT,
            "kind": self.kind.value,
            "condition": condition_to_json(self.trigger),
            "value": self.value,
            "limit": self.limit,
            "range": asdict(self.range) if self.range else None,
            "due": self.due,
            "reason": self.reason,
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> "Evaluated":
        """Read the stored form.

        Raises:
            IntegrityError: it is not of a format that is known here.
        """
        if body.get("v") != TRIGGER_FORMAT:
            raise IntegrityError(f"trigger of unknown format {body.get('v')!r}")
        try:
            return cls(
                trigger=condition_from_json(body["kind"], body["condition"]),
                value=body["value"],
                limit=body["limit"],
                range=CommitRange(**body["range"]) if body["range"] else None,
                due=body["due"],
                reason=body["reason"],
            )
        except (KeyError, TypeError) as exc:
            raise IntegrityError(f"trigger does not parse: {exc!r}") from exc


class TriggerNotDue(RefusedError):
    """The trigger's condition is not met, so no run was started.

    Attributes:
        evaluated: what was seen.
    """

    def __init__(self, evaluated: Evaluated) -> None:
        super().__init__(
            f"{evaluated.kind} trigger is not due: {evaluated.reason}",
            hint="ask first with `home.due(model, trigger)`, or start by hand with Manual(reason)",
        )
        self.evaluated = evaluated


def evaluate(trigger: Trigger, seen: Observation) -> Evaluated:
    """Compare a trigger with what was seen.

    Raises:
        InvalidError: a drift trigger whose metric nobody measured.
    """
    match trigger:
        case Manual(reason=reason) | Erasure(reason=reason):
            return _always(trigger, reason)
        case Schedule():
            return _evaluate_schedule(trigger, seen)
        case Threshold():
            return _evaluate_threshold(trigger, seen)
        case Drift():
            return _evaluate_drift(trigger, seen)
        case Decay():
            return _evaluate_decay(trigger, seen)
        case _:
            assert_never(trigger)


def kind_of(trigger: Trigger) -> TriggerKind:
    """A trigger's kind."""
    return TriggerKind(type(trigger).__name__.lower())


def condition_to_json(trigger: Trigger) -> dict[str, Any]:
    """A trigger's own fields."""
    match trigger:
        case Manual(reason=reason) | Erasure(reason=reason):
            return {"reason": reason}
        case Schedule(name=name, every=every):
            return {"name": name, "every_seconds": every.total_seconds()}
        case Threshold(slice=slice_name, rows=rows):
            return {"slice": slice_name, "rows": rows}
        case Drift(slice=slice_name, metric=metric, limit=limit, column=column):
            named = {"column": column} if column is not None else {}
            return {"slice": slice_name, "metric": metric, "limit": limit, **named}
        case Decay():
            return asdict(trigger)
        case _:
            assert_never(trigger)


def condition_from_json(kind: str, condition: Mapping[str, Any]) -> Trigger:
    """Read what `condition_to_json` wrote.

    Raises:
        IntegrityError: no trigger is of that kind.
        KeyError: a field is missing.
    """
    match kind:
        case TriggerKind.MANUAL:
            return Manual(condition["reason"])
        case TriggerKind.ERASURE:
            return Erasure(condition["reason"])
        case TriggerKind.SCHEDULE:
            every = timedelta(seconds=condition["every_seconds"])
            return Schedule(condition["name"], every=every)
        case TriggerKind.THRESHOLD:
            return Threshold(condition["slice"], rows=condition["rows"])
        case TriggerKind.DRIFT:
            metric, limit = condition["metric"], condition["limit"]
            column = condition.get("column")
            return Drift(condition["slice"], metric=metric, limit=limit, column=column)
        case TriggerKind.DECAY:
            of = {name: condition[name] for name in ("column", "value", "limit")}
            return Decay(condition["slice"], **of)
    raise IntegrityError(f"trigger of unknown kind {kind!r}")


def _always(trigger: Manual | Erasure, reason: str) -> Evaluated:
    return Evaluated(
        trigger=trigger,
        value=None,
        limit=None,
        range=None,
        due=True,
        reason=reason or "started by hand",
    )


def _evaluate_schedule(trigger: Schedule, seen: Observation) -> Evaluated:
    ago = "no run has succeeded yet" if seen.elapsed is None else f"last success {seen.elapsed} ago"
    return Evaluated(
        trigger=trigger,
        value=None if seen.elapsed is None else seen.elapsed.total_seconds(),
        limit=trigger.every.total_seconds(),
        range=None,
        due=seen.elapsed is None or seen.elapsed >= trigger.every,
        reason=f"{trigger.name}: {ago}, every {trigger.every}",
    )


def _evaluate_threshold(trigger: Threshold, seen: Observation) -> Evaluated:
    rows = seen.commits.rows if seen.commits else 0
    return Evaluated(
        trigger=trigger,
        value=rows,
        limit=trigger.rows,
        range=seen.commits,
        due=rows >= trigger.rows,
        reason=f"{seen.commits or trigger.slice + ', no new rows'}: "
        f"at least {trigger.rows:,} were asked for",
    )


def _evaluate_drift(trigger: Drift, seen: Observation) -> Evaluated:
    if trigger.statistic is not None and seen.metric is None:
        return _beside_limit(trigger, seen, f"{trigger.metric} of {trigger.slice}: {seen.nothing}")
    if seen.metric is None or not math.isfinite(seen.metric):
        raise InvalidError(
            f"drift of {trigger.slice}: {trigger.metric} was not measured (got {seen.metric})",
            hint="measure it, and say measured=… in the trigger; or name psi, js or ks",
        )
    column = seen.column or trigger.column
    of = f"{column} in {trigger.slice}" if column else trigger.slice
    found = f"{trigger.metric} of {of} is {seen.metric:g}"
    lies = "beyond" if seen.metric > trigger.limit else "within"
    return _beside_limit(trigger, seen, f"{found}, {lies} its limit {trigger.limit:g}")


def _evaluate_decay(trigger: Decay, seen: Observation) -> Evaluated:
    of = f"{trigger.column} in {seen.commits or trigger.slice}"
    if seen.metric is None:
        return _beside_limit(trigger, seen, f"{of}: {seen.nothing}")
    found = f"{seen.metric:.1%} of {of} is {trigger.value}"
    lies = "beyond" if seen.metric > trigger.limit else "within"
    return _beside_limit(trigger, seen, f"{found}, {lies} its limit {trigger.limit:.1%}")


def _beside_limit(trigger: Drift | Decay, seen: Observation, reason: str) -> Evaluated:
    return Evaluated(
        trigger=trigger,
        value=seen.metric,
        limit=trigger.limit,
        range=seen.commits,
        due=seen.metric is not None and seen.metric > trigger.limit,
        reason=reason,
    )
