"""What a contract expects of values beyond their types, and which rows do not meet it.

Keeps true: an expectation that exists fits its columns (the values of a range or a set are values
of the column's type, a pattern compiles, a row rule is one plain condition); whether a row meets it
depends on that row alone, `unique` aside, which looks at its batch; and a null meets every
expectation but `not_null`. It repeats nobody's data: what it says comes from the contract.

    {column: label, not_null: true}        a value is there
    {column: label, range: [0, 9]}         both included; null leaves an end open
    {column: reason, set: [spam, wrong]}   one of these
    {column: code, regex: "[A-Z]{3}"}      all of the text, RE2
    {column: ticket, unique: true}         once in its batch
    {column: at, freshness: 720}           no older than so many hours when it comes in
    {row: "score >= 0 or label = 0"}       one SQL condition over the row

Each may have `severity: reject` (the row, the default), `refuse` (the whole batch) or `warn`.

>>> from backstory.lake.columns import Column
>>> rule = Expectation.from_document(1, {"column": "label", "range": [0, None]})
>>> rule.check_columns((Column(name="label", type=pa.int64()),))
>>> rule.misses(pa.table({"label": [7, -1, None]}), at=datetime(2026, 11, 24)).to_pylist()
[False, True, False]
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from backstory.lake.columns import Column, check_text
from backstory.lake.documents import check_fields, near
from backstory.lake.engine import cage
from backstory.lake.errors import InvalidError, LimitExceededError
from backstory.lake.expressions import check_expression
from backstory.lake.messages import plain as one_line
from backstory.lake.sources.misfits import Misfit
from backstory.lake.sources.values import column_of
from backstory.lake.types import TIMESTAMP, type_text

MAX_EXPECTATIONS = 200
MAX_SET_VALUES = 10_000
MAX_PATTERN_CHARS = 1_000
MAX_FRESHNESS_HOURS = 24 * 36_500

_Values = Any  # what a check is given in JSON: a list, a text, a number or true


class Check(StrEnum):
    """What is expected."""

    NOT_NULL = "not_null"
    RANGE = "range"
    SET = "set"
    REGEX = "regex"
    UNIQUE = "unique"
    FRESHNESS = "freshness"
    ROW = "row"


class Severity(StrEnum):
    """What becomes of rows that do not meet an expectation."""

    REJECT = "reject"
    REFUSE = "refuse"
    WARN = "warn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One thing that a contract expects of rows.

    Attributes:
        check: what kind it is.
        value: what it asks for, as JSON says it, lists as tuples.
        column: whose values; None for a row rule.
        severity: what becomes of a row that does not meet it.
    """

    check: Check
    value: Any
    column: str | None = None
    severity: Severity = Severity.REJECT

    def __str__(self) -> str:
        return _SPOKEN[self.check](self.value)

    def to_document(self) -> dict[str, Any]:
        """What the expectation says, without defaults."""
        value = list(self.value) if isinstance(self.value, tuple) else self.value
        document: dict[str, Any] = {"column": self.column} if self.column is not None else {}
        document[self.check.value] = value
        if self.severity is not Severity.REJECT:
            document["severity"] = self.severity.value
        return document

    @classmethod
    def from_document(cls, place: int, document: object) -> "Expectation":
        """Read what `to_document` gives.

        Args:
            place: its number in the contract, for messages.
            document: the mapping.

        Raises:
            InvalidError: a field is unknown, missing or of the wrong kind.
        """
        where = f"expectation {place}"
        fields = check_fields(document, where, _FIELDS, [])
        checks = [check for check in Check if check in fields]
        column = fields.get("column")
        if len(checks) != 1 or (column is None) != (checks == [Check.ROW]):
            raise InvalidError(
                f"{where} does not say one thing",
                hint="write {column: label, range: [0, 9]} or {row: 'score >= 0'}; "
                f"checks are {', '.join(Check)}",
            )
        value = fields[checks[0]]
        return cls(
            check=checks[0],
            value=_plain_values(value, where) if isinstance(value, list) else value,
            column=column,
            severity=_severity(fields.get("severity", Severity.REJECT), where),
        )

    def check_columns(self, columns: Sequence[Column]) -> None:
        """Look whether it can be asked of rows of these columns.

        Raises:
            InvalidError: it speaks of no column, or of values that its column cannot hold.
            LimitExceededError: it is beyond a bound.
        """
        if self.column is None:
            _check_rule(self.value, columns)
            return
        types = {column.name: column.type for column in columns}
        if self.column not in types:
            raise InvalidError(
                f"{self.check} of {self.column!r}: there is no such column",
                hint=near(self.column, types),
            )
        _CHECKED[self.check](self.value, types[self.column], self.column)

    def misses(self, table: pa.Table, *, at: datetime) -> pa.ChunkedArray:
        """Which rows do not meet it, as truth values without nulls.

        Args:
            table: rows of the columns that it was checked against.
            at: the time at which they come in.
        """
        if self.column is None:
            return _rule_misses(table, self.value)
        values = table.column(self.column)
        missed = _MISSES[self.check](values, self.value, at)
        return missed if self.check is Check.NOT_NULL else pc.fill_null(missed, fill_value=False)


