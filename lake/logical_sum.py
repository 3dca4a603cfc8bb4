r"""The logical sum of rows: 128 bits that are equal for equal rows, in whatever order and files.

Each row is hashed by itself and the hashes are added, so that sums of files add up to the sum of
their table, whoever sorted, split or joined the files in between. A column that is null in a row
contributes nothing: rows written before a column was there have the sum that they have after. So
do rows in wider types (int32 in int64, float32 in float64, a decimal of more digits). System
columns count as any other: who rewrites files keeps them.

Equal sums say that nothing was lost, doubled or changed by mistake. They are no proof against
somebody who makes up rows: that is what the digests of files are for.

The form `v1` stays the same for ever (a golden test), numbers little-endian:

    sum    = Σ md5(fields) as a little-endian number, mod 2^128; 32 hex digits
    fields = for each column that is not null, in the order of their names as UTF-8:
             the first 8 bytes of md5(name, letter of the type); value
    value  = i whole number, b bool, d days, t microseconds UTC, w those of a wall clock: i64
             f float: f64, all NaNs being one      m decimal without needless zeros: text
             s text, m, x bytes, l list, k map, r struct: length:u32 of what follows, and
                 s, m, x: the bytes     r: its fields
                 l: for each item 0, or 1 and its value     k: for each entry key and item likewise

>>> one = pa.table({"a": pa.array([1, None]), "b": ["x", "y"]})
>>> logical_sum(one) == logical_sum(one.take([1, 0]).select(["b", "a"]))
True
>>> logical_sum(one) == total([logical_sum(one.slice(0, 1)), logical_sum(one.slice(1))])
True
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from hashlib import md5
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import types as kind

from backstory.lake.object_path import parquet_source
from backstory.lake.types import canonical, part_arrays

_BITS = 128
_BATCH_ROWS = 16_384
_FEW_ROWS = 2_048
_BATCH_BYTES = 64 << 20
_HALVES = "sum((md5 & 18446744073709551615)::UBIGINT), sum((md5 >> 64)::UBIGINT)"
_NAN = float("nan")
_TAG_BYTES = 8
_ABSENT, _PRESENT = b"\0", b"\1"


def logical_sum(rows: pa.Table | Iterable[pa.RecordBatch]) -> str:
    """The logical sum of rows, 32 hex digits; batches are taken one after the other.

    Raises:
        InvalidError: a column has a type that no table of ours has.
    """
    if isinstance(rows, pa.Table):
        batches = rows.to_batches(max_chunksize=_BATCH_ROWS)
        return _text(_few(batches) if rows.num_rows <= _FEW_ROWS else _many(batches))
    return _text(_many(rows))


def total(sums: Iterable[str]) -> str:
    """The logical sum of all rows, from the sums of their parts."""
    return _text(sum(int(part, 16) for part in sums))


def sum_of_file(path: Path) -> str:
    """The logical sum of the rows that a data file holds."""
    with pq.ParquetFile(parquet_source(path)) as file:
        if file.metadata.num_rows <= _FEW_ROWS:
            return logical_sum(file.read())
        return logical_sum(file.iter_batches(_BATCH_ROWS))


def _text(number: int) -> str:
    return f"{number % (1 << _BITS):0{_BITS // 4}x}"


def _few(batches: Iterable[pa.RecordBatch]) -> int:
    rows = [row for encoded in _encoded(batches) for row in encoded.to_pylist()]
    hashes = [md5(row, usedforsecurity=False).digest() for row in rows]
    return sum([int.from_bytes(one, "little") for one in hashes])


def _many(batches: Iterable[pa.RecordBatch]) -> int:
    """The same by DuckDB, which takes a while to start, and then holds no GIL."""
    schema = pa.schema([("row", pa.binary())])
    encoded = (pa.record_batch([rows], schema=schema) for rows in _encoded(batches))
    with duckdb.connect(":memory:", config={"threads": 1}) as con:
        rows = con.from_arrow(pa.RecordBatchReader.from_batches(schema, encoded))
        low, high = rows.project("md5_number(row) AS md5").aggregate(_HALVES).fetchall()[0]
    return int(low or 0) + (int(high or 0) << _BITS // 2)


def _encoded(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Array]:
    """The bytes of rows; what is joined has offsets of 32 bits, so large batches are halved."""
    for batch in batches:
        if batch.num_rows > 1 and batch.nbytes > _BATCH_BYTES:
            half = batch.num_rows // 2
            yield from _encoded([batch.slice(0, half), batch.slice(half)])
        else:
            yield _fields(batch.schema.names, batch.columns, batch.num_rows)


def _fields(names: list[str], columns: list[pa.Array], rows: int) -> pa.Array:
    """The bytes of each row's or struct's fields."""
    pieces: list[pa.Array | pa.Scalar] = [pa.repeat(pa.scalar(b"", pa.binary()), rows)]
    for name, column in sorted(zip(names, columns, strict=True), key=lambda pair: pair[0].encode()):
        plain = column.cast(canonical(column.type))
        if plain.null_count == len(plain):
            continue
        tag = md5(name.encode() + _letter(plain.type), usedforsecurity=False).digest()[:_TAG_BYTES]
        parts = [pa.scalar(tag, pa.binary()), *_pieces(plain)]
        pieces += [_joined(parts)] if plain.null_count else parts
    return pc.binary_join_element_wise(*pieces, b"", null_handling="skip")


def _joined(pieces: list[pa.Array | pa.Scalar]) -> pa.Array:
    """Pieces one after the other; null where one of them is."""
    return pc.binary_join_element_wise(*pieces, b"", null_handling="emit_null")


_LETTERS = (
    (kind.is_boolean, b"b"),
    (kind.is_integer, b"i"),
    (kind.is_date, b"d"),
    (kind.is_floating, b"f"),
    (kind.is_decimal, b"m"),
    (kind.is_string, b"s"),
    (kind.is_binary, b"x"),
    (kind.is_list, b"l"),
    (kind.is_map, b"k"),
    (kind.is_struct, b"r"),
)


def _letter(type_: pa.DataType) -> bytes:
    if kind.is_timestamp(type_):
        return b"t" if type_.tz else b"w"
    return next(letter for test, letter in _LETTERS if test(type_))


def _pieces(array: pa.Array) -> list[pa.Array]:
    """What to join to get the value of each element; null where it is null."""
    type_ = array.type
    if not (kind.is_primitive(type_) or kind.is_boolean(type_)) or kind.is_decimal(type_):
        content = _content(array)
        return [_plain_bytes(pc.binary_length(content), 4), content]
    if kind.is_floating(type_):
        floats = array.cast(pa.float64())
        is_nan = pc.is_nan(floats)
        return [_plain_bytes(pc.if_else(is_nan, _NAN, floats))]
    if kind.is_boolean(type_) or kind.is_date(type_):
        array = array.cast(pa.int32())
    return [_plain_bytes(array.cast(pa.int64()))]


def _plain_bytes(numbers: pa.Array, width: int = 8) -> pa.Array:
    return numbers.view(pa.binary(width)).cast(pa.binary())


def _content(array: pa.Array) -> pa.Array:
    """The bytes of values that are not of one size."""
    type_ = array.type
    if kind.is_string(type_) or kind.is_binary(type_):
        return array.cast(pa.binary())
    if kind.is_decimal(type_):
        return pa.array([_digits(value) for value in array.to_pylist()], pa.binary())
    if array.null_count:
        place = pc.subtract(pc.cumulative_sum(array.is_valid().cast(pa.int64())), 1)
        return _content(array.drop_null()).take(pc.if_else(array.is_valid(), place, None))
    parts = part_arrays(array)
    if kind.is_struct(type_):
        return _fields([field.name for field in type_], parts, len(array))
    items = [pc.fill_null(_joined([pa.scalar(_PRESENT), *_pieces(p)]), _ABSENT) for p in parts]
    offsets = pc.subtract(array.offsets, array.offsets[0])
    return pc.binary_join(pa.ListArray.from_arrays(offsets, _joined(items)), b"")


def _digits(value: Decimal | None) -> bytes | None:
    if value is None:
        return None
    text = f"{value:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).encode()
