"""The type that values have in common, for who must say what a sample of rows is.

Keeps true: every value that was seen is a value of the type that comes out; where values have none
in common, `common` says so. It knows JSON's values and the cells of a CSV.

    null < every type      int64 < float64, decimal(38,0)
    a text is an instant, a day or a text      lists and objects by their parts

>>> common(type_of_value({"a": [1, None]}), type_of_value({"a": [2.5], "b": "2026-11-01"}))
StructType(struct<a: list<item: double>, b: date32[day]>)
"""

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from pyarrow import types as kind

from backstory.lake.types import MAX_NESTING, TIMESTAMP

_INT64 = range(-(1 << 63), 1 << 63)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_WHOLE = re.compile(r"-?(0|[1-9]\d{0,37})")
_BROKEN = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_BIG = pa.decimal128(38, 0)
_NUMBERS = {pa.int64(), pa.float64(), _BIG}
_TEXTS = {pa.string(), TIMESTAMP, pa.date32()}


def type_of_value(value: Any, *, levels: int = MAX_NESTING) -> pa.DataType:
    """The narrowest type of a JSON value; null where it has none."""
    match value:
        case bool():
            return pa.bool_()
        case int():
            return pa.int64() if value in _INT64 else _BIG
        case float() | Decimal():
            return pa.float64()
        case str():
            return type_of_text(value)
        case list() | dict() if levels:
            return _type_of_parts(value, levels - 1)
    return pa.null()


def _type_of_parts(value: list[Any] | dict[str, Any], levels: int) -> pa.DataType:
    if isinstance(value, dict):
        parts = {key: type_of_value(item, levels=levels) for key, item in value.items()}
        return pa.struct(list(parts.items())) if parts else pa.null()
    found: pa.DataType = pa.null()
    for item in value:
        both = common(found, type_of_value(item, levels=levels))
        found = found if both is None else both
    return pa.list_(found)


def type_of_text(text: str) -> pa.DataType:
    """Whether a text is an instant with its zone, a day, or a text."""
    try:
        if _INSTANT.fullmatch(text):
            datetime.fromisoformat(text)
            return TIMESTAMP
        if _DAY.fullmatch(text):
            date.fromisoformat(text)
            return pa.date32()
    except ValueError:
        pass
    return pa.string()


def type_of_cell(cell: str) -> pa.DataType:
    """The type of a CSV's cell; null where it is empty."""
    if not cell:
        return pa.null()
    if cell in {"true", "false"}:
        return pa.bool_()
    if _WHOLE.fullmatch(cell):
        return pa.int64() if int(cell) in _INT64 else _BIG
    return pa.float64() if _BROKEN.fullmatch(cell) else type_of_text(cell)


def common(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """The narrowest type that both widen to; None where there is none."""
    if one == other or kind.is_null(other):
        return one
    if kind.is_null(one):
        return other
    if {one, other} <= _NUMBERS:
        return pa.float64() if pa.float64() in {one, other} else _BIG
    return pa.string() if {one, other} <= _TEXTS else _common_parts(one, other)


def _common_parts(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if kind.is_list(one) and kind.is_list(other):
        item = common(one.value_type, other.value_type)
        return pa.list_(item) if item is not None else None
    return _common_fields(one, other) if kind.is_struct(one) and kind.is_struct(other) else None


def _common_fields(one: pa.StructType, other: pa.StructType) -> pa.DataType | None:
    fields = {field.name: field.type for field in one}
    for field in other:
        found = common(fields.get(field.name, pa.null()), field.type)
        if found is None:
            return None
        fields[field.name] = found
    return pa.struct(list(fields.items()))


def settled(type_: pa.DataType) -> pa.DataType:
    """A type without nulls in it: of what no value was seen, text is said."""
    if kind.is_null(type_):
        return pa.string()
    if kind.is_list(type_):
        return pa.list_(settled(type_.value_type))
    if kind.is_struct(type_):
        return pa.struct([(field.name, settled(field.type)) for field in type_])
    return type_


def has_unseen(type_: pa.DataType) -> bool:
    """Whether a type, or a part of it, was never seen with a value."""
    return kind.is_null(type_) or any(
        has_unseen(type_.field(place).type) for place in range(type_.num_fields)
    )
