"""Text cells into typed columns, lossless or not at all.

Keeps true: a cell is taken only in the one spelling that its type has here, and the value read is
the value written (fractions are read as the nearest double). What an empty cell means is decided
elsewhere: a null cell stays null.

    bool       true, false
    int…       digits, perhaps after '-'; no '+', spaces, leading zeros or fraction
    float64    a JSON number; whole numbers exactly or not at all
    float32    a JSON number that it holds, or whose shortest text it is
    decimal    a JSON number that fits without rounding
    date       YYYY-MM-DD
    timestamp  RFC 3339 with 'Z' or an offset ('T' or a space between), at most microseconds
    binary     base64 with its padding

>>> parse_cells(pa.array(["1", "-7", None]), pa.int8()).to_pylist()
[1, -7, None]
"""

import base64
import re
from collections.abc import Callable
from decimal import Decimal
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as kind

from backstory.lake.sources.misfits import convert
from backstory.lake.types import type_text

_INTEGER = r"-?(0|[1-9][0-9]*)"
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,4})?")
_NOT_ZERO = r"^-?[0.]*[1-9]"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_INSTANT = _DATE + r"[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})"
_FINER_ZEROS = r"(\.[0-9]{6})0+"
_BASE64 = r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
_EXACT = 1 << 53  # from here on not every whole number is a double
_MAX_EXPONENT = 100  # of a decimal; far beyond 38 digits, far before one that eats memory


def parse_cells(cells: pa.Array, type_: pa.DataType) -> pa.Array:
    """Read a column of strings as a type without parts.

    Raises:
        Misfit: the first cell that is not the text of such a value.
    """
    if kind.is_string(type_):
        return cells
    kernel, expected = next((kernel, text) for test, kernel, text in _KERNELS if test(type_))
    return convert(cells, partial(kernel, type_=type_), expected or type_text(type_))


def _check(cells: pa.Array, pattern: str) -> pa.Array:
    good = pc.match_substring_regex(cells, rf"\A(?:{pattern})\z")
    if pc.all(good).as_py() is False:
        raise ValueError("a cell has another spelling")
    return cells


def _bools(cells: pa.Array, *, type_: pa.DataType) -> pa.Array:
    return _check(cells, "true|false").cast(type_)


def _integers(cells: pa.Array, *, type_: pa.DataType) -> pa.Array:
    return _check(cells, _INTEGER).cast(type_)


def _floats(cells: pa.Array, *, type_: pa.DataType) -> pa.Array:
    values = _check(cells, NUMBER.pattern).cast(pa.float64())
    large = pc.greater_equal(pc.abs(values), _EXACT)
    lost = pc.and_(pc.equal(values, 0.0), pc.match_substring_regex(cells, _NOT_ZERO))
    if pc.any(lost).as_py():
        raise ValueError("a number is too small for a double")
    if pc.any(large).as_py():
        for cell, value in zip(cells.filter(large), values.filter(large), strict=True):
            _check_large(cell.as_py(), value.as_py())
    return narrow(values, type_)


def _check_large(cell: str, value: float) -> None:
    whole = cell.lstrip("-").isdigit()
    if value in {float("inf"), float("-inf")} or (whole and Decimal(cell) != Decimal(value)):
        raise ValueError("a number is no double")


def narrow(values: pa.Array, type_: pa.DataType) -> pa.Array:
    """Doubles as `float64` or, where each is exact or has that shortest text, as `float32`.

    Raises:
        ValueError: one does not.
    """
    if kind.is_float64(type_):
        return values
    narrowed = values.cast(type_)
    exact = pc.equal(narrowed.cast(pa.float64()), values)
    shortest = pc.equal(narrowed.cast(pa.string()).cast(pa.float64()), values)
    if pc.all(pc.or_(exact, shortest)).as_py() is False:
        raise ValueError("a number has more digits than a float32 keeps")
    return narrowed


def _decimals(cells: pa.Array, *, type_: pa.DataType) -> pa.Array:
    texts = _check(cells, NUMBER.pattern).to_pylist()
    return exact_decimals([None if text is None else Decimal(text) for text in texts], type_)


def exact_decimals(values: list[Decimal | None], type_: pa.DataType) -> pa.Array:
    """Decimals that fit without rounding.

    Arrow's own cast from text overflows in silence beyond 38 digits, hence this way.

    Raises:
        ValueError: one does not fit.
    """
    for value in values:
        if value is not None and not (value.is_finite() and abs(value.adjusted()) <= _MAX_EXPONENT):
            raise ValueError("a number is far beyond every decimal")
    return pa.array(values, type_)


def _dates(cells: pa.Array, *, type_: pa.DataType) -> pa.Array:
    return _check(cells, _DATE).cast(type_)


def _instants(cells: pa.Array, *, type_: pa.DataType) -> pa.Array:
    finest = pc.replace_substring_regex(_check(cells, _INSTANT), _FINER_ZEROS, r"\1")
    return finest.cast(type_)


def _binaries(cells: pa.Array, *, type_: pa.DataType) -> pa.Array:
    texts = _check(cells, _BASE64).to_pylist()
    return pa.array([None if text is None else from_base64(text) for text in texts], type_)


def from_base64(cell: str) -> bytes:
    """The bytes that a text means.

    Raises:
        ValueError: it is not the one base64 text of those bytes.
    """
    data = base64.b64decode(cell, validate=True)
    if base64.b64encode(data).decode() != cell:
        raise ValueError("base64 with stray bits at its end")
    return data


_KERNELS: tuple[tuple[Callable[[pa.DataType], bool], Callable[..., pa.Array], str], ...] = (
    (kind.is_boolean, _bools, "true or false"),
    (kind.is_integer, _integers, ""),
    (kind.is_floating, _floats, ""),
    (kind.is_decimal, _decimals, ""),
    (kind.is_date, _dates, "date YYYY-MM-DD"),
    (kind.is_timestamp, _instants, "timestamp with Z or an offset, at most microseconds"),
    (kind.is_binary, _binaries, "base64"),
)
