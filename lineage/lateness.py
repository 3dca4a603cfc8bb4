"""How late a fact was told: the time at which it was so beside the time at which it was recorded.

What is told within `TOLERANCE` is told in time. What is recorded later was back-filled: until then,
every answer was given without it. A time that lies ahead of its record is a plan, or, where it is
said to have happened already, a clock that is wrong.

>>> from backstory.lineage.times import parse_time
>>> monday, thursday = parse_time("2026-11-23"), parse_time("2026-11-26")
>>> lateness(monday, thursday)
datetime.timedelta(days=3)
>>> lateness(thursday, monday), lead(thursday, monday)
(None, datetime.timedelta(days=3))
"""

from datetime import datetime, timedelta

from backstory.lineage.times import MAX_CLOCK_SKEW

TOLERANCE = timedelta(minutes=1)  # a writer may wait for others, and clocks differ a little


def lateness(valid: datetime | None, recorded: datetime | None) -> timedelta | None:
    """How long after it was so a fact was recorded; None where it was in time, or one is unknown.

    Args:
        valid: when it was so.
        recorded: when it was recorded.
    """
    return _beyond(valid, recorded, TOLERANCE)


def lead(valid: datetime | None, recorded: datetime | None) -> timedelta | None:
    """How far the time of a fact lies ahead of its record, beyond what two good clocks differ."""
    return _beyond(recorded, valid, MAX_CLOCK_SKEW)


def _beyond(
    first: datetime | None, second: datetime | None, tolerance: timedelta
) -> timedelta | None:
    if first is None or second is None:
        return None
    return second - first if second - first > tolerance else None
