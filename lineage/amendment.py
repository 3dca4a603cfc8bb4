"""What an amendment says, and what becomes of a deployment's intervals by it. Nothing is looked up.

A record that was wrong is superseded by what is so instead; nothing else changes. Above all, no
other deployment gets a larger or a smaller share by it: where what is so instead does not fit
beside what is recorded of others, the amendment is refused, and the others are amended first.

>>> from datetime import UTC, datetime
>>> from backstory.lineage.deployment import Mode
>>> noon, later = datetime(2026, 11, 14, 12, tzinfo=UTC), datetime(2026, 11, 14, 13, tzinfo=UTC)
>>> seven = Interval(
...     row=1, deployment=1, version_ref="ranker@7", mode=Mode.LIVE, share=1, from_at=noon
... )
>>> [changed] = plan_amendment([seven], "prod-eu", 1, Correction(from_at=later))
>>> changed.row, changed.after.from_at == later
(1, True)
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime

from backstory.lake.errors import InvalidError, NotFoundError, RefusedError
from backstory.lineage.deployment import (
    TOLERANCE,
    Interval,
    active_at,
    check_share,
    percent,
    same_place,
)
from backstory.lineage.times import in_utc, time_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What was so instead; what is None was recorded rightly.

    Attributes:
        at: which of several intervals or moves is meant: the one in force at that time.
        from_at: since when it was so.
        until_at: until when.
        ongoing: it has not ended.
        share: its share of the traffic.
        version: the ref of the version that was named.
        artifact: where a version's bytes lie.
        digest: SHA-256 of them.
        trained_on: the snapshots that a version was trained on, all of them.
        never: it did not happen.
    """

    at: datetime | None = None
    from_at: datetime | None = None
    until_at: datetime | None = None
    ongoing: bool = False
    share: float | None = None
    version: str | None = None
    artifact: str | None = None
    digest: str | None = None
    trained_on: Sequence[str] | None = None
    never: bool = False

    def __post_init__(self) -> None:
        for name in ("at", "from_at", "until_at"):
            time = getattr(self, name)
            object.__setattr__(self, name, time and in_utc(time))
        said = self.said
        if not said:
            raise InvalidError(
                "an amendment says what was so instead", hint="see `backstory amend --help`"
            )
        if self.never and len(said) > 1:
            raise InvalidError(
                f"what did not happen has no {_words(s for s in said if s != '--never')}",
                hint="leave --never out, or the rest",
            )
        if self.ongoing and self.until_at is not None:
            raise InvalidError(
                "what has not ended has no end", hint="leave --until or --ongoing out"
            )

    @property
    def said(self) -> list[str]:
        """What is corrected, in the words of the command line."""
        return [
            _OPTIONS.get(field.name, f"--{field.name}")
            for field in fields(self)
            if field.name != "at" and getattr(self, field.name) not in (None, False)
        ]

    def only(self, what: str, *options: str) -> None:
        """Refuse what a thing of that kind does not have.

        Raises:
            InvalidError: it is asked for something else.
        """
        others = [option for option in self.said if option not in options]
        if others:
            raise InvalidError(
                f"{what} has no {_words(others)} to be amended",
                hint=f"what can be amended of it: {', '.join(options)}",
            )


_OPTIONS = {"from_at": "--from", "until_at": "--until", "trained_on": "--trained-on"}


