"""The Arrow types that a table may have, and their text.

Keeps true: text and type determine each other, and only types are kept that Delta, Parquet and
their readers hold without loss. It converts no values.

    bool  int8  int16  int32  int64  float32  float64  string  binary  date
    timestamp        an instant: microseconds since 1970, UTC
    timestamp_ntz    a wall clock without zone; only in tables that others write
    decimal(P,S)  list<T>  map<K,V>  struct<a: T, "b c": T>

>>> type_text(parse_type("list<struct<id: string, score: decimal(9,4)>>"))
'list<struct<id: string, score: decimal(9,4)>>'
>>> type_text(canonical(pa.large_list(pa.dictionary(pa.int32(), pa.large_string()))))
'list<string>'
"""

import difflib
import json
import re
from collections.abc import Callable, Iterator

import pyarrow as pa
from pyarrow import types as kind

from backstory.lake.errors import InvalidError

MAX_NESTING = 64  # levels of list, map and struct in one type, and so in one value
MAX_DECIMAL_DIGITS = 38

TIMESTAMP = pa.timestamp("us", tz="UTC")
WALL_CLOCK = pa.timestamp("us")

_SCALARS = {
    "bool": pa.bool_(),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": TIMESTAMP,
    "timestamp_ntz": WALL_CLOCK,
}
_TEXTS = {type_: text for text, type_ in _SCALARS.items()}
_WORDS = (*_SCALARS, "decimal(P,S)", "list<T>", "map<K,V>", "struct<a: T>")
_TOKEN = re.compile(r'[\w.-]+|"(?:[^"\\]|\\.)*"|[<>(),:]')
_BARE_NAME = re.compile(r"[\w.-]+")

_Test = Callable[[pa.DataType], bool]

_BINARIES = (kind.is_large_binary, kind.is_binary_view, kind.is_fixed_size_binary)

_LISTS = (kind.is_list, kind.is_large_list, kind.is_fixed_size_list)

_REFUSED: tuple[tuple[_Test, str], ...] = (
    (kind.is_uint64, "unsigned integers have no place in Delta; use decimal(20,0)"),
    (kind.is_unsigned_integer, "unsigned integers have no place in Delta; use a wider signed one"),
    (kind.is_float16, "half floats have no place in Delta; use float32"),
    (kind.is_time, "times of day have no place in Delta; use int64 and name the unit"),
    (kind.is_duration, "durations have no place in Delta; use int64 and name the unit"),
    (kind.is_timestamp, "instants are kept as microseconds in UTC; use timestamp"),
    (kind.is_list_view, "list views cannot be turned into lists safely; use list<T>"),
    (kind.is_large_list_view, "list views cannot be turned into lists safely; use list<T>"),
    (kind.is_date64, "dates are kept as days; use date"),
    (kind.is_decimal, f"decimals have at most {MAX_DECIMAL_DIGITS} digits, none before the point"),
)


def canonical(type_: pa.DataType) -> pa.DataType:
    """The plain type that holds exactly the same values.

    Dictionary, large, view and fixed-size variants become the plain type; nested fields become
    nullable, since a contract promises nothing below the column.

    Raises:
        InvalidError: no plain type does, or it is nested too deep.
    """
    return _canonical(type_, MAX_NESTING)


def _canonical(type_: pa.DataType, levels: int) -> pa.DataType:
    if levels < 0:
        raise InvalidError(
            f"a type is nested deeper than {MAX_NESTING} levels",
            hint="flatten it into more columns",
        )
    if kind.is_dictionary(type_):
        return _canonical(type_.value_type, levels)
    if is_any_list(type_):
        return pa.list_(_canonical(type_.value_type, levels - 1))
    if kind.is_map(type_):
        parts = (type_.key_type, type_.item_type)
        return pa.map_(*(_canonical(part, levels - 1) for part in parts))
    if kind.is_struct(type_):
        names = [field.name.casefold() for field in type_]
        if not names or len(set(names)) != len(names):
            raise InvalidError(
                f"type {type_} cannot be kept: a struct needs distinct fields",
                hint="name each field once (case does not count)",
            )
        return pa.struct([(field.name, _canonical(field.type, levels - 1)) for field in type_])
    return _canonical_scalar(type_)


def _canonical_scalar(type_: pa.DataType) -> pa.DataType:
    if type_ in _TEXTS:
        return type_
    if kind.is_large_string(type_) or kind.is_string_view(type_):
        return pa.string()
    if any(is_variant(type_) for is_variant in _BINARIES):
        return pa.binary()
    if kind.is_timestamp(type_) and type_.unit == "us" and is_utc(type_.tz):
        return TIMESTAMP
    if kind.is_decimal(type_) and 0 <= type_.scale <= type_.precision <= MAX_DECIMAL_DIGITS:
        return pa.decimal128(type_.precision, type_.scale)
    advice = f"use one of {', '.join(_WORDS)}"
    reason = next((reason for test, reason in _REFUSED if test(type_)), advice)
    raise InvalidError(
        f"type {type_} cannot be kept: {reason}", hint="change the column's type in the contract"
    )


def is_utc(zone: str | None) -> bool:
    """Whether a timestamp's zone is a spelling of UTC."""
    return zone in {"UTC", "Etc/UTC", "Z", "+00:00"}


def is_any_list(type_: pa.DataType) -> bool:
    """Whether a type is a list that Arrow turns into a plain one.

    List views are not: pyarrow 26 casts them to lists with broken offsets.
    """
    return any(is_list(type_) for is_list in _LISTS)


def leaf_types(type_: pa.DataType) -> Iterator[pa.DataType]:
    """The types without parts that a type is made of."""
    if type_.num_fields == 0:
        yield type_
    for place in range(type_.num_fields):
        yield from leaf_types(type_.field(place).type)