_FIELDS: Mapping[str, tuple[type, ...]] = {
    "column": (str,),
    "severity": (str,),
    Check.NOT_NULL: (bool,),
    Check.RANGE: (list,),
    Check.SET: (list,),
    Check.REGEX: (str,),
    Check.UNIQUE: (bool,),
    Check.FRESHNESS: (int,),
    Check.ROW: (str,),
}


def _plain_values(values: list[Any], where: str) -> tuple[Any, ...]:
    """The values of a list as JSON says them; YAML reads dates and times on its own."""
    plain = [value.isoformat() if isinstance(value, date) else value for value in values]
    if any(isinstance(value, list | dict) for value in plain):
        raise InvalidError(f"{where}: its list holds lists or mappings", hint="list plain values")
    return tuple(plain)


def _severity(word: str, where: str) -> Severity:
    try:
        return Severity(word)
    except ValueError as exc:
        raise InvalidError(f"{where}: {word!r} is no severity", hint=near(word, Severity)) from exc


def _ends(value: Sequence[Any]) -> str:
    least, most = value
    if least is None:
        return f"at most {most}"
    return f"at least {least}" if most is None else f"between {least} and {most}"


_MAX_SPOKEN = 80  # characters of a rule in a reason


def _short(text: str) -> str:
    return text if len(text) <= _MAX_SPOKEN else f"{text[:_MAX_SPOKEN]}…"


_SPOKEN: Mapping[Check, Callable[[Any], str]] = {
    Check.NOT_NULL: lambda _: "a value",
    Check.RANGE: _ends,
    Check.SET: lambda value: f"one of {_short(', '.join(map(str, value)))}",
    Check.REGEX: lambda value: f"a text like {_short(value)}",
    Check.UNIQUE: lambda _: "a value that no earlier row of the batch has",
    Check.FRESHNESS: lambda value: f"a time of the last {value} hours",
    Check.ROW: _short,
}


def _check_true(value: bool, _type: pa.DataType, column: str) -> None:  # noqa: FBT001 - a JSON value
    if not value:
        raise InvalidError(
            f"{column}: an expectation that is false expects nothing", hint="take it out"
        )


def _typed(values: Sequence[Any], type_: pa.DataType, column: str) -> pa.Array:
    """Values of a contract as values of the column."""
    try:
        return column_of(list(values), type_)
    except Misfit as misfit:
        raise InvalidError(
            f"expectation of {column}: value {misfit.index + 1} is no {misfit.expected}",
            hint=f"write values of the column's type, {type_text(type_)}",
        ) from misfit


def _check_range(value: Sequence[Any], type_: pa.DataType, column: str) -> None:
    if type_.num_fields or pa.types.is_boolean(type_) or pa.types.is_binary(type_):
        raise InvalidError(
            f"range of {column}: {type_text(type_)} has no order", hint="give a set, or a row rule"
        )
    if len(value) != 2 or value == (None, None):
        raise InvalidError(
            f"range of {column} has not two ends", hint="write [0, 9]; null leaves an end open"
        )
    least, most = _typed(value, type_, column)
    if least.is_valid and most.is_valid and pc.greater(least, most).as_py():
        raise InvalidError(f"range of {column} is empty", hint="write the lower end first")


def _check_set(value: Sequence[Any], type_: pa.DataType, column: str) -> None:
    if len(value) > MAX_SET_VALUES:
        raise LimitExceededError(
            f"set of {column}: {len(value)} values, at most {MAX_SET_VALUES} are taken",
            hint="use a range, a regex or a row rule",
        )
    if not value or None in value or type_.num_fields:
        raise InvalidError(
            f"set of {column} is no list of plain values",
            hint="list values of a column without parts; null is always taken unless not_null",
        )
    _typed(value, type_, column)


def _check_regex(value: str, type_: pa.DataType, column: str) -> None:
    if len(value) > MAX_PATTERN_CHARS:
        raise LimitExceededError(
            f"regex of {column} has {len(value)} characters, at most {MAX_PATTERN_CHARS} are taken",
            hint="make it shorter, or list a set",
        )
    check_text(column, value)
    if type_ != pa.string():
        raise InvalidError(f"regex of {column}: it is no text", hint="use a range or a set")
    try:
        pc.match_substring_regex(pa.array([""]), _whole(value))
    except pa.ArrowInvalid as exc:
        raise InvalidError(
            f"regex of {column} is no pattern: {one_line(exc)}", hint="write it in RE2's syntax"
        ) from exc


