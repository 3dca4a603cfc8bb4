"""Times in text and in Python: aware, UTC, exact to the microsecond, RFC 3339 with `Z`.

A text without a zone is refused, because nobody can tell what instant it means; a date alone is its
midnight in UTC, and seconds may be left out. Digits beyond microseconds are cut, never rounded up.

>>> time_text(parse_time("2026-11-14T10:41+01:00"))
'2026-11-14T09:41:00Z'
>>> time_text(parse_time("2026-11-14"))
'2026-11-14T00:00:00Z'
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from backstory.lake.errors import InvalidError

Clock = Callable[[], datetime]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_CLOCK_SKEW = timedelta(seconds=5)  # between two clocks that are both well

_SHAPE = re.compile(
    r"(\d{4}-\d{2}-\d{2})"
    r"(?:[Tt ](\d{2}:\d{2})(:\d{2})?(\.\d{1,18})?(Z|z|[+-]\d{2}:\d{2})?)?",
    re.ASCII,
)
_EXAMPLE = "write it like 2026-11-14T09:41:07Z, 2026-11-14T09:41Z or 2026-11-14"


def utc_now() -> datetime:
    """The wall clock: the default of every `clock` parameter, read at the edge only."""
    return datetime.now(UTC)


def in_utc(at: datetime) -> datetime:
    """The same instant in UTC.

    Raises:
        InvalidError: the time is naive.
    """
    if at.tzinfo is None:
        raise InvalidError(f"time {at.isoformat()} has no time zone", hint=_EXAMPLE)
    return at.astimezone(UTC)


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 time, a time without seconds, or a date.

    Raises:
        InvalidError: another shape, no such time, or a time of day without a zone.
    """
    shape = _SHAPE.fullmatch(text)
    if shape is None or (shape[4] and not shape[3]):
        raise InvalidError(f"{text[:64]!r} is not a time", hint=_EXAMPLE)
    date, minutes, seconds, fraction, zone = shape.groups()
    if minutes and not zone:
        raise InvalidError(f"time {text!r} has no time zone", hint=_EXAMPLE)
    exact = f"{date}T{minutes or '00:00'}{seconds or ':00'}{(fraction or '.0')[:7]:0<7}"
    try:
        return datetime.fromisoformat(exact + (zone or "Z").upper()).astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise InvalidError(f"{text!r} is no such time: {exc}", hint=_EXAMPLE) from exc


def from_the_future(at: datetime, recorded: datetime) -> bool:
    """Whether a time lies further behind its own recording than two good clocks differ."""
    return at > recorded + MAX_CLOCK_SKEW


def time_text(at: datetime) -> str:
    """The shortest exact text of an instant, `2026-11-14T09:41:07.000123Z`.

    Raises:
        InvalidError: the time is naive.
    """
    text = in_utc(at).isoformat(timespec="microseconds").removesuffix("+00:00")
    return text.rstrip("0").rstrip(".") + "Z" if at.microsecond else text[:19] + "Z"
