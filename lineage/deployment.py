"""Deployments: which versions an environment serves, over intervals of valid time, with what share.

Keeps true: live and canary shares of an environment sum to at most 1 at every instant. A plan is a
list of changes to intervals, worked out here and carried out elsewhere; an interval is never edited
but ended and followed by what is so instead. The rules:

- Live with a share of 1 takes everything: it closes the other live and canary intervals.
- Live with less must fit beside what is there.
- A canary takes its share from the live intervals, in proportion, and gives it back when it ends.
- Shadow and holdout count nothing.
- Deploying a version again replaces its earlier place in the split.
- What was recorded for later stands: a back-filled deployment ends where it no longer fits, or
  where another one took everything.

>>> from datetime import UTC, datetime
>>> noon = datetime(2026, 11, 14, tzinfo=UTC)
>>> six = Interval(
...     row=1, deployment=1, version_ref="ranker@6", mode=Mode.LIVE, share=1, from_at=noon
... )
>>> plan = plan_deployment(
...     [six], environment="prod-eu", version_ref="ranker@7", mode=Mode.CANARY, share=0.1, at=noon
... )
>>> [(c.action.value, [(i.version_ref, i.share) for i in c.after]) for c in plan]
[('reshare', [('ranker@6', 0.9)]), ('open', [('ranker@7', 0.1)])]
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from backstory.lake.errors import InvalidError, RefusedError
from backstory.lineage.times import in_utc, time_text

TOLERANCE = 1e-9  # of sums of shares, which are floats
_DIGITS = 12  # of a share that was worked out


class Mode(StrEnum):
    """What a deployment is for. Only live and canary answer users, so only they are counted."""

    LIVE = "live"
    CANARY = "canary"
    SHADOW = "shadow"
    HOLDOUT = "holdout"

    @property
    def counted(self) -> bool:
        """Its share is part of the environment's traffic."""
        return self in (Mode.LIVE, Mode.CANARY)


