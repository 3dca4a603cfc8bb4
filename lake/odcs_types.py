"""The types of the Open Data Contract Standard, and ours.

Keeps true: a type of ours is written so that it is read back as itself (`physicalType`); the types
of databases are read where they hold the same values, and `logicalType` where nothing else is said.

>>> type_of({"logicalType": "string", "physicalType": "VARCHAR(18)"}, "code")
DataType(string)
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
from pyarrow import types as kind

from backstory.lake.errors import InvalidError
from backstory.lake.types import MAX_NESTING, TIMESTAMP, canonical, parse_type

_LOGICAL: Mapping[str, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": TIMESTAMP,
}
_DATABASES: Mapping[str, pa.DataType] = {
    **dict.fromkeys(("varchar", "char", "text", "nvarchar", "uuid", "json"), pa.string()),
    **dict.fromkeys(("bigint", "long", "int8"), pa.int64()),
    **dict.fromkeys(("integer", "int", "int4"), pa.int32()),
    **dict.fromkeys(("smallint", "short", "int2"), pa.int16()),
    **dict.fromkeys(("tinyint", "byte"), pa.int8()),
    **dict.fromkeys(("double", "double precision", "float8"), pa.float64()),
    **dict.fromkeys(("real", "float4"), pa.float32()),
    **dict.fromkeys(("boolean",), pa.bool_()),
    **dict.fromkeys(("timestamptz", "timestamp with time zone", "datetime"), TIMESTAMP),
    **dict.fromkeys(("bytea", "blob", "varbinary", "bytes"), pa.binary()),
}
_WORDS: tuple[tuple[Callable[[pa.DataType], bool], str], ...] = (
    (kind.is_list, "array"),
    (kind.is_nested, "object"),
    (kind.is_integer, "integer"),
    (kind.is_floating, "number"),
    (kind.is_decimal, "number"),
    (kind.is_timestamp, "timestamp"),
    (kind.is_date, "date"),
    (kind.is_boolean, "boolean"),
)
_SQL_TYPE = re.compile(r"([a-z][a-z0-9 ]*?) *(?:\((\d+)(?: *, *(\d+))?\))?")


def logical_type(type_: pa.DataType) -> str:
    """The standard's word for a type of ours; `physicalType` says it exactly."""
    return next((word for is_one, word in _WORDS if is_one(type_)), "string")


def type_of(said: Mapping[str, Any], where: str, *, levels: int = MAX_NESTING) -> pa.DataType:
    """The type of a property.

    Args:
        said: the property.
        where: its name, for messages.
        levels: how deep it may be nested.

    Raises:
        InvalidError: it says none that we can keep.
    """
    physical = said.get("physicalType")
    if isinstance(physical, str) and (found := _physical(physical)) is not None:
        return found
    logical = said.get("logicalType")
    if levels <= 0:
        raise _unknown(where, "is nested too deep")
    match logical:
        case "array" if isinstance(items := said.get("items"), dict):
            return pa.list_(type_of(items, f"{where}[]", levels=levels - 1))
        case "object" if isinstance(parts := said.get("properties"), list) and parts:
            return _struct(parts, where, levels - 1)
        case "map" if isinstance(said.get("map"), dict):
            sides = [_side(said["map"], name, where, levels - 1) for name in ("key", "value")]
            return pa.map_(*sides)
        case str() if logical in _LOGICAL:
            return _LOGICAL[logical]
    raise _unknown(where, f"has logicalType {logical!r} and physicalType {physical!r}")


def _physical(text: str) -> pa.DataType | None:
    """A type of ours, or one that databases call so."""
    try:
        return parse_type(text)
    except InvalidError:
        pass
    found = _SQL_TYPE.fullmatch(text.strip().lower())
    if found is None:
        return None
    name, precision, scale = found.groups()
    if name in {"decimal", "numeric"} and precision:
        try:
            return canonical(pa.decimal128(int(precision), int(scale or 0)))
        except (InvalidError, ValueError):
            return None
    return _DATABASES.get(name)


def _struct(parts: list[Any], where: str, levels: int) -> pa.DataType:
    fields = []
    for part in parts:
        if not isinstance(part, dict) or not isinstance(part.get("name"), str):
            raise _unknown(where, "has a part without a name")
        fields.append((part["name"], type_of(part, f"{where}.{part['name']}", levels=levels)))
    return canonical(pa.struct(fields))


def _side(said: Mapping[str, Any], name: str, where: str, levels: int) -> pa.DataType:
    found = said.get(name)
    given = found if isinstance(found, dict) else {"logicalType": said.get(f"{name}Type", found)}
    return type_of(given, f"{where}.{name}", levels=levels)


def _unknown(where: str, what: str) -> InvalidError:
    return InvalidError(
        f"data contract: property {where} {what}: no type follows",
        hint="say one of ours as its physicalType, for example string, int64 or list<string>",
    )
