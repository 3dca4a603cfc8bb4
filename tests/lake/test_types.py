import pyarrow as pa
import pytest
from deltalake import Schema
from hypothesis import given

from backstory.lake.errors import InvalidError
from backstory.lake.types import (
    MAX_NESTING,
    canonical,
    describe_type,
    field_names,
    leaf_types,
    parse_type,
    part_arrays,
    type_text,
)
from tests.lake.contracts import types


@given(types(max_leaves=12))
def test_text_and_type_determine_each_other(type_: pa.DataType) -> None:
    again = parse_type(type_text(type_))
    assert again == type_
    assert type_text(again) == type_text(type_)


@given(types())
def test_plain_types_are_their_own_plain_type(type_: pa.DataType) -> None:
    assert canonical(type_) == type_


@given(types())
def test_delta_holds_every_type(type_: pa.DataType) -> None:
    written = Schema.from_arrow(pa.schema([pa.field("c", type_)])).to_json()
    read = pa.schema(Schema.from_json(written).to_arrow())
    assert canonical(read.field("c").type) == type_


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("timestamp", pa.timestamp("us", tz="UTC")),
        ("timestamp_ntz", pa.timestamp("us")),
        ("date", pa.date32()),
        (" decimal( 9 , 4 ) ", pa.decimal128(9, 4)),
        ("list< list<int8>>", pa.list_(pa.list_(pa.int8()))),
        ("map<string,map<int64,date>>", pa.map_(pa.string(), pa.map_(pa.int64(), pa.date32()))),
        ('struct<a: int64, "b c": string>', pa.struct([("a", pa.int64()), ("b c", pa.string())])),
        ('struct<"a\\"<b": int64>', pa.struct([('a"<b', pa.int64())])),
        ("struct<int64: list<string>>", pa.struct([("int64", pa.list_(pa.string()))])),
    ],
)
def test_texts(text: str, type_: pa.DataType) -> None:
    assert parse_type(text) == type_


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "ends too early"),
        ("int46", "unknown word 'int46'"),
        ("int64 int64", "goes on with 'int64'"),
        ("list<int64", "ends too early"),
        ("list int64", "has 'int64' where '<' belongs"),
        ("map<string>", "has '>' where ',' belongs"),
        ("struct<>", "has '>' where a field's name belongs"),
        ("struct<a int64>", "has 'int64' where ':' belongs"),
        ("struct<a: int64; b: int64>", "characters that no type has"),
        ("struct<a: int64, a: string>", "the field 'a' twice"),
        ('struct<"\\x": int64>', "no JSON text"),
        ("struct<a: int64(", "where ',' or '>' belongs"),
        ("decimal", "ends too early"),
        ("decimal(39,0)", "1 <= P <= 38"),
        ("decimal(4,5)", "S <= P"),
        ("decimal(0,0)", "1 <= P"),
        ("decimal(-1,0)", "number of digits"),
        ("decimal(٣,0)", "number of digits"),
        ("list<" * (MAX_NESTING + 2), "nested deeper"),
        ("list<" * 100_000, "nested deeper"),
    ],
)
def test_other_texts_are_refused(text: str, problem: str) -> None:
    with pytest.raises(InvalidError) as refused:
        parse_type(text)
    assert problem in refused.value.message
    assert len(refused.value.message) < 200


def test_a_near_word_is_suggested() -> None:
    with pytest.raises(InvalidError) as refused:
        parse_type("list<integer64>")
    assert refused.value.hint == "did you mean int64?"


@pytest.mark.parametrize(
    ("variant", "plain"),
    [
        (pa.large_string(), "string"),
        (pa.string_view(), "string"),
        (pa.dictionary(pa.int8(), pa.large_string()), "string"),
        (pa.large_binary(), "binary"),
        (pa.binary_view(), "binary"),
        (pa.binary(16), "binary"),
        (pa.timestamp("us", tz="+00:00"), "timestamp"),
        (pa.timestamp("us", tz="Etc/UTC"), "timestamp"),
        (pa.decimal32(5, 2), "decimal(5,2)"),
        (pa.large_list(pa.string_view()), "list<string>"),
        (pa.list_(pa.int64(), 3), "list<int64>"),
        (pa.list_(pa.field("element", pa.int64(), nullable=False)), "list<int64>"),
        (pa.map_(pa.large_string(), pa.binary_view()), "map<string,binary>"),
        (pa.struct([pa.field("a", pa.large_string(), nullable=False)]), "struct<a: string>"),
    ],
    ids=str,
)
def test_variants_become_plain(variant: pa.DataType, plain: str) -> None:
    assert type_text(canonical(variant)) == plain


@pytest.mark.parametrize(
    ("type_", "advice"),
    [
        (pa.uint64(), "decimal(20,0)"),
        (pa.uint8(), "wider signed"),
        (pa.float16(), "float32"),
        (pa.time64("us"), "int64"),
        (pa.time32("s"), "int64"),
        (pa.duration("us"), "int64"),
        (pa.timestamp("ns", tz="UTC"), "microseconds in UTC"),
        (pa.timestamp("us", tz="Europe/Berlin"), "microseconds in UTC"),
        (pa.timestamp("ms"), "microseconds in UTC"),
        (pa.date64(), "use date"),
        (pa.list_view(pa.int8()), "use list<T>"),
        (pa.large_list_view(pa.int8()), "use list<T>"),
        (pa.decimal256(60, 2), "38 digits"),
        (pa.decimal128(5, -2), "none before the point"),
        (pa.null(), "use one of"),
        (pa.list_(pa.uint16()), "wider signed"),
        (pa.struct([]), "distinct fields"),
        (pa.struct([("a", pa.int8()), ("A", pa.int8())]), "distinct fields"),
        (pa.month_day_nano_interval(), "use one of"),
    ],
    ids=str,
)
def test_types_without_place_are_refused_with_advice(type_: pa.DataType, advice: str) -> None:
    with pytest.raises(InvalidError) as refused:
        canonical(type_)
    assert advice in refused.value.message


def test_depth_is_bounded() -> None:
    type_ = pa.int8()
    for _ in range(MAX_NESTING):
        type_ = pa.list_(type_)
    assert parse_type(type_text(type_)) == canonical(type_) == type_
    with pytest.raises(InvalidError, match="nested deeper"):
        canonical(pa.list_(type_))


def test_a_type_that_is_not_plain_has_no_text() -> None:
    with pytest.raises(InvalidError, match="not plain"):
        type_text(pa.large_string())
    assert describe_type(pa.large_string()) == "large_string"
    assert describe_type(pa.date32()) == "date"


def test_leaves_and_fields() -> None:
    type_ = parse_type("struct<a: list<int8>, b: map<string,struct<c: date>>>")
    assert [type_text(leaf) for leaf in leaf_types(type_)] == ["int8", "string", "date"]
    assert {"a", "b", "c"} <= set(field_names(type_))


def test_parts_of_a_slice_are_its_own() -> None:
    lists = pa.array([[1], [2, 3], [], [4]]).slice(1, 2)
    maps = pa.array([[("a", 1)], [("b", 2)]], pa.map_(pa.string(), pa.int8())).slice(1)
    structs = pa.array([{"a": 1}, {"a": 2}]).slice(1)
    assert [part.to_pylist() for part in part_arrays(lists)] == [[2, 3]]
    assert [part.to_pylist() for part in part_arrays(maps)] == [["b"], [2]]
    assert [part.to_pylist() for part in part_arrays(structs)] == [[2]]
    assert part_arrays(pa.array([1])) == []
