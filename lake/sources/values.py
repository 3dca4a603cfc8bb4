"""Python values, as JSON gives them, into typed columns, lossless or not at all.

Keeps true: a value is taken only by the type it has. A number is no text and a text is no number;
`1.0` is no whole number; objects have no fields beyond their struct's, and missing ones are null.

    bool, int…, string     the same in JSON
    float…                 finite numbers; whole ones exactly or not at all
    decimal                numbers or their text; never a Python float
    date, timestamp        text as in `cells`, or `date` and aware `datetime`
    binary                 base64 text, or `bytes`
    list, struct, map      list, object, and object (or list of pairs when keys are no text)

>>> column_of([{"id": "a", "tags": ["x"]}, None], pa.struct({"id": pa.string(),
...     "tags": pa.list_(pa.string())})).to_pylist()
[{'id': 'a', 'tags': ['x']}, None]
"""

from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from itertools import accumulate, chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as kind

from backstory.lake.sources.cells import (
    NUMBER,
    exact_decimals,
    from_base64,
    narrow,
    parse_cells,
)
from backstory.lake.sources.misfits import Misfit, convert
from backstory.lake.types import type_text

Values = list[Any]
_NONE = type(None)


def column_of(values: Values, type_: pa.DataType) -> pa.Array:
    """Build one column.

    Raises:
        Misfit: the first value that the type cannot hold.
    """
    if kind.is_list(type_):
        return _lists(values, type_)
    if kind.is_struct(type_):
        return _structs(values, type_)
    if kind.is_map(type_):
        return _maps(values, type_)
    if kind.is_date(type_) or kind.is_timestamp(type_):
        return _times(values, type_)
    kernel = next(kernel for test, kernel in _KERNELS if test(type_))
    return convert(values, partial(kernel, type_=type_), type_text(type_))


def _only(values: Values, *kinds: type) -> None:
    if not set(map(type, values)) <= {_NONE, *kinds}:
        raise ValueError("a value of another kind")


def _bools(values: Values, *, type_: pa.DataType) -> pa.Array:
    _only(values, bool)
    return pa.array(values, type_)


def _integers(values: Values, *, type_: pa.DataType) -> pa.Array:
    _only(values, int)
    return pa.array(values, type_)


def _strings(values: Values, *, type_: pa.DataType) -> pa.Array:
    _only(values, str)
    return pa.array(values, type_)


def _floats(values: Values, *, type_: pa.DataType) -> pa.Array:
    if not set(map(type, values)) <= {_NONE, float}:
        values = [_double(value) for value in values]
    doubles = pa.array(values, pa.float64())
    if pc.all(pc.is_finite(doubles)).as_py() is False:
        raise ValueError("a number is not finite")
    return narrow(doubles, type_)


def _double(value: object) -> float | None:
    match value:
        case None | float():
            return value
        case Decimal() if bool(double := float(value)) == bool(value):
            return double
        case int() if type(value) is int and (double := float(value)) == value:
            return double
        case _:
            raise ValueError("a value is no double")


def _decimals(values: Values, *, type_: pa.DataType) -> pa.Array:
    return exact_decimals([_decimal(value) for value in values], type_)


def _decimal(value: object) -> Decimal | None:
    match value:
        case None | Decimal():
            return value
        case int() if type(value) is int:
            return Decimal(value)
        case str() if NUMBER.fullmatch(value):
            return Decimal(value)
        case _:
            raise ValueError("a value is no decimal")


def _binaries(values: Values, *, type_: pa.DataType) -> pa.Array:
    return pa.array([from_base64(v) if type(v) is str else v for v in values], type_)


_KERNELS: tuple[tuple[Callable[[pa.DataType], bool], Callable[..., pa.Array]], ...] = (
    (kind.is_string, _strings),
    (kind.is_integer, _integers),
    (kind.is_floating, _floats),
    (kind.is_boolean, _bools),
    (kind.is_decimal, _decimals),
    (kind.is_binary, _binaries),
)


