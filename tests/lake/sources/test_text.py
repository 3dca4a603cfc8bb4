import csv
import gzip
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstory.lake.contract import Contract
from backstory.lake.errors import BatchRejectedError, InvalidError, LimitExceededError, Rejection
from backstory.lake.sources import batches
from backstory.lake.sources.objects import read_objects
from backstory.lake.sources.rejections import MAX_REJECTIONS
from backstory.lake.sources.text import read_csv, read_jsonl
from backstory.lake.types import type_text
from tests.lake.contracts import SCALARS, column, contract_of, subject, types
from tests.lake.values import as_cell, as_json, values_of


def jsonl(*lines: str | bytes) -> io.BytesIO:
    return io.BytesIO(b"\n".join(x if isinstance(x, bytes) else x.encode() for x in lines))


def rejected(read: Any, text: bytes | str, contract: Contract) -> tuple[Rejection, ...]:
    source = io.BytesIO(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BatchRejectedError) as refused:
        read(source, contract)
    return refused.value.rejections


@given(st.data(), st.dictionaries(st.sampled_from("abc"), types(), min_size=1))
def test_jsonl_round_trip(data: st.DataObject, named: dict[str, pa.DataType]) -> None:
    contract = contract_of(**{name: type_text(type_) for name, type_ in named.items()})
    three = {n: st.lists(values_of(t), min_size=3, max_size=3) for n, t in named.items()}
    columns = data.draw(st.fixed_dictionaries(three))
    rows = [{n: as_json(columns[n][row], t) for n, t in named.items()} for row in range(3)]
    found = read_jsonl(jsonl(*map(json.dumps, rows)), contract)
    assert found.equals(pa.table(columns, schema=contract.schema))


def _shows_in_csv(value: Any) -> bool:
    return value not in ("", b"")


@given(st.data(), st.dictionaries(st.sampled_from("abc"), st.sampled_from(SCALARS), min_size=1))
def test_csv_round_trip(data: st.DataObject, named: dict[str, str]) -> None:
    contract = contract_of(**named)
    cells = (
        values_of(c.type).filter(lambda value: value not in ("", b"")) for c in contract.columns
    )
    rows = data.draw(st.lists(st.tuples(*cells)))
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(named)
    for row in rows:
        writer.writerow(as_cell(v, c.type) for v, c in zip(row, contract.columns, strict=True))
    found = read_csv(io.BytesIO(text.getvalue().encode()), contract)
    columns = [pa.array([row[n] for row in rows], c.type) for n, c in enumerate(contract.columns)]
    assert found.equals(pa.Table.from_arrays(columns, schema=contract.schema))


TAKEN: dict[str, tuple[str, str, Any]] = {
    "a whole float": ("float64", "7", 7.0),
    "a large exact float": ("float64", "1000000000000000000", 1e18),
    "a float with exponent": ("float64", "1E-7", 1e-7),
    "a negative zero": ("float64", "-0.0", -0.0),
    "the least float": ("float64", "5e-324", 5e-324),
    "a short float32": ("float32", "0.1", pa.scalar(0.1, pa.float32()).as_py()),
    "a long exact float32": (
        "float32",
        "0.10000000149011612",
        pa.scalar(0.1, pa.float32()).as_py(),
    ),
    "least int8": ("int8", "-128", -128),
    "most int64": ("int64", "9223372036854775807", 2**63 - 1),
    "a decimal number": ("decimal(9,4)", "1.1000", Decimal("1.1000")),
    "a decimal with exponent": ("decimal(9,4)", "12e2", Decimal("1200.0000")),
    "38 digits": ("decimal(38,0)", "9" * 38, Decimal("9" * 38)),
}


