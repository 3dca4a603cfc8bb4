"""How one value is written: for people in a few characters, for programs exactly.

A column or a line of facts has a `Kind`; the value stays what it is until it is written. People see
`10,214`, `4.2 MB`, `7f3a91c02b5d` and `✓ verified`; a pipe gets `10214`, `4200000`, all 64 digits
and `verified`.

>>> NUMBER.people(10214), NUMBER.plain(10214)
('10,214', '10214')
>>> SIZE.people(4_200_000), DIGEST.people("7f3a91c02b5d" + "0" * 52), SHARE.people(0.4034)
('4.2 MB', '7f3a91c02b5d', '40.3 %')
>>> STATE.people("verified"), STATE.people("missing")
('✓ verified', '✗ missing')
"""

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from backstory.lineage.times import time_text

SHORT_DIGEST = 12
SHORT_ID = 13  # of a UUIDv7: its time to the millisecond
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")  # of Git, with either hash
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_MARKS = {
    "✓": {
        *("ok", "verified", "intact", "accepted", "completed", "held", "copied", "live", "yes"),
        "compatible",
    },
    "✗": {"problem", "missing", "failed", "aborted", "damaged", "rejected", "no", "breaking"},
    "!": {"warning", "abandoned", "erased", "watched"},
    "…": {"started", "running"},
    "=": {"duplicate"},
}
_MARK_OF = {word: mark for mark, words in _MARKS.items() for word in words}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a value is.

    Attributes:
        people: its text on a terminal.
        plain: its text in a pipe.
        style: how the terminal shows it.
        right: numbers stand on the right.
        whole: it is never broken over lines.
        cut: it is cut where it does not fit, and never broken over lines.
    """

    people: Callable[[Any], str]
    plain: Callable[[Any], str]
    style: str = ""
    right: bool = False
    whole: bool = False
    cut: bool = False


def number(value: float) -> str:
    """`10,214`.

    >>> number(10214), number(0.25)
    ('10,214', '0.25')
    """
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def count(value: int, what: str) -> str:
    """`1 file`, `10,214 rows`.

    >>> count(1, "row"), count(10214, "row")
    ('1 row', '10,214 rows')
    """
    return f"{number(value)} {what}{'' if value == 1 else 's'}"


def size(value: int) -> str:
    """`4.2 MB`."""
    if value < 1000:
        return f"{value} B"
    # What would be rounded to 1000 is one of the next unit.
    rank = next((r for r in range(1, len(_UNITS)) if value < 999.95 * 1000**r), len(_UNITS) - 1)
    return f"{value / 1000**rank:,.1f} {_UNITS[rank]}"


def share(value: float) -> str:
    """`40.3 %`."""
    return f"{value * 100:.3g} %"


def digest(value: str) -> str:
    """The first digits, enough to tell one from another."""
    return value[:SHORT_DIGEST]


def moment(value: datetime) -> str:
    """An instant to the second, in UTC."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def duration(value: timedelta) -> str:
    """`0.8 s`, `4 min 10 s`, `3 h 20 min`.

    >>> duration(timedelta(seconds=250))
    '4 min 10 s'
    """
    seconds = value.total_seconds()
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min {int(seconds % 60)} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def span(value: timedelta) -> str:
    """A span in its largest unit, cut: `3 days`, `5 h`, `12 min`, `8 s`.

    >>> span(timedelta(days=3, hours=7)), span(timedelta(days=1)), span(timedelta(minutes=90))
    ('3 days', '1 day', '1 h')
    """
    if value.days:
        return count(value.days, "day")
    unit, of = next(((u, n) for u, n in (("h", 3600), ("min", 60)) if value.seconds >= n), ("s", 1))
    return f"{value.seconds // of} {unit}"


def late(value: timedelta) -> str:
    """`3 days late`."""
    return f"{span(value)} late"


def recorded(at: datetime | None, lateness: timedelta | None) -> str | None:
    """`2026-11-26T08:00:00Z, 3 days late`; None for what was recorded in time."""
    return f"{moment(at)}, {late(lateness)}" if at and lateness else None


def ref(value: str) -> str:
    """A ref with a shortened id, which is still a ref.

    >>> ref("run:019a8f3c-5b1e-7abc-8def-0123456789ab"), ref("ranker@7")
    ('run:019a8f3c-5b1e', 'ranker@7')
    >>> ref("05df9e9d0c34f7d0c98eaf8a3dfb2d2e6b4a1f70")
    '05df9e9d0c34'
    """
    if _COMMIT.fullmatch(value):
        return digest(value)
    kind, colon, rest = value.partition(":")
    return f"{kind}:{rest[:SHORT_ID]}" if colon and kind in {"run", "int"} else value


def state(value: str) -> str:
    """A word with its mark, so that meaning is never in colour alone."""
    mark = _MARK_OF.get(value)
    return f"{mark} {value}" if mark else value


def state_style(value: str) -> str:
    """The colour of a state."""
    return {"✓": "green", "✗": "red", "!": "yellow"}.get(_MARK_OF.get(value, ""), "")


def value_text(value: Any) -> str:
    """A value of a row: text as it is, the rest as JSON has it."""
    plain = json_value(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def json_value(value: Any) -> Any:
    """A value of a row as JSON: what JSON does not know becomes exact text.

    >>> json_value([1, float("nan"), bytes([0, 255]), date(2026, 11, 14)])
    [1, 'nan', '00ff', '2026-11-14']
    """
    if isinstance(value, dict):
        return {str(key): json_value(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(inner) for inner in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime) and value.tzinfo:
        return time_text(value)
    if isinstance(value, date | time):
        return value.isoformat()
    is_json = value is None or isinstance(value, bool | int | str)
    return value if is_json or (isinstance(value, float) and math.isfinite(value)) else str(value)


def one_line(text: str) -> str:
    r"""A text in which no control character acts, on a terminal or as a separator.

    >>> one_line("a\tb\x1b[31m")
    'a\\tb\\x1b[31m'
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


TEXT = Kind(people=str, plain=str)
NUMBER = Kind(people=number, plain=str, right=True)
SIZE = Kind(people=size, plain=str, right=True)
SHARE = Kind(people=share, plain=str, right=True)
DIGEST = Kind(people=digest, plain=str, style="yellow", whole=True)
TIME = Kind(people=moment, plain=time_text, style="dim", whole=True)
LATE = Kind(people=span, plain=lambda d: f"{d.total_seconds():.6f}", style="yellow", whole=True)
DURATION = Kind(people=duration, plain=lambda d: f"{d.total_seconds():.6f}", right=True)
REF = Kind(people=ref, plain=str, style="cyan", whole=True)
ID = Kind(people=str, plain=str, whole=True)
STATE = Kind(people=state, plain=str, whole=True)
VALUE = Kind(people=value_text, plain=value_text, cut=True)
PATH = Kind(people=str, plain=str, cut=True)
VALUE_NUMBER = Kind(people=value_text, plain=value_text, right=True)
DIGITS = Kind(people=str, plain=str, style="yellow")


def value_kind(values: Sequence[object]) -> Kind:
    """The kind of a column of rows: numbers stand on the right."""
    numbers = all(isinstance(value, int | float) for value in values if value is not None)
    return VALUE_NUMBER if numbers else VALUE