def field_names(type_: pa.DataType) -> Iterator[str]:
    """The names of all struct fields in a type."""
    for place in range(type_.num_fields):
        field = type_.field(place)
        if kind.is_struct(type_):
            yield field.name
        yield from field_names(field.type)


def part_arrays(array: pa.Array) -> list[pa.Array]:
    """The arrays that a nested array without nulls is made of: items, keys and items, or fields."""
    if kind.is_struct(array.type):
        return list(array.flatten())
    if not (kind.is_list(array.type) or kind.is_map(array.type)):
        return []
    first, last = array.offsets[0].as_py(), array.offsets[-1].as_py()
    parts = [array.keys, array.items] if kind.is_map(array.type) else [array.values]
    return [part.slice(first, last - first) for part in parts]


def type_text(type_: pa.DataType) -> str:
    """The text of a plain type.

    Raises:
        InvalidError: the type is not one that a table may have.
    """
    if type_ in _TEXTS:
        return _TEXTS[type_]
    if kind.is_decimal128(type_):
        return f"decimal({type_.precision},{type_.scale})"
    if kind.is_list(type_):
        return f"list<{type_text(type_.value_type)}>"
    if kind.is_map(type_):
        return f"map<{type_text(type_.key_type)},{type_text(type_.item_type)}>"
    if kind.is_struct(type_):
        fields = (f"{_name_text(field.name)}: {type_text(field.type)}" for field in type_)
        return f"struct<{', '.join(fields)}>"
    raise InvalidError(
        f"type {type_} has no text: it is not plain", hint="use a type that the contract can name"
    )


def describe_type(type_: pa.DataType) -> str:
    """The text of any Arrow type, for messages."""
    try:
        return type_text(type_)
    except InvalidError:
        return str(type_)


def _name_text(name: str) -> str:
    return name if _BARE_NAME.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def parse_type(text: str) -> pa.DataType:
    """Read a type's text.

    Raises:
        InvalidError: the text is not a type.
    """
    return _Parser(text).whole()


class _Parser:
    """Recursive descent over a type's text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[str] = _TOKEN.findall(text)[::-1]
        if _TOKEN.sub("", text).strip():
            raise self._error("has characters that no type has")

    def whole(self) -> pa.DataType:
        type_ = self._type(0)
        if self._tokens:
            raise self._error(f"goes on with {self._tokens[-1]!r} after its end")
        return type_

    def _type(self, depth: int) -> pa.DataType:
        if depth > MAX_NESTING:
            raise self._error(f"is nested deeper than {MAX_NESTING} levels")
        word = self._next()
        match word:
            case "decimal":
                return self._decimal()
            case "list":
                self._eat("<")
                value = self._type(depth + 1)
                self._eat(">")
                return pa.list_(value)
            case "map":
                return self._map(depth + 1)
            case "struct":
                return self._struct(depth + 1)
            case _ if word in _SCALARS:
                return _SCALARS[word]
        raise self._unknown(word)

    def _decimal(self) -> pa.DataType:
        self._eat("(")
        precision = self._number()
        self._eat(",")
        scale = self._number()
        self._eat(")")
        if not 0 <= scale <= precision <= MAX_DECIMAL_DIGITS or precision == 0:
            raise self._error(f"needs decimal(P,S) with 1 <= P <= {MAX_DECIMAL_DIGITS} and S <= P")
        return pa.decimal128(precision, scale)

    def _map(self, depth: int) -> pa.DataType:
        self._eat("<")
        key = self._type(depth)
        self._eat(",")
        value = self._type(depth)
        self._eat(">")
        return pa.map_(key, value)

    def _struct(self, depth: int) -> pa.DataType:
        fields: dict[str, pa.DataType] = {}
        self._eat("<")
        for name in self._field_names():
            if name in fields:
                raise self._error(f"has the field {name!r} twice")
            self._eat(":")
            fields[name] = self._type(depth)
        return pa.struct(list(fields.items()))

    def _field_names(self) -> Iterator[str]:
        separator = ","
        while separator == ",":
            name = self._next()
            if name.startswith('"'):
                name = self._unquoted(name)
            elif not _BARE_NAME.fullmatch(name):
                raise self._error(f"has {name!r} where a field's name belongs")
            yield name
            separator = self._next()
        if separator != ">":
            raise self._error(f"has {separator!r} where ',' or '>' belongs")

    def _unquoted(self, name: str) -> str:
        try:
            return str(json.loads(name))
        except ValueError as exc:
            raise self._error(f"has {name!r}, which is no JSON text") from exc

    def _number(self) -> int:
        token = self._next()
        if not (token.isascii() and token.isdigit() and len(token) <= 2):
            raise self._error(f"has {token!r} where a number of digits belongs")
        return int(token)

    def _next(self) -> str:
        if not self._tokens:
            raise self._error("ends too early")
        return self._tokens.pop()

    def _eat(self, expected: str) -> None:
        token = self._next()
        if token != expected:
            raise self._error(f"has {token!r} where {expected!r} belongs")

    def _unknown(self, word: str) -> InvalidError:
        near = difflib.get_close_matches(word, [*_SCALARS, "decimal", "list", "map", "struct"], n=1)
        hint = f"did you mean {near[0]}?" if near else f"types are {', '.join(_WORDS)}"
        return InvalidError(f"type {self._text[:80]!r} has the unknown word {word!r}", hint=hint)

    def _error(self, what: str) -> InvalidError:
        return InvalidError(
            f"type {self._text[:80]!r} {what}", hint=f"types are {', '.join(_WORDS)}"
        )