@pytest.mark.parametrize(("type_", "written", "value"), TAKEN.values(), ids=TAKEN)
def test_numbers_that_are_taken(type_: str, written: str, value: Any) -> None:
    contract = contract_of(a=type_)
    for found in (
        read_jsonl(jsonl(f'{{"a": {written}}}'), contract),
        read_csv(jsonl("a", written), contract),
    ):
        assert repr(found["a"][0].as_py()) == repr(value)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("2026-11-24T09:41:00Z", "2026-11-24 09:41:00.000000Z"),
        ("2026-11-24 09:41:00.5+00:00", "2026-11-24 09:41:00.500000Z"),
        ("2026-11-24T09:41:00.123456-05:30", "2026-11-24 15:11:00.123456Z"),
        ("2026-11-24T09:41:00.123456000Z", "2026-11-24 09:41:00.123456Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01 00:00:00.000000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31 23:59:59.999999Z"),
    ],
)
def test_instants_that_are_taken(written: str, value: str) -> None:
    contract = contract_of(at="timestamp")
    for found in (
        read_jsonl(jsonl(json.dumps({"at": written})), contract),
        read_csv(jsonl("at", written), contract),
    ):
        assert found["at"].cast(pa.string())[0].as_py() == value


# What stands there in JSON, the type that refuses it, and what is said to be found.
REFUSED_JSON: dict[str, tuple[str, str, str]] = {
    "a fraction": ("1.7", "int64", "1.7"),
    "a whole fraction": ("1.0", "int64", "1.0"),
    "an exponent": ("1e3", "int64", "1000.0"),
    "beyond int64": ("9223372036854775808", "int64", "9223372036854775808"),
    "far beyond int64": ("1" + "0" * 60, "int64", "a whole number of 200 bits"),
    "beyond int8": ("128", "int8", "128"),
    "a truth value for a number": ("true", "int64", "true"),
    "text for a number": ('"42"', "int64", "'42'"),
    "a number for text": ("42", "string", "42"),
    "a number for a truth value": ("1", "bool", "1"),
    "text for a truth value": ('"true"', "bool", "'true'"),
    "text for a float": ('"1.5"', "float64", "'1.5'"),
    "a whole number no double": ("9007199254740993", "float64", "9007199254740993"),
    "a number beyond doubles": ("1e400", "float64", "1E+400"),
    "a number below doubles": ("1e-400", "float64", "1E-400"),
    "too long for float32": ("0.123456789", "float32", "0.123456789"),
    "beyond float32": ("1e39", "float32", "1e+39"),
    "a decimal that would be rounded": ("1.00001", "decimal(9,4)", "1.00001"),
    "a decimal with too many digits": ("123456", "decimal(9,4)", "123456"),
    "41 digits": ("9" * 41, "decimal(38,0)", "9" * 40 + "…"),
    "a huge exponent": ("1e999999", "decimal(38,0)", "1E+999999"),
    "decimal text": ('"1,5"', "decimal(9,4)", "'1,5'"),
    "a naive instant": ('"2026-11-24T09:41:00"', "timestamp", "'2026-11-24T09:41:00'"),
    "nanoseconds": ('"2026-11-24T09:41:00.0000001Z"', "timestamp", "'2026-11-24T09:41:00.0000001Z'"),  # noqa: E501 - one case, one line
    "a leap second": ('"2016-12-31T23:59:60Z"', "timestamp", "'2016-12-31T23:59:60Z'"),
    "no such day": ('"2026-02-30T00:00:00Z"', "timestamp", "'2026-02-30T00:00:00Z'"),
    "seconds since 1970": ("1795000000", "timestamp", "1795000000"),
    "an hour 24": ('"2026-11-24T24:00:00Z"', "timestamp", "'2026-11-24T24:00:00Z'"),
    "a short instant": ('"2026-11-24T09:41Z"', "timestamp", "'2026-11-24T09:41Z'"),
    "a date with time": ('"2026-11-24T00:00:00Z"', "date", "'2026-11-24T00:00:00Z'"),
    "a short date": ('"2026-1-1"', "date", "'2026-1-1'"),
    "no base64": ('"a"', "binary", "'a'"),
    "base64 without padding": ('"QQ"', "binary", "'QQ'"),
    "base64 with stray bits": ('"QR=="', "binary", "'QR=='"),
    "base64 for the web": ('"_-__"', "binary", "'_-__'"),
    "half a character": ('"\\ud800"', "string", "a text that is no valid UTF-8"),
    "an object for text": ('{"a": 1}', "string", "an object of 1 fields"),
    "text for a list": ('"a"', "list<string>", "'a'"),
    "a number in a list": ('["a", 2]', "list<string>", "2"),
    "a fraction deep below": ("[[1], [2, 2.5]]", "list<list<int8>>", "2.5"),
    "an unknown part": ('{"b": 1}', "struct<a: int8>", "an object of 1 fields"),
    "a wrong part": ('{"a": "x"}', "struct<a: int8>", "'x'"),
    "a list for an object": ("[]", "struct<a: int8>", "a list of 0"),
    "a list for a map": ("[]", "map<string,int8>", "a list of 0"),
    "a wrong item": ('{"k": 300}', "map<string,int8>", "300"),
    "a key twice in pairs": ("[[1, 2], [1, 3]]", "map<int8,int8>", "a list of 2"),
    "a null key": ("[[null, 2]]", "map<int8,int8>", "a list of 1"),
    "a pair of three": ("[[1, 2, 3]]", "map<int8,int8>", "a list of 1"),
}  # fmt: skip


