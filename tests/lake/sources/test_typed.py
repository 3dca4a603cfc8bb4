from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import types as kind

from backstory.lake.contract import Contract
from backstory.lake.errors import (
    BatchRejectedError,
    InvalidError,
    LimitExceededError,
    NotFoundError,
    Rejection,
    UnavailableError,
)
from backstory.lake.sources import batches
from backstory.lake.sources.typed import arrow_parts, conform, parquet_parts
from backstory.lake.types import parse_type, type_text
from tests.lake.contracts import SCALARS, contract_of, types
from tests.lake.values import values_of

UTC_US = pa.timestamp("us", tz="UTC")


def read_parquet(path: Path, contract: Contract, *, what: str = "input") -> pa.Table:
    return batches.whole(parquet_parts(path, contract, what=what), what)


def read_arrow(path: Path, contract: Contract, *, what: str = "input") -> pa.Table:
    return batches.whole(arrow_parts(path, contract, what=what), what)


def rejected(data: Any, contract: Contract) -> tuple[Rejection, ...]:
    with pytest.raises(BatchRejectedError) as refused:
        conform(data, contract)
    return refused.value.rejections


@given(st.data(), types())
def test_what_fits_comes_back(data: st.DataObject, type_: pa.DataType) -> None:
    values = data.draw(st.lists(values_of(type_), max_size=5))
    table = pa.table({"a": pa.array(values, type_)})
    assert conform(table, contract_of(a=type_text(type_))).equals(table)


WIDENED: list[tuple[pa.DataType, str, list[Any]]] = [
    (pa.int8(), "int16", [1, None, -128]),
    (pa.int8(), "int64", [1, None, -128]),
    (pa.int32(), "int64", [2**31 - 1]),
    (pa.float32(), "float64", [0.5, None, float("inf")]),
    (pa.large_string(), "string", ["a", None, ""]),
    (pa.string_view(), "string", ["a", None, ""]),
    (pa.dictionary(pa.int8(), pa.string()), "string", ["a", None, "a"]),
    (pa.dictionary(pa.int32(), pa.large_string()), "string", ["a", None, "a"]),
    (pa.dictionary(pa.int8(), pa.int8()), "int64", [1, None]),
    (pa.large_binary(), "binary", [b"a", None]),
    (pa.binary_view(), "binary", [b"a", None]),
    (pa.binary(2), "binary", [b"ab", None]),
    (pa.timestamp("s", tz="UTC"), "timestamp", [datetime(2026, 11, 24, tzinfo=UTC), None]),
    (pa.timestamp("ms", tz="+00:00"), "timestamp", [datetime(2026, 11, 24, tzinfo=UTC)]),
    (pa.timestamp("ns", tz="UTC"), "timestamp", [datetime(2026, 11, 24, 0, 0, 0, 7, tzinfo=UTC)]),
    (pa.null(), "int64", [None]),
    (pa.null(), "struct<a: int8>", [None]),
    (pa.large_list(pa.int8()), "list<int64>", [[1, None], None]),
    (pa.list_(pa.string_view(), 2), "list<string>", [["a", None], None]),
    (pa.list_(pa.null()), "list<string>", [[None], []]),
    (pa.struct([("a", pa.int8())]), "struct<a: int64>", [{"a": 1}, None]),
    (parse_type("struct<b: int8, a: string>"), "struct<a: string, b: int64>", [{"a": "x", "b": 1}]),
    (pa.map_(pa.large_string(), pa.int8()), "map<string,int64>", [[("k", 1)], None]),
]


@pytest.mark.parametrize(("found", "wanted", "values"), WIDENED, ids=str)
def test_widenings(found: pa.DataType, wanted: str, values: list[Any]) -> None:
    table = pa.table({"a": pa.array(values, found)})
    taken = conform(table, contract_of(a=wanted))
    assert taken.schema.types == [parse_type(wanted)]
    assert taken["a"].to_pylist() == table["a"].to_pylist()


@given(st.data(), types(), st.integers(0, 3), st.integers(0, 3))
def test_variants_widen_whole_and_in_pieces(
    data: st.DataObject, type_: pa.DataType, start: int, length: int
) -> None:
    values = data.draw(st.lists(values_of(type_), max_size=6))
    other = pa.array(values, _variant(type_))
    pieces = pa.chunked_array([other.slice(start, length), other], _variant(type_))
    taken = conform(pa.table({"a": pieces}), contract_of(a=type_text(type_)))
    assert taken["a"].to_pylist() == pieces.to_pylist()