def _words(options: Iterable[str]) -> str:
    return " or ".join(options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """A recorded interval by its row, and what is so instead; None where nothing is."""

    row: int
    after: Interval | None


def plan_amendment(
    intervals: Sequence[Interval], environment: str, deployment: int, correction: Correction
) -> list[Replaced]:
    """What becomes of a deployment's intervals.

    A deployment that did not happen keeps one empty interval, so that it can be told of.

    Args:
        intervals: all that share its model's traffic in the environment, its own too.
        environment: for what is said of a refusal.
        deployment: the one that is amended.
        correction: of the interval in force at a time, or else of the whole deployment.

    Raises:
        InvalidError: it would end before it begins, or nothing would change.
        NotFoundError: it does not serve at the time that names one interval.
        RefusedError: the shares would exceed 1 at an instant, or it would serve twice at once.
    """
    own = {i.row: i for i in intervals if i.deployment == deployment and i.row is not None}
    named = _named(list(own.values()), correction)
    whole = all(_empty(i) or i in named for i in own.values())
    after = dict(
        zip((i.row for i in named), _corrected(named, correction, whole=whole), strict=True)
    )
    plan = [
        Replaced(row=row, after=after[row])
        for row, recorded in own.items()
        if row in after and after[row] != recorded
    ]
    if not plan:
        raise InvalidError("that is recorded already", hint="an amendment says what was not so")
    replaced = {change.row for change in plan}
    kept = [i for i in intervals if i.row not in replaced]
    made = [change.after for change in plan if change.after is not None]
    for new in made:
        _check(new, [*kept, *made], environment)
    return plan


def _named(own: Sequence[Interval], correction: Correction) -> list[Interval]:
    """The intervals that a correction is of, oldest first."""
    serving = sorted((i for i in own if not _empty(i)), key=lambda i: i.from_at)
    if correction.at is not None:
        serving = list(active_at(serving, correction.at))
        if not serving:
            raise NotFoundError(
                f"it does not serve at {time_text(correction.at)}",
                hint="`backstory deployments` tells its intervals",
            )
        return serving
    if serving or correction.never:
        return serving or list(own[:1])
    if correction.from_at is None:
        raise InvalidError(
            "it is recorded as never having served", hint="say since when it did, with --from"
        )
    return [replace(i, until_at=None) for i in own[:1]]


def _corrected(
    named: Sequence[Interval], correction: Correction, *, whole: bool
) -> list[Interval | None]:
    """What each of them is instead; where they are the whole deployment, an empty one is left."""
    if correction.never:
        first, *others = named
        left = replace(first, until_at=first.from_at) if whole else None
        return [left, *(None for _ in others)]
    begin = correction.from_at or named[0].from_at
    until = None if correction.ongoing else correction.until_at or named[-1].until_at
    if until is not None and until <= begin:
        raise InvalidError(
            f"it would end at {time_text(until)}, before it begins at {time_text(begin)}",
            hint="say both --from and --until, or --never where it did not happen",
        )
    within = [i for i in named if len(named) == 1 or _overlaps(i, begin, until)]
    if not within:
        raise InvalidError(
            "none of its intervals lies there", hint="name the one that is meant with --at"
        )
    return [
        replace(
            interval,
            from_at=begin if interval is within[0] else interval.from_at,
            until_at=until if interval is within[-1] else interval.until_at,
            share=interval.share if correction.share is None else correction.share,
        )
        if interval in within
        else None
        for interval in named
    ]


def _check(new: Interval, others: Sequence[Interval], environment: str) -> None:
    """Refuse an interval that does not fit among all that are there then, itself included."""
    check_share(new.mode, new.share)
    beginnings = {new.from_at, *(i.from_at for i in others if new.covers(i.from_at))}
    for instant in sorted(beginnings):
        active = [i for i in active_at(others, instant) if i.deployment != new.deployment]
        own = [i for i in active_at(others, instant) if i.deployment == new.deployment]
        hint = (
            f"see it with `backstory deployments {environment} --at {time_text(instant)}`, "
            "and amend that first"
        )
        if len(own) > 1 or (own and any(same_place(i, new) for i in active)):
            raise RefusedError(
                f"{environment}: {new.version_ref} has another place in the split "
                f"at {time_text(instant)}",
                hint=hint,
            )
        counted = [i for i in (*active, *own) if i.mode.counted]
        total = sum(i.share for i in counted)
        if new.mode.counted and total > 1 + TOLERANCE:
            split = ", ".join(f"{i.version_ref} {percent(i.share)} ({i.mode})" for i in counted)
            raise RefusedError(
                f"{environment}: the shares would be {percent(total)} at {time_text(instant)}: "
                f"{split}",
                hint=hint,
            )


def _empty(interval: Interval) -> bool:
    return interval.until_at == interval.from_at


def _overlaps(interval: Interval, begin: datetime, until: datetime | None) -> bool:
    before = until is None or interval.from_at < until
    return before and (interval.until_at is None or interval.until_at > begin)
