"""Values of every type that a contract may have, as Arrow gives them to Python, and as text."""

import base64
import json
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st
from pyarrow import types as kind

from backstory.lake.types import type_text

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_WIDE = Context(prec=100)


def values_of(type_: pa.DataType) -> st.SearchStrategy[Any]:
    """Finite values and nulls."""
    return st.none() | _some(type_)


def _some(type_: pa.DataType) -> st.SearchStrategy[Any]:
    if kind.is_list(type_):
        return st.lists(values_of(type_.value_type), max_size=3)
    if kind.is_map(type_):
        keys, items = _some(type_.key_type), values_of(type_.item_type)
        return st.dictionaries(keys, items, max_size=3).map(lambda found: list(found.items()))
    if kind.is_struct(type_):
        return st.fixed_dictionaries({field.name: values_of(field.type) for field in type_})
    return _scalar(type_)


def _scalar(type_: pa.DataType) -> st.SearchStrategy[Any]:
    if kind.is_integer(type_):
        most = 1 << (type_.bit_width - 1)
        return st.integers(-most, most - 1)
    if kind.is_floating(type_):
        return st.floats(allow_nan=False, allow_infinity=False, width=type_.bit_width)
    if kind.is_decimal(type_):
        most = 10**type_.precision - 1
        return st.integers(-most, most).map(lambda n: Decimal(n).scaleb(-type_.scale, _WIDE))
    return _PLAIN[type_text(type_)]


_PLAIN: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "string": TEXTS,
    "binary": st.binary(max_size=8),
    "date": st.dates(),
    "timestamp": st.datetimes().map(lambda instant: instant.replace(tzinfo=UTC)),
}


def as_json(value: Any, type_: pa.DataType) -> Any:
    """What a producer puts into JSON for a value."""
    if value is None:
        return None
    if kind.is_list(type_):
        return [as_json(item, type_.value_type) for item in value]
    if kind.is_map(type_):
        pairs = [[as_json(k, type_.key_type), as_json(v, type_.item_type)] for k, v in value]
        return dict(pairs) if kind.is_string(type_.key_type) else pairs
    if kind.is_struct(type_):
        return {field.name: as_json(value[field.name], field.type) for field in type_}
    return _scalar_as_json(value)


def _scalar_as_json(value: Any) -> Any:
    match value:
        case bytes():
            return base64.b64encode(value).decode()
        case datetime() | date():
            return value.isoformat()
        case Decimal():
            return str(value)
        case _:
            return value


def as_cell(value: Any, type_: pa.DataType) -> str:
    """What a producer puts into CSV for a value without parts."""
    if value is None:
        return ""
    found = as_json(value, type_)
    return found if isinstance(found, str) else json.dumps(found)