def _variant(type_: pa.DataType) -> pa.DataType:
    if kind.is_list(type_):
        return pa.large_list(_variant(type_.value_type))
    if kind.is_map(type_):
        return pa.map_(type_.key_type, _variant(type_.item_type))
    if kind.is_struct(type_):
        return pa.struct([(field.name, _variant(field.type)) for field in type_])
    return {pa.string(): pa.large_string(), pa.binary(): pa.binary_view()}.get(type_, type_)


def test_decimals_widen() -> None:
    for found in (pa.decimal128(3, 1), pa.decimal32(3, 1), pa.decimal256(3, 1)):
        table = pa.table({"a": pa.array(["9.9", None]).cast(pa.decimal128(3, 1)).cast(found)})
        taken = conform(table, contract_of(a="decimal(9,4)"))
        assert [str(value) for value in taken["a"].to_pylist()] == ["9.9000", "None"]


NARROWED: list[tuple[pa.DataType, str]] = [
    (pa.int64(), "int32"),
    (pa.int64(), "float64"),
    (pa.int8(), "bool"),
    (pa.bool_(), "int8"),
    (pa.uint8(), "int64"),
    (pa.float64(), "float32"),
    (pa.float64(), "int64"),
    (pa.float16(), "float64"),
    (pa.int64(), "string"),
    (pa.string(), "int64"),
    (pa.string(), "binary"),
    (pa.binary(), "string"),
    (pa.string(), "timestamp"),
    (pa.int64(), "timestamp"),
    (pa.timestamp("us"), "timestamp"),
    (pa.timestamp("ns"), "timestamp"),
    (pa.timestamp("us", tz="Europe/Berlin"), "timestamp"),
    (pa.date32(), "timestamp"),
    (pa.timestamp("us", tz="UTC"), "date"),
    (pa.date64(), "date"),
    (pa.int32(), "date"),
    (pa.decimal128(10, 4), "decimal(9,4)"),
    (pa.decimal128(9, 2), "decimal(9,4)"),
    (pa.decimal128(9, 5), "decimal(9,4)"),
    (pa.int64(), "decimal(38,0)"),
    (pa.float64(), "decimal(9,4)"),
    (pa.dictionary(pa.int8(), pa.int64()), "string"),
    (pa.list_(pa.int64()), "list<int32>"),
    (pa.string(), "list<string>"),
    (pa.list_(pa.string()), "string"),
    (pa.struct([("a", pa.int8())]), "struct<b: int8>"),
    (pa.struct([("a", pa.int8()), ("b", pa.int8())]), "struct<a: int8>"),
    (pa.struct([("a", pa.int8())]), "struct<a: int8, b: int8>"),
    (pa.struct([("a", pa.int8()), ("a", pa.int8())]), "struct<a: int8, b: int8>"),
    (pa.struct([("A", pa.int8())]), "struct<a: int8>"),
    (pa.map_(pa.string(), pa.int8()), "struct<a: int8>"),
    (pa.struct([("a", pa.int8())]), "map<string,int8>"),
    (pa.list_view(pa.int8()), "list<int8>"),
    (pa.large_list_view(pa.int8()), "list<int8>"),
    (pa.time64("us"), "int64"),
    (pa.duration("us"), "int64"),
]


@pytest.mark.parametrize(("found", "wanted"), NARROWED, ids=str)
def test_other_types_are_refused(found: pa.DataType, wanted: str) -> None:
    (rejection,) = rejected(pa.schema([("a", found)]).empty_table(), contract_of(a=wanted))
    assert (rejection.row, rejection.column) == (None, "a")
    assert rejection.expected == f"type {wanted}"
    assert rejection.found.startswith("type ")


@given(st.sampled_from(SCALARS), st.sampled_from(SCALARS), st.data())
def test_no_value_changes_on_its_way(found: str, wanted: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(values_of(parse_type(found)), min_size=1, max_size=4))
    table = pa.table({"a": pa.array(values, parse_type(found))})
    try:
        taken = conform(table, contract_of(a=wanted))
    except BatchRejectedError:
        return
    assert taken["a"].to_pylist() == table["a"].to_pylist()


def test_values_that_would_lose_something_are_named() -> None:
    nanoseconds = pa.array([1000, None, 1500, 2001]).cast(pa.timestamp("ns", tz="UTC"))
    first, second = rejected(pa.table({"a": nanoseconds}), contract_of(a="timestamp"))
    assert (first.row, first.expected) == (3, "timestamp without loss")
    assert first.found == "'1970-01-01 00:00:00.000001500Z'"
    assert second.row == 4
    seconds = pa.array([0, 2**60]).cast(pa.timestamp("s", tz="UTC"))
    (overflow,) = rejected(pa.table({"a": seconds}), contract_of(a="timestamp"))
    assert overflow.row == 2


LAST = 253_402_300_800_000_000  # 10000-01-01 in microseconds
FIRST = -62_135_596_800_000_000  # 0001-01-01
DAYS = pa.array([-719_163, -719_162, 2_932_896, 2_932_897], pa.int32())