@pytest.mark.parametrize(("written", "type_", "found"), REFUSED_JSON.values(), ids=REFUSED_JSON)
def test_json_values_that_are_refused(written: str, type_: str, found: str) -> None:
    text = f'{{"a": null}}\n{{"a": {written}}}\n{{"a": null}}'
    (rejection,) = rejected(read_jsonl, text, contract_of(a=type_))
    assert (rejection.row, rejection.column, rejection.found) == (2, "a", found)
    assert rejection.expected


REFUSED_LINES: dict[str, tuple[str | bytes, str]] = {
    "broken": ('{"a": ', "expecting value at character 6"),
    "two objects": ('{"a": 1} {"a": 2}', "extra data at character 9"),
    "NaN": ('{"a": NaN}', "NaN, which is no JSON"),
    "Infinity": ('{"a": -Infinity}', "-Infinity, which is no JSON"),
    "a field twice": ('{"a": 1, "a": 1}', "the key 'a' stands there twice"),
    "a list": ("[1]", "a list of 1"),
    "a scalar": ("7", "a number"),
    "null": ("null", "null"),
    "another field": ('{"a": 1, "b": 2}', "field 'b' (known are a)"),
    "a leading zero": ('{"a": 07}', "expecting ',' delimiter at character 8"),
    "a comment": ('{"a": 1} // one', "extra data at character 9"),
    "deep nesting": ('{"a": ' + "[" * 100_000, "deeper nesting than can be read"),
    "a number of 5000 digits": (f'{{"a": {"9" * 5000}}}', "a number that is too long"),
    "no UTF-8 around": (b'{"a": \xff}', "expecting value at character 7"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "expecting value at character 1"),
    "an exponent beyond all": ('{"a": 1e99999999999999999999}', "a number that is too long"),
}


@pytest.mark.parametrize(("line", "found"), REFUSED_LINES.values(), ids=REFUSED_LINES)
def test_json_lines_that_are_refused(line: str | bytes, found: str) -> None:
    raw = line if isinstance(line, bytes) else line.encode()
    rejections = rejected(read_jsonl, b'{"a": 1}\n\n' + raw, contract_of(a="int64"))
    assert (rejections[0].row, rejections[0].found) == (3, found)


REFUSED_CSV: dict[str, tuple[str, str]] = {
    "a plus": ("+1", "int64"),
    "a space": (" 1", "int64"),
    "a leading zero": ("007", "int64"),
    "a separator": ("1_000", "int64"),
    "hexadecimal": ("0x1F", "int64"),
    "a fraction": ("1.0", "int64"),
    "other digits": ("\u0661", "int64"),
    "beyond int64": ("9223372036854775808", "int64"),
    "a comma": ("1,5", "float64"),
    "nan": ("nan", "float64"),
    "infinity": ("inf", "float64"),
    "a point first": (".5", "float64"),
    "no double": ("9007199254740993", "float64"),
    "beyond doubles": ("1e400", "float64"),
    "below doubles": ("0.1e-400", "float64"),
    "too long for float32": ("0.123456789", "float32"),
    "True": ("True", "bool"),
    "1": ("1", "bool"),
    "rounded": ("1.00001", "decimal(9,4)"),
    "41 digits": ("9" * 41, "decimal(38,0)"),
    "a huge exponent": ("1e9999", "decimal(38,0)"),
    "a naive instant": ("2026-11-24 09:41:00", "timestamp"),
    "a date in another order": ("24.11.2026", "date"),
    "no base64": ("abc", "binary"),
    "a line end after": ("2026-11-24\n", "date"),
}