def _check_unique(value: bool, type_: pa.DataType, column: str) -> None:  # noqa: FBT001 - a JSON value
    _check_true(value, type_, column)
    if type_.num_fields:
        raise InvalidError(f"unique of {column}: it has parts", hint="name a plain column")


def _check_freshness(value: int, type_: pa.DataType, column: str) -> None:
    if type_ != TIMESTAMP:
        raise InvalidError(f"freshness of {column}: it is no timestamp", hint="name the event time")
    if not 1 <= value <= MAX_FRESHNESS_HOURS:
        raise InvalidError(
            f"freshness of {column}: {value} hours are not 1 to {MAX_FRESHNESS_HOURS}",
            hint="say after how many hours a row is too old",
        )


_CHECKED: Mapping[Check, Callable[[Any, pa.DataType, str], None]] = {
    Check.NOT_NULL: _check_true,
    Check.RANGE: _check_range,
    Check.SET: _check_set,
    Check.REGEX: _check_regex,
    Check.UNIQUE: _check_unique,
    Check.FRESHNESS: _check_freshness,
}


def _out_of_range(values: pa.ChunkedArray, value: _Values, _at: datetime) -> pa.ChunkedArray:
    least, most = column_of(list(value), values.type)
    within = [pc.greater_equal(values, least)] if least.is_valid else []
    within += [pc.less_equal(values, most)] if most.is_valid else []
    return pc.invert(within[0] if len(within) == 1 else pc.and_(*within))  # NaN is within nothing


def _out_of_set(values: pa.ChunkedArray, value: _Values, _at: datetime) -> pa.ChunkedArray:
    known = pc.is_in(values, value_set=column_of(list(value), values.type))
    return pc.and_(pc.invert(known), values.is_valid())


def _unlike(values: pa.ChunkedArray, value: _Values, _at: datetime) -> pa.ChunkedArray:
    return pc.invert(pc.match_substring_regex(values, _whole(value)))


def _repeated(values: pa.ChunkedArray, _value: _Values, _at: datetime) -> pa.ChunkedArray:
    return repeated(values)


def repeated(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Which values stand in an earlier row too; nulls do not."""
    valid = values.drop_null()
    if len(pc.unique(valid)) == len(valid):
        return pa.chunked_array([pa.repeat(False, len(values))])
    numbered = pa.table({"value": values, "row": pa.array(range(len(values)), pa.int64())})
    first = numbered.group_by("value").aggregate([("row", "min")])["row_min"]
    again = pc.invert(pc.is_in(numbered["row"], value_set=first))
    return pc.and_(again, values.is_valid())


def _stale(values: pa.ChunkedArray, value: _Values, at: datetime) -> pa.ChunkedArray:
    oldest = pa.scalar(at - timedelta(hours=value), TIMESTAMP)
    return pc.less(values, oldest)


_MISSES: Mapping[Check, Callable[[pa.ChunkedArray, _Values, datetime], pa.ChunkedArray]] = {
    Check.NOT_NULL: lambda values, _value, _at: values.is_null(),
    Check.RANGE: _out_of_range,
    Check.SET: _out_of_set,
    Check.REGEX: _unlike,
    Check.UNIQUE: _repeated,
    Check.FRESHNESS: _stale,
}


def _whole(pattern: str) -> str:
    return rf"\A(?:{pattern})\z"


def _check_rule(text: str, columns: Sequence[Column]) -> None:
    schema = pa.schema([(column.name, column.type) for column in columns])
    try:
        condition = check_expression(text, schema)
        with cage([]) as con:
            rows = con.from_arrow(schema.empty_table())
            (kind,) = rows.project(condition).types
    except InvalidError as exc:
        message = re.sub(r"^where: ", "", exc.message)
        raise type(exc)(f"row rule: {message}", hint=exc.hint) from exc
    except duckdb.Error as exc:
        raise InvalidError(
            f"row rule: {one_line(exc)}", hint="compare columns with values of their own type"
        ) from exc
    if str(kind) != "BOOLEAN":
        raise InvalidError(
            f"row rule {_short(text)!r} is no condition", hint="write one that is true or false"
        )


def _rule_misses(table: pa.Table, text: str) -> pa.ChunkedArray:
    """Rows for which the rule is false or cannot be computed; unknown is met, as in SQL's CHECK."""
    condition = check_expression(text, table.schema)
    met = f"coalesce(try(({condition}) IS NOT FALSE), false)"
    with cage([]) as con:
        found = con.from_arrow(table).project(f"NOT {met} AS missed").to_arrow_table()
    return found["missed"]