def _times(values: Values, type_: pa.DataType) -> pa.Array:
    as_text = _date_texts if kind.is_date(type_) else _instant_texts
    return parse_cells(convert(values, as_text, type_text(type_)), type_)


def _date_texts(values: Values) -> pa.Array:
    return _texts([v.isoformat() if type(v) is date else v for v in values])


def _instant_texts(values: Values) -> pa.Array:
    return _texts([_instant_text(v) if isinstance(v, datetime) else v for v in values])


def _texts(values: Values) -> pa.Array:
    _only(values, str)
    return pa.array(values, pa.string())


def _instant_text(value: datetime) -> str:
    return (value if value.tzinfo is None else value.astimezone(UTC)).isoformat()


def _require(values: Values, fits: Callable[[Any], bool], expected: str) -> None:
    for index, value in enumerate(values):
        if value is not None and not fits(value):
            raise Misfit(index, expected, value)


def _lists(values: Values, type_: pa.DataType) -> pa.Array:
    _require(values, lambda value: type(value) is list, type_text(type_))
    offsets = _offsets(values)
    items = _part(values, type_.value_type, offsets, "an item")
    return pa.ListArray.from_arrays(_null_offsets(values, offsets), items)


def _offsets(values: Values) -> list[int]:
    return list(accumulate((len(value) if value else 0 for value in values), initial=0))


def _null_offsets(values: Values, offsets: list[int]) -> pa.Array:
    """Arrow's offsets, where a null says that the list there is null."""
    starts = [None if v is None else start for v, start in zip(values, offsets, strict=False)]
    return pa.array([*starts, offsets[-1]], pa.int32())


def _part(values: Values, type_: pa.DataType, offsets: list[int], role: str) -> pa.Array:
    try:
        return column_of(list(chain.from_iterable(filter(None, values))), type_)
    except Misfit as misfit:
        index = bisect_right(offsets, misfit.index) - 1
        raise Misfit(index, f"{misfit.expected} as {role}", misfit.found) from misfit


def _structs(values: Values, type_: pa.DataType) -> pa.Array:
    fields = list(type_)
    names = {field.name for field in fields}
    expected = f"an object with the fields {', '.join(field.name for field in fields)}"
    _require(values, lambda value: type(value) is dict and value.keys() <= names, expected)
    parts = [_field(values, field) for field in fields]
    nulls = pa.array([value is None for value in values], pa.bool_())
    return pa.StructArray.from_arrays(parts, fields=fields, mask=nulls)


def _field(values: Values, field: pa.Field) -> pa.Array:
    parts = [None if value is None else value.get(field.name) for value in values]
    try:
        return column_of(parts, field.type)
    except Misfit as misfit:
        expected = f"{misfit.expected} in {field.name}"
        raise Misfit(misfit.index, expected, misfit.found) from misfit


def _maps(values: Values, type_: pa.DataType) -> pa.Array:
    if kind.is_string(type_.key_type):
        _require(values, lambda value: type(value) is dict, "an object")
        keys = [None if v is None else list(v) for v in values]
        items = [None if v is None else list(v.values()) for v in values]
    else:
        _require(values, _is_pairs, "a list of [key, value] with distinct keys")
        keys, items = ([v and [pair[i] for pair in v] for v in values] for i in (0, 1))
    offsets = _offsets(keys)
    return pa.MapArray.from_arrays(
        _null_offsets(values, offsets),
        _part(keys, type_.key_type, offsets, "a key"),
        _part(items, type_.item_type, offsets, "a value"),
    )


def _is_pairs(value: Any) -> bool:
    if type(value) is not list or not all(type(pair) is list and len(pair) == 2 for pair in value):
        return False
    keys = [repr(key) for key, _ in value]
    return len(set(keys)) == len(keys) and all(key is not None for key, _ in value)
