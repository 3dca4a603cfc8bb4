"""An alias's moves in the order of time: each begins where the one before it ends.

>>> from datetime import UTC, datetime
>>> noon, later = datetime(2026, 11, 14, 12, tzinfo=UTC), datetime(2026, 11, 14, 13, tzinfo=UTC)
>>> moves = [
...     Move(row=1, version=6, from_at=noon, until_at=later),
...     Move(row=2, version=7, from_at=later),
... ]
>>> [(move.version, move.until_at) for move in corrected(moves, moves[1], None)]
[(6, None)]
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import zip_longest

from backstory.lake.errors import RefusedError
from backstory.lineage.times import time_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A stretch of time in which an alias names one version.

    Attributes:
        row: its row in the store.
        version: the version's entity.
        until_at: when it moved on; None while it names that version.
    """

    row: int
    version: int
    from_at: datetime
    until_at: datetime | None = None


def in_force(moves: Sequence[Move], at: datetime | None) -> Move | None:
    """The move in force at a time, the last one where no time is given; None where none is."""
    begun = [move for move in moves if at is None or move.from_at <= at]
    return begun[-1] if begun else None


def corrected(moves: Sequence[Move], wrong: Move, right: Move | None) -> list[Move]:
    """The moves with one put right, or without it; its neighbours reach up to where it lies.

    Raises:
        RefusedError: it would change places with another one.
    """
    place = moves.index(wrong)
    before, after = list(moves[:place]), list(moves[place + 1 :])
    if right is not None:
        early = bool(before) and before[-1].from_at > right.from_at
        late = bool(after) and after[0].from_at < right.from_at
        if early or late:
            other = before[-1] if early else after[0]
            raise RefusedError(
                f"it has another move at {time_text(other.from_at)}, which this one would pass",
                hint=f"amend that one first, with --at {time_text(other.from_at)}",
            )
    kept = [*before, *([right] if right else []), *after]
    return [
        replace(move, until_at=following.from_at if following else None)
        for move, following in zip_longest(kept, kept[1:])
    ]
