import struct
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from hashlib import sha256
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import types as kind

from backstory.lake.errors import InvalidError
from backstory.lake.rows import batch_digest, digest_frame
from backstory.lake.types import parse_type, type_text
from tests.lake.contracts import types
from tests.lake.values import values_of

GOLDEN = {
    "id": ("string", ["a", "", None, "é"]),
    "raw": ("binary", [b"\0\xff", None, b"", b"x"]),
    "ok": ("bool", [True, None, False, True]),
    "small": ("int8", [-128, 127, None, 0]),
    "label": ("int64", [1, None, -(2**63), 2**63 - 1]),
    "score": ("float64", [0.1, -0.0, None, 1e300]),
    "half": ("float32", [0.5, None, -0.0, 1.5]),
    "price": ("decimal(9,4)", ["1.5", None, "-0.0001", "99999.9999"]),
    "day": ("date", ["2026-11-24", None, "1969-12-31", "0001-01-01"]),
    "tags": ("list<string>", [["a", None], [], None, ["b"]]),
    "counts": ("map<string,int64>", [{"a": 1}, {}, None, {"b": None}]),
    "part": ("struct<kind: string, at: list<int32>>", [{"kind": "x", "at": [1]}, None, {}, {}]),
    "nothing": ("string", [None] * 4),
}


def golden() -> pa.Table:
    columns = {}
    for name, (text, values) in GOLDEN.items():
        type_ = parse_type(text)
        through = pa.string() if text.startswith(("decimal", "date")) else type_
        columns[name] = pa.array(values, through).cast(type_)
    instants = pa.array([0, None, -1, 1_795_000_000_123_456]).cast(pa.timestamp("us", tz="UTC"))
    return pa.table({**columns, "at": instants})


def one(values: list[Any], type_: pa.DataType | None = None) -> pa.Table:
    return pa.table({"c": pa.array(values, type_)})


def documented_digest(values: list[Any], type_: pa.DataType) -> str:
    """The form in the docstring of `rows`, value by value, for a table with one column `c`."""
    head = b"backstory-rows v1\n" + struct.pack("<QQ", len(values), 1)
    return sha256(head + _text("c") + _text(type_text(type_)) + _node(values, type_)).hexdigest()


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def _node(values: list[Any], type_: pa.DataType) -> bytes:
    nulls = b"".join(struct.pack("<Q", n) for n, value in enumerate(values) if value is None)
    there = [value for value in values if value is not None]
    lengths, plain, parts = b"", b"", []
    if kind.is_struct(type_):
        parts = [([value[field.name] for value in there], field.type) for field in type_]
    elif kind.is_list(type_):
        parts = [([item for value in there for item in value], type_.value_type)]
    elif kind.is_map(type_):
        pairs = [pair for value in there for pair in value]
        parts = [([k for k, _ in pairs], type_.key_type), ([v for _, v in pairs], type_.item_type)]
    else:
        encoded = [_bytes(value, type_) for value in there]
        plain = b"".join(encoded)
        there = encoded if kind.is_string(type_) or kind.is_binary(type_) else []
    if not kind.is_struct(type_):
        lengths = b"".join(struct.pack("<I", len(value)) for value in there)
    own = b"".join(sha256(stream).digest() for stream in (nulls, lengths, plain))
    return own + b"".join(_node(*part) for part in parts)