class Action(StrEnum):
    """What a change does."""

    OPEN = "open"
    CLOSE = "close"
    RESHARE = "reshare"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """One interval of one deployment of an environment.

    Attributes:
        row: its row in the store; None while it is only planned.
        deployment: its deployment's entity; None for the deployment that is being planned.
        until_at: the first instant after it; None while it goes on.
    """

    row: int | None
    deployment: int | None
    version_ref: str
    mode: Mode
    share: float
    from_at: datetime
    until_at: datetime | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "from_at", in_utc(self.from_at))
        if self.until_at is not None:
            object.__setattr__(self, "until_at", in_utc(self.until_at))

    def covers(self, at: datetime) -> bool:
        """Whether the instant lies within."""
        return self.from_at <= at and (self.until_at is None or at < self.until_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One interval that is replaced by others.

    Attributes:
        before: the interval that is replaced; None where a new deployment opens.
        after: what is recorded in its place, oldest first; a deployment that is left with no
            moment keeps one empty interval.
    """

    action: Action
    before: Interval | None
    after: tuple[Interval, ...]


Split = dict[Interval, float]


def active_at(intervals: Iterable[Interval], at: datetime) -> tuple[Interval, ...]:
    """What serves at an instant."""
    return tuple(interval for interval in intervals if interval.covers(at))


def plan_deployment(
    intervals: Sequence[Interval],
    *,
    environment: str,
    version_ref: str,
    mode: Mode,
    share: float,
    at: datetime,
) -> tuple[Change, ...]:
    """What becomes of an environment's intervals when a version is deployed there.

    All intervals that are recorded there now are needed, past and future ones too. The plan's last
    change opens the new one.

    Raises:
        InvalidError: no such share.
        RefusedError: the share does not fit; the message says the current split.
    """
    check_share(mode, share)
    new = Interval(
        row=None,
        deployment=None,
        version_ref=version_ref,
        mode=mode,
        share=share,
        from_at=at,
    )
    splits: dict[datetime, Split] = {}
    for instant in _instants(intervals, new.from_at):
        active = active_at(intervals, instant)
        split = _make_room(active, new)
        if instant > new.from_at and (split is None or _overtaken(active, new, instant)):
            new = replace(new, until_at=instant)
            break
        if split is None:
            raise _refusal(active, environment, new)
        splits[instant] = split
    opened = Change(action=Action.OPEN, before=None, after=(new,))
    return (*_changes(intervals, splits, new.until_at), opened)


def plan_undeployment(
    intervals: Sequence[Interval], *, environment: str, deployment: int, at: datetime
) -> tuple[Change, ...]:
    """What becomes of an environment's intervals when a deployment ends.

    Raises:
        RefusedError: it does not serve at that time.
    """
    at = in_utc(at)
    if not any(i.deployment == deployment for i in active_at(intervals, at)):
        raise RefusedError(
            f"{environment}: that deployment does not serve at {time_text(at)}",
            hint=f"see what serves with `backstory deployments {environment} --at {time_text(at)}`",
        )
    splits = {
        instant: _without([i for i in active if i.deployment == deployment], active)
        for instant in _instants(intervals, at)
        if (active := active_at(intervals, instant))
    }
    return _changes(intervals, splits, None)


def check_share(mode: Mode, share: float) -> None:
    """Refuse a share that a deployment of that mode cannot have.

    Raises:
        InvalidError: it is not above 0 and at most 1, or a canary's is 1.
    """
    if not 0 < share <= 1:
        raise InvalidError(
            f"a share of {share} is not above 0 and at most 1", hint="0.1 means a tenth"
        )
    if mode is Mode.CANARY and share == 1:
        raise InvalidError(
            "a canary cannot take all traffic", hint="deploy the version with mode live instead"
        )


def _instants(intervals: Iterable[Interval], at: datetime) -> list[datetime]:
    """`at` and every later instant at which something recorded begins or ends."""
    ends = {t for i in intervals for t in (i.from_at, i.until_at) if t is not None and t > at}
    return [at, *sorted(ends)]


def same_place(interval: Interval, new: Interval) -> bool:
    """Whether the new interval replaces this one: the same version in the same kind of role."""
    alike = interval.mode is new.mode or (interval.mode.counted and new.mode.counted)
    return alike and interval.version_ref == new.version_ref


def _overtaken(active: Iterable[Interval], new: Interval, instant: datetime) -> bool:
    """Whether something that begins at this instant was recorded in place of the new interval."""
    return any(
        same_place(i, new) or (i.mode.counted and new.mode.counted and 1 in (i.share, new.share))
        for i in active
        if i.from_at == instant
    )


def _make_room(active: Sequence[Interval], new: Interval) -> Split | None:
    """The shares of what is active once the new interval is there; None where it does not fit."""
    split = _without([i for i in active if same_place(i, new)], active)
    live = [i for i in split if i.mode is Mode.LIVE and split[i] > 0]
    total = sum(split[i] for i in live)
    canaries = sum(share for i, share in split.items() if i.mode is Mode.CANARY)
    match new.mode:
        case Mode.SHADOW | Mode.HOLDOUT:
            return split
        case Mode.LIVE if new.share == 1:
            return {i: 0 if i.mode.counted else share for i, share in split.items()}
        case Mode.LIVE:
            return split if total + canaries + new.share <= 1 + TOLERANCE else None
        case Mode.CANARY:
            return _scaled(split, live, total - new.share)


def _without(leaving: Sequence[Interval], active: Sequence[Interval]) -> Split:
    """The shares once some intervals have left: a canary's goes back to the live ones."""
    split: Split = {i: 0 if i in leaving else i.share for i in active}
    live = [i for i in split if i.mode is Mode.LIVE and split[i] > 0]
    freed = sum(i.share for i in leaving if i.mode is Mode.CANARY)
    if not (live and freed):
        return split
    return _scaled(split, live, freed + sum(split[i] for i in live)) or split


def _scaled(split: Split, live: Sequence[Interval], total: float) -> Split | None:
    """The live shares brought to a total, in proportion; None when there is nothing to scale."""
    before = sum(split[i] for i in live)
    if not live or total < -TOLERANCE:
        return None
    factor = max(total, 0) / before
    return split | {i: round(split[i] * factor, _DIGITS) for i in live}


def _changes(
    intervals: Iterable[Interval], splits: dict[datetime, Split], until: datetime | None
) -> tuple[Change, ...]:
    """The intervals whose share is another in `splits`, each with what replaces it."""
    changes = []
    for interval in intervals:
        after = _pieces(interval, splits, until)
        if after != (interval,):
            shares = [split[interval] for split in splits.values() if interval in split]
            action = Action.RESHARE if any(shares) else Action.CLOSE
            changes.append(Change(action=action, before=interval, after=after))
    return tuple(changes)


def _pieces(
    interval: Interval, splits: dict[datetime, Split], until: datetime | None
) -> tuple[Interval, ...]:
    """An interval cut where its share changes; the interval itself where nothing does."""
    cuts = {t for t in (*splits, until) if t is not None and interval.covers(t)}
    begins = sorted(cuts | {interval.from_at})
    pieces: list[Interval] = []
    for begin, end in zip(begins, [*begins[1:], interval.until_at], strict=True):
        share = splits.get(begin, {}).get(interval, interval.share)
        if pieces and pieces[-1].share == share and pieces[-1].until_at == begin:
            pieces[-1] = replace(pieces[-1], until_at=end)
        elif share > 0:
            pieces.append(replace(interval, row=None, share=share, from_at=begin, until_at=end))
    if not pieces:
        return (replace(interval, row=None, until_at=interval.from_at),)
    whole = len(pieces) == 1 and replace(pieces[0], row=interval.row) == interval
    return (interval,) if whole else tuple(pieces)


def _refusal(active: Iterable[Interval], environment: str, new: Interval) -> RefusedError:
    counted = [i for i in active if i.mode.counted]
    split = ", ".join(f"{i.version_ref} {percent(i.share)} ({i.mode})" for i in counted)
    return RefusedError(
        f"{environment}: {new.version_ref} as {new.mode} with {percent(new.share)} does not fit; "
        f"the split is {split or 'empty: nothing is live to take a share from'}",
        hint="deploy with share=1 to replace what is live, or choose a smaller share",
    )


def percent(share: float) -> str:
    """`33.3333 %`."""
    return f"{share * 100:.6g} %"