@pytest.mark.parametrize(("cell", "type_"), REFUSED_CSV.values(), ids=REFUSED_CSV)
def test_csv_cells_that_are_refused(cell: str, type_: str) -> None:
    quoted = '"' + cell + '"'
    (rejection,) = rejected(read_csv, f"a,b\n,\n{quoted},x\n", contract_of(a=type_, b="string"))
    assert (rejection.row, rejection.column) == (2, "a")
    assert rejection.found in {repr(cell), f"{cell[:40]!r}…"}


REFUSED_FILES: dict[str, tuple[str | bytes, str]] = {
    "nothing": ("", "batch: expected a header with a, b, separated by ',', found none"),
    "no header": (
        "1,x\n2,y",
        "batch: expected a header with a, b, separated by ',', found 2 other cells",
    ),
    "a column missing": (
        "a\n1",
        "column b: expected the column in the header, found no",
    ),
    "another column": ("a,b,bb\n1,x,y", "found column 'bb' (did you mean b?)"),
    "an index by pandas": (",a,b\n0,1,x", "found a column without name at place 1"),
    "a column twice": ("a,b,a\n1,x,2", "column a: expected each column once, found it twice"),
    "too few cells": ("a,b\n1,x\n2\n", "row 2: expected 2 cells, found 1"),
    "too many cells": ("a,b\n1,x,\n", "row 1: expected 2 cells, found 3"),
    "an open quote": (
        'a,b\n1,"x\n',
        "row 1: expected CSV (RFC 4180), found unexpected end",
    ),
    "text after a quote": ('a,b\n1,"x"y\n', "row 1: expected CSV (RFC 4180), found ',' expected"),
    "a semicolon": ("a;b\n1;x", "separated by ',', found one separated by ';'"),
    "a tab": ("a\tb\n1\tx", "separated by ',', found one separated by '\\t'"),
    "a long cell": (f"a,b\n1,{'x' * 200_000}", "field larger than field limit"),
    "no UTF-8": (
        b"a,b\n1,caf\xe9\n",
        "row 1, column b: expected UTF-8 text, found a text that",
    ),
    "old line ends": ("a,b\r1,x\r", "new-line character seen in unquoted field"),
}


@pytest.mark.parametrize(("text", "problem"), REFUSED_FILES.values(), ids=REFUSED_FILES)
def test_csv_files_that_are_refused(text: str | bytes, problem: str) -> None:
    rejections = rejected(read_csv, text, contract_of(a="int64", b="string"))
    assert problem in str(rejections[0])


def test_csv_cannot_hold_parts() -> None:
    with pytest.raises(InvalidError, match="column b has parts"):
        read_csv(jsonl("a,b"), contract_of(a="int64", b="list<int64>"))


def test_an_empty_cell_is_null_unless_the_text_must_be_there() -> None:
    contract = contract_of(column("a"), column("b", nullable=False), column("c", "int64"))
    found = read_csv(jsonl("c,b,a", '"",,""', "1,x,y"), contract)
    assert found.to_pylist() == [{"a": None, "b": "", "c": None}, {"a": "y", "b": "x", "c": 1}]


def test_missing_fields_are_null() -> None:
    found = read_jsonl(jsonl("{}", '{"b": "x"}'), contract_of(a="int64", b="string"))
    assert found.to_pylist() == [{"a": None, "b": None}, {"a": None, "b": "x"}]


def test_no_rows_are_an_empty_table() -> None:
    contract = contract_of(a="int64", b="string")
    for found in (read_jsonl(jsonl(""), contract), read_csv(jsonl("a,b"), contract)):
        assert found.num_rows == 0
        assert found.schema == contract.schema


