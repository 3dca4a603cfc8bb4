"""Collecting why rows cannot be taken, without repeating anybody's data.

Keeps true: a value of a personal column is described, never shown; shown values are short; and at
most `MAX_REJECTIONS` are kept. It decides nothing about values.

Strict rejections refuse the batch for any fault. Lenient ones refuse it for a fault that is no
single row's, or for more than `MAX_REJECTED_ROWS`; other rows at fault are laid aside with what
they hold, so that the good ones can go on.

>>> shown("4,5")
"'4,5'"
>>> described("user-1")
'a text of 6 characters'
"""

import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence, Sized
from copy import copy
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa

from backstory.lake.contract import Contract
from backstory.lake.errors import BatchRejectedError, Rejection
from backstory.lake.sources.misfits import Misfit
from backstory.lake.types import describe_type

MAX_REJECTIONS = 100
MAX_REJECTED_ROWS = 100_000  # of a batch that is taken without them
MAX_FAULTS_OF_A_ROW = 10
MAX_ASIDE_BYTES = 64 << 20  # of input behind rejected rows; beyond, only places are kept
MAX_SHOWN = 40  # characters of a value, digits of a number
_NAME = re.compile(rf"[\w-]{{1,{MAX_SHOWN}}}")


@dataclass(frozen=True, slots=True)
class LaidAside:
    """What a row at fault holds.

    Attributes:
        fields: what was read of it, by field; None where it could not be told apart.
        fitting: the columns whose values are known to be of their type.
        text: the row as it came in, where there are no fields.
    """

    fields: Mapping[str, Any] | None
    fitting: frozenset[str] = frozenset()
    text: str | None = None


