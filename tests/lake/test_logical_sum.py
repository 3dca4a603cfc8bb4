"""The logical sum of rows: the same for ever, for any order, chunks, files and wider types."""

import hashlib
import math
import struct
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstory.lake.errors import InvalidError
from backstory.lake.logical_sum import logical_sum, sum_of_file, total

AT = datetime(2026, 11, 24, 9, 41, 0, 5, UTC)
_DAYS = date(1970, 1, 1).toordinal()

ROWS = pa.table(
    {
        "b": pa.array([True, False, None]),
        "i": pa.array([1, None, -(2**63)], pa.int64()),
        "f": pa.array([math.nan, -0.0, 1.5], pa.float64()),
        "m": pa.array([Decimal("1.50"), Decimal(100), None], pa.decimal128(9, 2)),
        "s": pa.array(["ä", "", None]),
        "x": pa.array([b"\xff\x00", None, b""]),
        "d": pa.array([date(1969, 12, 31), None, date(2026, 11, 24)]),
        "t": pa.array([AT, None, AT], pa.timestamp("us", tz="UTC")),
        "l": pa.array([[1, None], None, []], pa.list_(pa.int64())),
        "k": pa.array([[("a", 1.5), ("b", None)], [], None], pa.map_(pa.string(), pa.float64())),
        "r": pa.array(
            [{"u": "x", "v": [True]}, {"u": None, "v": None}, None],
            pa.struct([("u", pa.string()), ("v", pa.list_(pa.bool_()))]),
        ),
    }
)


def md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def bytes_of(letter: str, value: Any, type_: pa.DataType) -> bytes:
    """A value by the module's own words, one at a time."""
    if letter == "t":
        return struct.pack(
            "<q", round((value - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1e6)
        )
    if letter == "d":
        return struct.pack("<q", value.toordinal() - _DAYS)
    if letter in "ib":
        return struct.pack("<q", value)
    if letter == "f":
        return struct.pack("<d", value)
    if letter == "l":
        content = b"".join(item(one, type_.value_type) for one in value)
    elif letter == "k":
        content = b"".join(item(k, type_.key_type) + item(v, type_.item_type) for k, v in value)
    elif letter == "r":
        content = fields({f.name: (value[f.name], f.type) for f in type_})
    elif letter == "m":
        text = f"{value:f}"
        content = (text.rstrip("0").rstrip(".") if "." in text else text).encode()
    else:
        content = value.encode() if isinstance(value, str) else value
    return struct.pack("<I", len(content)) + content


def item(value: Any, type_: pa.DataType) -> bytes:
    return b"\0" if value is None else b"\1" + bytes_of(letter_of(type_), value, type_)


def letter_of(type_: pa.DataType) -> str:
    return (
        {"int64": "i", "string": "s", "double": "f", "bool": "b"}[str(type_)]
        if not (pa.types.is_nested(type_))
        else "l"
    )


def fields(row: dict[str, tuple[Any, pa.DataType]]) -> bytes:
    found = b""
    for name in sorted(row, key=str.encode):
        value, type_ = row[name]
        if value is not None:
            letter = name if name in "bifmsxdtlkr" else letter_of(type_)
            found += md5(f"{name}{letter}".encode())[:8] + bytes_of(letter, value, type_)
    return found


def by_the_book(rows: pa.Table) -> str:
    """The sum computed row by row, from the words of the module alone."""
    found = 0
    for row in rows.to_pylist():
        typed = {f.name: (row[f.name], f.type) for f in rows.schema}
        found += int.from_bytes(md5(fields(typed)), "little")
    return f"{found % 2**128:032x}"


def test_is_what_it_was() -> None:
    assert logical_sum(ROWS) == "3fe3a7af78b16fdb58297d811a014636"
    assert logical_sum(pa.table({"a": pa.array([], pa.int64())})) == "0" * 32
    assert logical_sum(pa.table({"a": pa.array([None], pa.int64())})) == f"{EMPTY_ROW:032x}"


EMPTY_ROW = int.from_bytes(md5(b""), "little")


def test_is_what_the_words_say() -> None:
    assert logical_sum(ROWS) == by_the_book(ROWS)


def test_few_and_many_rows_are_summed_alike() -> None:
    many = pa.concat_tables([ROWS] * 700)
    assert logical_sum(many) == total([logical_sum(ROWS)] * 700)
    assert logical_sum(many.to_batches()) == logical_sum(many)


@given(st.permutations([0, 1, 2]), st.integers(0, 3))
def test_order_chunks_and_files_do_not_matter(order: list[int], cut: int) -> None:
    shuffled = ROWS.take(order).select(ROWS.column_names[::-1])
    parts = [shuffled.slice(0, cut), shuffled.slice(cut)]
    assert total(map(logical_sum, parts)) == logical_sum(ROWS)
    assert logical_sum(pa.concat_tables(parts)) == logical_sum(ROWS)


@given(st.lists(st.tuples(st.text(), st.text()), max_size=5))
def test_values_that_move_between_columns_or_rows_are_another_sum(
    pairs: list[tuple[str, str]],
) -> None:
    rows = pa.table({"a": [a for a, _ in pairs], "b": [b for _, b in pairs]}, schema=_TEXTS)
    swapped = pa.table({"a": rows["b"], "b": rows["a"]}, schema=_TEXTS)
    alike = sorted(pairs) == sorted((b, a) for a, b in pairs)
    assert (logical_sum(rows) == logical_sum(swapped)) is alike


_TEXTS = pa.schema([("a", pa.string()), ("b", pa.string())])


def test_a_new_column_and_wider_types_change_nothing() -> None:
    narrow = pa.table(
        {
            "i": pa.array([1, -2, None], pa.int16()),
            "f": pa.array([0.5, None, math.nan], pa.float32()),
            "m": pa.array([Decimal("1.5"), None, Decimal(-20)], pa.decimal128(5, 1)),
            "s": pa.array(["a", None, "a"], pa.dictionary(pa.int32(), pa.large_string())),
        }
    )
    wide = narrow.cast(
        pa.schema(
            [
                ("i", pa.int64()),
                ("f", pa.float64()),
                ("m", pa.decimal128(12, 4)),
                ("s", pa.string()),
            ]
        )
    ).append_column("new", pa.nulls(3, pa.list_(pa.int64())))
    assert logical_sum(wide) == logical_sum(narrow)


def test_one_changed_value_or_a_doubled_row_is_another_sum() -> None:
    sums = {
        logical_sum(ROWS),
        logical_sum(ROWS.slice(1)),
        logical_sum(pa.concat_tables([ROWS, ROWS.slice(2)])),
        logical_sum(ROWS.set_column(2, "f", pa.array([math.nan, 0.0, 1.5]))),
        logical_sum(ROWS.set_column(4, "s", pa.array(["ä", None, None]))),
        logical_sum(ROWS.rename_columns(["b", "j", *ROWS.column_names[2:]])),
    }
    assert len(sums) == 6


def test_a_type_that_no_table_has_is_refused() -> None:
    with pytest.raises(InvalidError):
        logical_sum(pa.table({"a": pa.array([1], pa.duration("s"))}))


def test_large_batches_are_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backstory.lake.logical_sum._BATCH_BYTES", 16)
    assert logical_sum(ROWS) == by_the_book(ROWS)


def test_a_file_has_the_sum_of_its_rows(tmp_path: Path) -> None:
    for number, rows in enumerate([ROWS, pa.concat_tables([ROWS] * 700)]):
        path = tmp_path / f"{number}.parquet"
        pq.write_table(rows, path)
        assert sum_of_file(path) == logical_sum(rows)