def test_byte_order_mark_line_ends_and_blank_lines() -> None:
    contract = contract_of(a="int64", b="string")
    rows = [{"a": 1, "b": "x\ny"}, {"a": 2, "b": None}]
    assert (
        read_csv(io.BytesIO(b'\xef\xbb\xbfa,b\r\n1,"x\ny"\r\n\r\n2,\r\n\r\n'), contract).to_pylist()
        == rows
    )
    lines = b'\xef\xbb\xbf{"a": 1, "b": "x\\ny"}\r\n\r\n \t{"a": 2}\r\n'
    assert read_jsonl(io.BytesIO(lines), contract).to_pylist() == rows


def test_gzip_is_seen_in_streams_and_files(tmp_path: Path) -> None:
    packed = gzip.compress(b'{"a": 1}\n') + gzip.compress(b'{"a": 2}\n')
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(packed)
    for source in (io.BytesIO(packed), path):
        assert read_jsonl(source, contract_of(a="int64"))["a"].to_pylist() == [1, 2]


def test_a_callers_stream_stays_open() -> None:
    source = jsonl('{"a": 1}')
    read_jsonl(source, contract_of(a="int64"))
    assert not source.closed


def test_many_faults_come_in_order_and_bounded() -> None:
    lines = [json.dumps({"a": "x" if n % 2 else n, "b": n}) for n in range(1000)]
    rejections = rejected(read_jsonl, "\n".join(lines), contract_of(a="int64", b="string"))
    assert len(rejections) == MAX_REJECTIONS
    assert [r.row for r in rejections] == sorted(r.row for r in rejections if r.row)


def test_reading_stops_where_enough_is_known() -> None:
    contract, endless = contract_of(a="int64", b="string"), "a,b\n" + "1\n" * 1000
    assert len(rejected(read_csv, endless, contract)) == MAX_REJECTIONS
    assert len(rejected(read_jsonl, "{\n" * 1000, contract)) == MAX_REJECTIONS
    with pytest.raises(BatchRejectedError) as refused:
        read_objects([7] * 1000, contract)  # type: ignore[list-item]  # what untyped callers do
    assert len(refused.value.rejections) == MAX_REJECTIONS


def test_all_columns_are_checked() -> None:
    text = '{"a": "x", "b": 1}\n{"a": 1, "b": "x"}\n{"c": 1}'
    rejections = rejected(read_jsonl, text, contract_of(a="int64", b="string"))
    assert [(r.row, r.column) for r in rejections] == [(1, "a"), (1, "b"), (3, None)]


def test_personal_values_are_never_shown() -> None:
    contract = contract_of(subject(), label="int64")
    secret = "alice@example.com"
    texts = [
        (read_jsonl, f'{{"user": ["{secret}"]}}'),
        (read_jsonl, f'{{"user": {{"{secret}": 1}}}}'),
        (read_jsonl, f'{{"user": "{secret}"'),
        (read_jsonl, f'"{secret}"'),
        (read_csv, f"{secret},1\n"),
        (read_csv, f'user,label\n"{secret}"x,1\n'),
        (read_csv, f"user,label\n{secret},1,2\n"),
        (read_csv, f"user,label\n{secret}\udce9,1\n"),
    ]
    for read, text in texts:
        raw = text.encode("utf-8", "surrogateescape")
        assert secret not in repr(rejected(read, raw, contract))


def test_a_chunk_is_not_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "CHUNK_ROWS", 7)
    lines = [json.dumps({"a": n}) for n in range(100)]
    assert read_jsonl(jsonl(*lines), contract_of(a="int64"))["a"].to_pylist() == list(range(100))
    (rejection,) = rejected(read_jsonl, "\n".join([*lines, '{"a": "x"}']), contract_of(a="int64"))
    assert rejection.row == 101


def test_a_batch_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MAX_BATCH_ROWS", 10)
    lines = ['{"a": 1}'] * 11
    assert read_jsonl(jsonl(*lines[:10]), contract_of(a="int64")).num_rows == 10
    with pytest.raises(LimitExceededError, match="at most 10 rows"):
        read_jsonl(jsonl(*lines), contract_of(a="int64"))