class Rejections:
    """The faults of one batch so far.

    Attributes:
        strict: whether one fault refuses the whole batch.
        faults: of rows that are laid aside, by their number; in a lenient collection only.
        aside: what those rows hold.
    """

    def __init__(self, contract: Contract, *, strict: bool = True) -> None:
        self.strict = strict
        self._slice = contract.slice
        self._personal = contract.personal_columns
        self._begin()

    def _begin(self) -> None:
        self.faults: dict[int, list[Rejection]] = {}
        self.aside: dict[int, LaidAside] = {}
        self._found: list[Rejection] = []
        self._aside_bytes = 0
        self._passed: list[Sequence[int]] = []  # the numbers of rows that passed, run after run
        self._ends: list[int] = []  # at which place each run ends

    def split(self) -> "Rejections":
        """What was noted since the last split, as a collection of its own; this one begins anew."""
        part = copy(self)
        self._begin()
        return part

    @property
    def full(self) -> bool:
        """Whether enough is known to stop looking."""
        if self.strict:
            return len(self._found) >= MAX_REJECTIONS
        return bool(self._found) or len(self.faults) > MAX_REJECTED_ROWS

    def add(
        self,
        expected: str,
        found: str,
        *,
        row: int | None = None,
        column: str | None = None,
        whole: bool = False,
    ) -> None:
        """Note one fault; `found` must hold nobody's data.

        Args:
            expected: what would have been taken.
            found: what stands there.
            row: its number; None for a fault of the whole batch.
            column: its column.
            whole: the rest of the batch cannot be taken without that row.
        """
        fault = Rejection(row=row, column=column, expected=expected, found=found)
        if self.strict or row is None or whole:
            self._found.append(fault)
        elif len(known := self.faults.setdefault(row, [])) < MAX_FAULTS_OF_A_ROW:
            known.append(fault)

    def add_value(
        self, expected: str, found: object, *, row: int, column: str, whole: bool = False
    ) -> None:
        """Note one value that does not fit its column."""
        show = described if column in self._personal else shown
        self.add(expected, show(found), row=row, column=column, whole=whole)

    def lay_aside(self, row: int, content: LaidAside, *, size: int = 0) -> None:
        """Keep what a row at fault holds, unless the rows before it were large already.

        Args:
            row: its number.
            content: what it holds.
            size: bytes or characters of input behind it.
        """
        if not self.strict:
            self._aside_bytes += size
            fits = self._aside_bytes <= MAX_ASIDE_BYTES
            self.aside[row] = content if fits else LaidAside(None)

    def passed(self, numbers: Sequence[int]) -> None:
        """Count rows that passed, for a later look at them to name them."""
        if len(numbers):
            self._passed.append(numbers)
            self._ends.append(len(numbers) + (self._ends[-1] if self._ends else 0))

    def keep(self, places: Sequence[int]) -> None:
        """Go on with some of the rows that passed."""
        kept = array("q", map(self.number_of, places))
        self._passed, self._ends = [kept], [len(kept)]

    def number_of(self, place: int) -> int:
        """The number of the row at a place among those that passed."""
        run = bisect_right(self._ends, place)
        return self._passed[run][place - (self._ends[run - 1] if run else 0)]

    def convert(
        self,
        values: Any,
        build: Callable[[Any], pa.Array],
        *,
        rows: Sequence[int],
        column: str,
    ) -> pa.Array | None:
        """Build one column, or note each value that does not fit and return None.

        Args:
            values: anything that can be sliced.
            build: makes the column, or raises Misfit.
            rows: the row of the input that each value stands in.
            column: its name.
        """
        try:
            return build(values)
        except Misfit as first:
            misfit = first
        spans = [(0, len(values))]  # of which the first is at fault, as `misfit` says
        while True:
            start, end = spans.pop()
            place = start + misfit.index
            self.add_value(misfit.expected, misfit.found, row=rows[place], column=column)
            middle = (place + 1 + end) // 2  # halves: many misfits cost n log n, not n squared
            spans += [(middle, end), (place + 1, middle)]
            while spans and not self.full:
                try:
                    build(values[slice(*spans[-1])])
                except Misfit as next_one:
                    misfit = next_one
                    break
                spans.pop()
            else:
                return None

    def check(self) -> None:
        """Refuse the batch if a fault was noted that refuses all of it.

        Raises:
            BatchRejectedError: with the first faults, in the order of rows.
        """
        if self._found or len(self.faults) > MAX_REJECTED_ROWS:
            raise BatchRejectedError(self._slice, self._first(self._found))

    def check_share(self, rows: int, most: float) -> None:
        """Refuse the batch if too many of its rows are laid aside.

        Args:
            rows: how many rows it has in all.
            most: the largest share that may be.

        Raises:
            BatchRejectedError: with the first faults.
        """
        if len(self.faults) > most * rows:
            raise BatchRejectedError(
                self._slice,
                self._first([]),
                why=f"{len(self.faults):,} of {rows:,} rows do not fit, more than a share of "
                f"{most:g}; ",
            )

    def _first(self, found: list[Rejection]) -> list[Rejection]:
        every = found + [fault for faults in self.faults.values() for fault in faults]
        return sorted(every, key=lambda rejection: rejection.row or 0)[:MAX_REJECTIONS]


def shown(value: object) -> str:
    """A short text of a value, as it was written."""
    match value:
        case str() if not _is_unicode(value):
            return "a text that is no valid UTF-8"
        case str():
            return repr(value) if len(value) <= MAX_SHOWN else f"{value[:MAX_SHOWN]!r}…"
        case bool():
            return "true" if value else "false"
        case int() if value.bit_length() > 4 * MAX_SHOWN:
            return f"a whole number of {value.bit_length()} bits"
        case int() | float() | Decimal() | date():
            return _short(str(value))
        case _:
            return described(value)


def shown_name(name: object) -> str:
    """A field's name as it was written, unless it may be somebody's data."""
    return repr(name) if isinstance(name, str) and _NAME.fullmatch(name) else described(name)


def _short(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text[:MAX_SHOWN])


def described(value: object) -> str:
    """What kind of value it is, without the value."""
    if isinstance(value, pa.Scalar):
        return f"a value of type {describe_type(value.type)}"
    kind = type(value)
    template = _KINDS.get(kind, f"a {kind.__module__}.{kind.__qualname__}")
    return template.format(len(value)) if isinstance(value, Sized) else template


_KINDS = {
    type(None): "null",
    bool: "a truth value",
    int: "a number",
    float: "a number",
    Decimal: "a number",
    str: "a text of {} characters",
    bytes: "{} bytes",
    list: "a list of {}",
    dict: "an object of {} fields",
}