@pytest.mark.parametrize(
    ("wanted", "good", "bad"),
    [
        ("timestamp", pa.array([FIRST, LAST - 1]), pa.array([FIRST - 1, LAST])),
        (
            "date",
            pa.array([-719_162, 2_932_896], pa.int32()),
            pa.array([-719_163, 2_932_897], pa.int32()),
        ),
    ],
)
def test_times_lie_in_the_years_1_to_9999(wanted: str, good: pa.Array, bad: pa.Array) -> None:
    type_ = parse_type(wanted)
    assert conform(pa.table({"a": good.view(type_)}), contract_of(a=wanted)).num_rows == 2
    rejections = rejected(pa.table({"a": bad.view(type_)}), contract_of(a=wanted))
    assert [r.row for r in rejections] == [1, 2]
    assert {r.expected for r in rejections} == {"a time in the years 1 to 9999"}


def test_times_within_parts_are_looked_at_too() -> None:
    late = pa.array([0, LAST, 0]).view(UTC_US)
    nested = {
        "list<timestamp>": pa.ListArray.from_arrays([0, 1, 2, 3], late),
        "map<string,timestamp>": pa.MapArray.from_arrays([0, 1, 2, 3], ["a", "b", "c"], late),
        "struct<at: timestamp>": pa.StructArray.from_arrays([late], ["at"]),
    }
    for wanted, values in nested.items():
        (rejection,) = rejected(pa.table({"a": values}), contract_of(a=wanted))
        assert rejection.row == 2


def test_what_lies_under_a_null_is_not_looked_at() -> None:
    late = pa.Array.from_buffers(UTC_US, 1, [pa.py_buffer(b"\0"), pa.array([LAST]).buffers()[1]])
    assert conform(pa.table({"a": late}), contract_of(a="timestamp"))["a"].to_pylist() == [None]


def test_columns_are_found_by_name() -> None:
    table = pa.table({"b": ["x"], "a": pa.array([1], pa.int64())})
    assert conform(table, contract_of(a="int64", b="string")).column_names == ["a", "b"]


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["a"], "column b: expected the contract's column, found no such column"),
        (["a", "b", "bb"], "found column 'bb'"),
        (["a", "b", "_source"], "found column '_source'"),
        (["a", "b", "a"], "column a: expected each column once, found it 2 times"),
        (["A", "b"], "column a: expected the contract's column"),
        ([], "column a: expected the contract's column"),
    ],
)
def test_columns_are_all_there_and_no_others(names: list[str], problem: str) -> None:
    table = pa.Table.from_arrays([pa.array([1])] * len(names), names=names)
    rejections = rejected(table, contract_of(a="int64", b="int64"))
    assert any(problem in str(rejection) for rejection in rejections)


def test_damaged_memory_is_refused() -> None:
    backwards = pa.array([0, 9, 3], pa.int32()).buffers()[1]
    forwards = pa.array([0, 1, 3], pa.int32()).buffers()[1]
    broken = pa.Array.from_buffers(pa.string(), 2, [None, backwards, pa.py_buffer(b"abc")])
    no_text = pa.Array.from_buffers(pa.string(), 2, [None, forwards, pa.py_buffer(b"\xff" * 3)])
    for values in (broken, no_text):
        with pytest.raises(InvalidError, match="the Arrow data is damaged"):
            conform(pa.table({"a": values}), contract_of(a="string"))


def test_every_kind_of_data() -> None:
    contract = contract_of(a="int64", b="string")
    table = pa.table({"a": pa.array([1, 2], pa.int64()), "b": ["x", None]})
    for data in (
        table,
        table.to_batches()[0],
        table.to_reader(),
        table.to_pandas(),
        pl.from_arrow(table),
    ):
        assert conform(data, contract).equals(table)


@pytest.mark.parametrize("data", [None, 7, "rows", {"a": [1]}, object(), iter(())])
def test_other_data_is_refused(data: object) -> None:
    with pytest.raises(InvalidError, match="cannot be taken from"):
        conform(data, contract_of(a="int64"))


