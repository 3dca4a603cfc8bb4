r"""The digest of a batch of rows: equal for equal rows, however they lie in memory.

Keeps true: the digest depends on column names, types, order, row order and values alone, never on
chunks, offsets, dictionaries or large variants; and it stays the same for ever (`v1`, with a golden
test). Floats count by their bits: `-0.0` is not `0.0`, and NaNs differ as their bits do.

The form, all numbers little-endian:

    batch  = sha256("backstory-rows v1\n" rows:u64 columns:u64 (text(name) text(type) node)*)
    node   = sha256(nulls) sha256(lengths) sha256(values) node*
    nulls  = the positions of nulls, u64 each, counted over the whole column
    lengths, values, nodes below = of the values that are not null, in order:
        text, binary: byte lengths u32; the bytes         bool: one byte each
        list: item counts u32; nothing; its items         map: the same; its keys, its values
        struct: nothing; nothing; its fields              else: the plain bytes
    text   = length:u64, UTF-8 bytes

>>> one = pa.table({"a": pa.array([1, None])})
>>> two = pa.concat_tables([one.slice(0, 1), one.slice(1)])
>>> batch_digest(one) == batch_digest(two)
True
"""

import hashlib
import struct
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as kind

from backstory.lake.errors import InvalidError
from backstory.lake.types import canonical, part_arrays, type_text

_HEADER = b"backstory-rows v1\n"


def batch_digest(table: pa.Table) -> str:
    """SHA-256 over the rows of a table, 64 hex digits.

    Large updates release the GIL, so it may run beside other work in a thread.

    Raises:
        InvalidError: a column has a type that no contract has.
    """
    whole = hashlib.sha256(_HEADER)
    whole.update(struct.pack("<QQ", table.num_rows, table.num_columns))
    for field, column in zip(table.schema, table.columns, strict=True):
        type_ = canonical(field.type)
        plain = column if column.type == type_ else column.cast(type_)
        node = _Node(type_)
        for chunk in plain.chunks:
            node.update(chunk)
        whole.update(_text(field.name) + _text(type_text(type_)) + node.digest())
    return whole.hexdigest()


_WIDENED = {
    pa.uint8(): pa.int64(),
    pa.uint16(): pa.int64(),
    pa.uint32(): pa.int64(),
    pa.float16(): pa.float32(),
}


def digest_frame(frame: Any) -> tuple[int, str]:
    """The number of rows and the digest of any frame with an Arrow form (pandas, Polars, Arrow).

    Small unsigned integers and half floats, which no contract has, count as the next type that
    holds all their values.

    Raises:
        InvalidError: it has no Arrow form, or a column of a type that cannot be told exactly.
    """
    try:
        table = pa.table(frame)
    except (TypeError, ValueError, pa.ArrowException) as exc:
        raise InvalidError(
            f"a {type(frame).__name__} has no Arrow form",
            hint="give an Arrow table, a pandas or a Polars frame",
        ) from exc
    fields = [field.with_type(_WIDENED.get(field.type, field.type)) for field in table.schema]
    return table.num_rows, batch_digest(table.cast(pa.schema(fields)))


def _text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack("<Q", len(encoded)) + encoded


class _Node:
    """The running digest of one column or of one part of a nested column."""

    def __init__(self, type_: pa.DataType) -> None:
        self._nulls = hashlib.sha256()
        self._lengths = hashlib.sha256()
        self._values = hashlib.sha256()
        self._parts = [_Node(part) for part in _part_types(type_)]
        self._count = 0

    def update(self, array: pa.Array) -> None:
        if array.null_count:
            positions = pc.indices_nonzero(array.is_null())
            self._nulls.update(_plain_bytes(pc.add(positions, pa.scalar(self._count, pa.uint64()))))
            values = array.drop_null()
        else:
            values = array
        self._count += len(array)
        if len(values):
            self._take(values)

    def digest(self) -> bytes:
        own = self._nulls.digest() + self._lengths.digest() + self._values.digest()
        return own + b"".join(part.digest() for part in self._parts)

    def _take(self, array: pa.Array) -> None:
        type_ = array.type
        if kind.is_string(type_) or kind.is_binary(type_):
            self._lengths.update(_plain_bytes(pc.binary_length(array)))
            self._values.update(_text_bytes(array))
        elif kind.is_boolean(type_):
            self._values.update(_plain_bytes(array.cast(pa.uint8())))
        elif not self._parts:
            self._values.update(_plain_bytes(array))
        elif not kind.is_struct(type_):
            ends = array.offsets
            self._lengths.update(_plain_bytes(pc.subtract(ends[1:], ends[:-1])))
        for part, values in zip(self._parts, part_arrays(array), strict=True):
            part.update(values)


def _part_types(type_: pa.DataType) -> Iterator[pa.DataType]:
    if kind.is_map(type_):
        yield from (type_.key_type, type_.item_type)
    elif kind.is_list(type_):
        yield type_.value_type
    elif kind.is_struct(type_):
        yield from (field.type for field in type_)


def _plain_bytes(array: pa.Array) -> memoryview:
    """The bytes of a fixed-width array without nulls, in place."""
    width = array.type.bit_width // 8
    return memoryview(array.buffers()[1])[array.offset * width :][: len(array) * width]


def _text_bytes(array: pa.Array) -> memoryview:
    """The bytes of a text or binary array without nulls, one after the other, in place."""
    _, offsets, data = array.buffers()
    ends = memoryview(offsets).cast("B").cast("i")
    first, last = ends[array.offset], ends[array.offset + len(array)]
    return memoryview(data)[first:last] if data is not None else memoryview(b"")
