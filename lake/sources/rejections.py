"""Collecting why rows cannot be taken, without repeating anybody's data.

Keeps true: a value of a personal column is described, never shown; shown values are short; and at
most `MAX_REJECTIONS` are kept. It decides nothing about values.

>>> shown("4,5")
"'4,5'"
>>> described("user-1")
'a text of 6 characters'
"""

import re
from collections.abc import Callable, Sequence, Sized
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa

from backstory.lake.contract import Contract
from backstory.lake.errors import BatchRejectedError, Rejection
from backstory.lake.sources.misfits import Misfit
from backstory.lake.types import describe_type

MAX_REJECTIONS = 100
MAX_SHOWN = 40  # characters of a value, digits of a number
_NAME = re.compile(rf"[\w-]{{1,{MAX_SHOWN}}}")


class Rejections:
    """The faults of one batch so far."""

    def __init__(self, contract: Contract) -> None:
        self._slice = contract.slice
        self._personal = contract.personal_columns
        self._found: list[Rejection] = []

    @property
    def full(self) -> bool:
        """Whether enough is known to stop looking."""
        return len(self._found) >= MAX_REJECTIONS

    def add(
        self, expected: str, found: str, *, row: int | None = None, column: str | None = None
    ) -> None:
        """Note one fault; `found` must hold nobody's data."""
        self._found.append(Rejection(row=row, column=column, expected=expected, found=found))

    def add_value(self, expected: str, found: object, *, row: int, column: str) -> None:
        """Note one value that does not fit its column."""
        show = described if column in self._personal else shown
        self.add(expected, show(found), row=row, column=column)

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
        start = 0
        while True:
            try:
                built = build(values[start:])
            except Misfit as misfit:
                start += misfit.index
                self.add_value(misfit.expected, misfit.found, row=rows[start], column=column)
                start += 1
            else:
                return None if start else built
            if self.full:
                return None

    def check(self) -> None:
        """Refuse the batch if any fault was noted.

        Raises:
            BatchRejectedError: with the first faults, in the order of rows.
        """
        if self._found:
            in_order = sorted(self._found, key=lambda rejection: rejection.row or 0)
            raise BatchRejectedError(self._slice, in_order[:MAX_REJECTIONS])


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