def test_frames() -> None:
    contract = contract_of(
        n="int64", s="string", at="timestamp", x="float64", c="string", p="decimal(9,4)"
    )
    frame = pd.DataFrame(
        {
            "n": pd.array([1, None], dtype="Int64"),
            "s": ["x", None],
            "at": pd.to_datetime(pd.Series(["2026-11-24T09:41Z", None]), utc=True),
            "x": [0.5, None],
            "c": pd.Categorical(["u", None]),
            "p": [pa.scalar("1.5").cast(pa.decimal128(3, 1)).as_py(), None],
        }
    )
    first, second = conform(frame, contract).to_pylist()
    assert (first["n"], first["s"], first["x"], first["c"]) == (1, "x", 0.5, "u")
    assert first["at"] == datetime(2026, 11, 24, 9, 41, tzinfo=UTC)
    assert str(first["p"]) == "1.5000"
    assert set(second.values()) == {None}


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        (pd.DataFrame({"a": [1.0, None]}), "column a: expected type int64, found type float64"),
        (pd.DataFrame({"a": [1, "alice@example.com"]}), "column a: expected values of one type"),
        (pd.DataFrame({"a": [2**70]}), "column a: expected"),
        (pd.DataFrame({"a": ["1"]}), "column a: expected type int64"),
        (
            pd.DataFrame({"a": [1]}, index=pd.Index([7], name="id")),
            "found an index; call reset_index()",
        ),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "column a: expected each column once"),
        (pd.DataFrame({0: [1]}), "found column '0'"),
        (pd.DataFrame({"a": pd.to_datetime(["2026-11-24"])}), "column a: expected type int64"),
    ],
)
def test_frames_that_are_refused(frame: pd.DataFrame, problem: str) -> None:
    rejections = rejected(frame, contract_of(a="int64"))
    assert any(problem in str(rejection) for rejection in rejections)
    assert "alice" not in repr(rejections)


def write_parquet(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path)


def write_arrow(table: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def write_stream(table: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)


READERS = [(read_parquet, write_parquet), (read_arrow, write_arrow), (read_arrow, write_stream)]
each_format = pytest.mark.parametrize(
    ("read", "write"), READERS, ids=["parquet", "arrow file", "arrow stream"]
)


@each_format
def test_files(tmp_path: Path, read: Any, write: Any) -> None:
    table = pa.table({"a": pa.array(range(50_000), pa.int32()), "b": ["x", None] * 25_000})
    write(table, tmp_path / "f")
    taken = read(tmp_path / "f", contract_of(a="int64", b="string"))
    assert taken.equals(table.cast(pa.schema([("a", pa.int64()), ("b", pa.string())])))
    with pytest.raises(BatchRejectedError, match="expected type int8"):
        read(tmp_path / "f", contract_of(a="int8", b="string"))


@each_format
def test_an_empty_file_has_no_rows(tmp_path: Path, read: Any, write: Any) -> None:
    write(pa.table({"a": pa.array([], pa.int64())}), tmp_path / "f")
    assert read(tmp_path / "f", contract_of(a="int64")).num_rows == 0


@each_format
def test_files_that_cannot_be_read(tmp_path: Path, read: Any, write: Any) -> None:
    contract, path = contract_of(a="int64"), tmp_path / "f"
    with pytest.raises(NotFoundError, match="no such file"):
        read(path, contract, what="rows.x")
    write(pa.table({"a": range(10)}), path)
    whole, problems = path.read_bytes(), []
    for damaged in (b"", b"hello", whole[: len(whole) // 2], whole[:-1] + b"?"):
        path.write_bytes(damaged)
        try:
            taken = read(path, contract, what="rows.x")
        except InvalidError as error:
            problems.append(error.message)
        else:  # the last byte of an Arrow stream is not needed to read it
            assert taken["a"].to_pylist() == list(range(10))
    assert len(problems) >= 3
    assert all("rows.x" in problem for problem in problems)
    with pytest.raises((UnavailableError, InvalidError), match="cannot read"):
        read(tmp_path, contract)


@each_format
def test_names_that_are_no_text(tmp_path: Path, read: Any, write: Any) -> None:
    write(pa.table({"name": range(10), "b": [{"part": 1}] * 10}), tmp_path / "f")
    whole = (tmp_path / "f").read_bytes()
    for name in (b"name", b"part"):
        (tmp_path / "f").write_bytes(whole.replace(name, b"\xff" * 4))
        with pytest.raises(InvalidError, match="it is damaged"):
            read(tmp_path / "f", contract_of(a="int64"))


@pytest.fixture
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MAX_BATCH_ROWS", 10)
    monkeypatch.setattr(batches, "MAX_BATCH_BYTES", 200)


def test_bounds(tmp_path: Path, small_bounds: None) -> None:
    contract = contract_of(a="int64")
    many = pa.table({"a": range(11)})
    write_parquet(many, tmp_path / "f")
    wide = pa.table({"a": ["x" * 300]})
    for data in (many, many.to_reader(), wide):
        with pytest.raises(LimitExceededError, match="at most 10 rows and 200 bytes"):
            conform(data, contract)
    with pytest.raises(LimitExceededError, match="a batch has at most 10 rows") as refused:
        read_parquet(tmp_path / "f", contract, what="rows.parquet")
    assert refused.value.hint == "send it in parts"