def _bytes(value: Any, type_: pa.DataType) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    if isinstance(value, float):
        return struct.pack("<d" if kind.is_float64(type_) else "<f", value)
    width = max(type_.bit_width // 8, 1)  # a truth value takes a byte
    return _whole(value, type_).to_bytes(width, "little", signed=True)


def _whole(value: Any, type_: pa.DataType) -> int:
    if isinstance(value, Decimal):
        return int(value.scaleb(type_.scale, Context(prec=100)))
    if isinstance(value, datetime):
        return (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return (value - date(1970, 1, 1)).days if isinstance(value, date) else int(value)


def test_the_digest_stays_for_ever() -> None:
    full = "78c9c6029c87adbe38a53b9846c395140e9d384f1fae0f17b8521f1a51a2f457"
    empty = "ed7d6be2d86bf728d86b50390db4dac843fd00ccb0504c7d8c3535f3aa0fc67c"
    assert batch_digest(golden()) == full
    assert batch_digest(golden().slice(0, 0)) == empty


@given(st.data(), types())
def test_the_digest_is_the_one_that_is_documented(data: st.DataObject, type_: pa.DataType) -> None:
    values = data.draw(st.lists(values_of(type_), max_size=6))
    assert batch_digest(one(values, type_)) == documented_digest(values, type_)


@given(st.data(), types(), st.lists(st.integers(0, 12), max_size=3))
def test_layout_does_not_count(data: st.DataObject, type_: pa.DataType, cuts: list[int]) -> None:
    values = data.draw(st.lists(values_of(type_), max_size=12))
    whole = pa.array(values, type_)
    ends = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    chunks = [whole[start:end] for start, end in pairwise(ends)]
    expected = batch_digest(pa.table({"c": whole}))
    assert batch_digest(pa.table({"c": pa.chunked_array(chunks, type_)})) == expected
    shifted = pa.concat_arrays([whole, whole])[len(whole) :]
    assert batch_digest(pa.table({"c": shifted})) == expected


@given(st.data(), types())
def test_values_count(data: st.DataObject, type_: pa.DataType) -> None:
    first, second = (data.draw(st.lists(values_of(type_), max_size=4)) for _ in range(2))
    one_array, other = pa.array(first, type_), pa.array(second, type_)
    same = batch_digest(pa.table({"c": one_array})) == batch_digest(pa.table({"c": other}))
    assert same == (repr(one_array.to_pylist()) == repr(other.to_pylist()))  # repr tells -0.0 apart


@pytest.mark.parametrize(
    "variant",
    [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())],
    ids=str,
)
def test_variants_of_text_do_not_count(variant: pa.DataType) -> None:
    plain = one(["a", "b", None, "a"])
    other = plain.cast(pa.schema([("c", variant)]))
    assert batch_digest(other) == batch_digest(plain)


def test_what_lies_under_a_null_does_not_count() -> None:
    hidden = pa.Array.from_buffers(
        pa.int64(), 2, [pa.py_buffer(b"\1"), pa.py_buffer(bytes(range(16)))]
    )
    shown = pa.array([hidden[0].as_py(), None])
    assert batch_digest(pa.table({"c": hidden})) == batch_digest(pa.table({"c": shown}))


def test_floats_count_by_their_bits() -> None:
    def bits(pattern: int) -> pa.Table:
        return one([struct.unpack("<d", struct.pack("<Q", pattern))[0]])

    nan, other_nan = bits(0x7FF8_0000_0000_0000), bits(0x7FF8_0000_0000_0001)
    digests = [batch_digest(table) for table in (one([0.0]), one([-0.0]), nan, other_nan)]
    assert len(set(digests)) == 4
    assert batch_digest(nan) == digests[2]


def test_names_types_and_order_count() -> None:
    table = pa.table({"a": pa.array([1], pa.int8()), "b": pa.array([1], pa.int8())})
    tables = [
        table,
        table.rename_columns(["a", "c"]),
        table.select(["b", "a"]),
        table.cast(pa.schema([("a", pa.int8()), ("b", pa.int16())])),
        table.slice(0, 0),
        table.select(["a"]),
    ]
    assert len({batch_digest(found) for found in tables}) == len(tables)


def test_neighbours_do_not_run_together() -> None:
    tables = [one(["ab", "c"]), one(["a", "bc"]), one([None, "a"]), one(["a", None])]
    lists: list[list[Any]] = [
        [["a"], []],
        [[], ["a"]],
        [[None], []],
        [[], [None]],
        [None, []],
        [[], None],
    ]
    tables += [one(values, pa.list_(pa.string())) for values in lists]
    assert len({batch_digest(table) for table in tables}) == len(tables)


def test_frames_have_the_digest_of_their_rows() -> None:
    table = pa.table({"a": pa.array([1, 2], pa.int64()), "b": ["x", "y"]})
    for frame in (table, table.to_pandas(), pl.from_arrow(table)):
        assert digest_frame(frame) == (2, batch_digest(table))
    assert digest_frame(pd.DataFrame({"a": np.array([7], np.uint8)})) == digest_frame(one_int(7))
    for other in (7, pd.DataFrame({"a": [2**63]}), pd.DataFrame({"a": [1, "x"]})):
        with pytest.raises(InvalidError):
            digest_frame(other)


def one_int(value: int) -> pa.Table:
    return pa.table({"a": pa.array([value], pa.int64())})


def test_other_types_have_no_digest() -> None:
    with pytest.raises(InvalidError):
        batch_digest(one([1], pa.uint8()))
