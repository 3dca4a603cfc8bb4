import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstory.lake import inference
from backstory.lake.columns import PersonalData
from backstory.lake.contract import Contract
from backstory.lake.errors import InvalidError, LimitExceededError, NotFoundError
from backstory.lake.inference import Inferred, infer_file, infer_json_schema, infer_schema
from backstory.lake.seen_types import common, settled, type_of_value
from backstory.lake.sources.files import read_file
from backstory.lake.types import type_text
from tests.lake.thumbs import contract, rows

ROWS: list[dict[str, Any]] = [
    {"id": "a", "at": "2026-11-01T09:00:00Z", "user": "ada", "stars": 4, "day": "2026-11-01"},
    {"id": "b", "at": "2026-11-01T09:00:00+01:00", "stars": None, "tags": ["x"], "n": None},
    {"id": "c", "at": "2026-11-01T09:00:00Z", "stars": 4.5, "tags": [], "who": {"email": "e"}},
]


def from_file(path: Path, **more: Any) -> Inferred:
    return infer_file(path, name="thumbs/en", purpose="improve the ranker", **more)


def types_of(inferred: Inferred) -> dict[str, str]:
    return {column.name: type_text(column.type) for column in inferred.contract.columns}


def lines(path: Path, rows: list[Any]) -> Path:
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_json_lines(name: str, tmp_path: Path) -> None:
    path = lines(tmp_path / name, ROWS)
    inferred = from_file(path)
    assert types_of(inferred) == {
        "id": "string",
        "at": "timestamp",
        "user": "string",
        "stars": "float64",
        "day": "date",
        "tags": "list<string>",
        "n": "string",
        "who": "struct<email: string>",
    }
    assert [c.name for c in inferred.contract.columns if not c.nullable] == ["id", "at"]
    assert {c.name: c.role for c in inferred.contract.columns if c.role} == {
        "id": "event_id",
        "at": "event_time",
    }
    assert read_file(path, inferred.contract).num_rows == 3


def test_nothing_is_tagged_by_a_guess_and_every_guess_is_said(tmp_path: Path) -> None:
    inferred = from_file(lines(tmp_path / "a.jsonl", [*ROWS, {"user_email": "a@b.c"}]))
    assert all(c.personal is PersonalData.NONE for c in inferred.contract.columns)
    assert all(c.role != "subject" for c in inferred.contract.columns)
    text = inferred.to_yaml()
    assert "# user: is it a person? then say role: subject" in text
    assert "# user_email: is it about a person? then tag it" in text
    assert "# n: no value was seen" in text
    assert "# id: guessed from its name that it is the event_id" in text
    assert Contract.from_yaml(text) == inferred.contract


def test_rows_that_contradict_each_other_are_said(tmp_path: Path) -> None:
    inferred = from_file(lines(tmp_path / "a.jsonl", [{"a": 1}, {"a": "x"}, {"a": [2]}]))
    assert types_of(inferred) == {"a": "int64"}
    assert "a: row 2 has string: such rows will not fit" in inferred.guesses


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "\ufeffevent_id,ts,n,big,f,ok,note\n"
        "1,2026-11-01T09:00:00Z,1,9223372036854775808,1.5,true,\n"
        'x,2026-11-01T10:00:00Z,,1,2,false,"a,b"\n'
    )
    inferred = from_file(path)
    assert types_of(inferred) == {
        "event_id": "string",
        "ts": "timestamp",
        "n": "int64",
        "big": "decimal(38,0)",
        "f": "float64",
        "ok": "bool",
        "note": "string",
    }
    assert read_file(path, inferred.contract).num_rows == 2


def test_parquet_and_arrow_say_their_types(tmp_path: Path) -> None:
    table = rows(3)
    pq.write_table(table, tmp_path / "a.parquet")
    with (
        pa.OSFile(str(tmp_path / "a.arrow"), "wb") as file,
        pa.ipc.new_stream(file, table.schema) as stream,
    ):
        stream.write_table(table)
    for name in ("a.parquet", "a.arrow"):
        inferred = from_file(tmp_path / name)
        assert inferred.contract.schema == contract().schema
    assert infer_schema(table.schema, name="s", purpose="p").contract.schema == contract().schema


SCHEMA = {
    "$defs": {"stars": {"type": "integer", "description": "one to five"}},
    "type": "object",
    "required": ["event_id", "stars", "maybe"],
    "properties": {
        "event_id": {"type": "string", "minLength": 1},
        "at": {"type": "string", "format": "date-time"},
        "stars": {"$ref": "#/$defs/stars"},
        "maybe": {"anyOf": [{"type": "null"}, {"type": "number"}]},
        "either": {"type": ["integer", "number", "null"]},
        "reason": {"enum": ["spam", "2026-11-01", None]},
        "raw": {"type": "string", "contentEncoding": "base64"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "more": {"type": "object", "additionalProperties": {"type": "boolean"}},
        "who": {"allOf": [{"properties": {"day": {"type": "string", "format": "date"}}}]},
    },
}


def test_json_schema() -> None:
    inferred = infer_json_schema(json.dumps(SCHEMA), name="thumbs", purpose="p")
    assert types_of(inferred) == {
        "event_id": "string",
        "at": "timestamp",
        "stars": "int64",
        "maybe": "float64",
        "either": "float64",
        "reason": "string",
        "raw": "binary",
        "tags": "list<string>",
        "more": "map<string,bool>",
        "who": "struct<day: date>",
    }
    assert [c.name for c in inferred.contract.columns if not c.nullable] == ["event_id", "stars"]
    assert inferred.contract.columns[2].description == "one to five"


@pytest.mark.parametrize(
    ("part", "problem"),
    {
        "no type": ({}, r"\$\.x says no type"),
        "null alone": ({"type": "null"}, "says no type"),
        "anything": (True, "no schema that says a type"),
        "a list of anything": ({"type": "array"}, "says type 'array', and not of what"),
        "an object of anything": ({"type": "object"}, "says type 'object', and not of what"),
        "no word": ({"type": "text"}, "says type 'text'"),
        "two types": ({"type": ["string", "integer"]}, "none in common"),
        "itself": ({"$ref": "#/properties/x"}, "refers to itself"),
        "elsewhere": ({"$ref": "https://example.org/x"}, "not in this document"),
        "nowhere": ({"$ref": "#/$defs/x"}, "no schema that says a type"),
        "properties no mapping": ({"type": "object", "properties": 5}, "no mapping"),
    }.values(),
    ids=str,
)
def test_what_no_column_can_be(part: Any, problem: str) -> None:
    schema = {"type": "object", "properties": {"x": part}}
    with pytest.raises(InvalidError, match=problem):
        infer_json_schema(json.dumps(schema), name="thumbs", purpose="p")


def test_a_schema_of_no_object_is_refused() -> None:
    for text in ('{"type": "array"}', '{"type": "object"}', "[]", "{", '{"a": 1, "a": 2}'):
        with pytest.raises(InvalidError):
            infer_json_schema(text, name="thumbs", purpose="p")


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    cases = {
        "empty.jsonl": b"",
        "text.jsonl": b"hello\n",
        "list.jsonl": b"[1]\n",
        "twice.jsonl": b'{"a": 1, "a": 2}\n',
        "deep.jsonl": b'{"a":' + b"[" * 10_000 + b"\n",
        "latin.jsonl": b'{"a": "\xe9"}\n',
        "ragged.csv": b"a,b\n1\n",
        "header.csv": b"a,a\n1,2\n",
        "cut.jsonl.gz": gzip.compress(b'{"a": 1}\n' * 1000)[:-9],
        "no.parquet": b"PAR1",
        "no.arrow": b"ARROW1",
        "spaced.jsonl": b'{"a b": 1}\n',
    }
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InvalidError) as error:
            from_file(tmp_path / name)
        assert error.value.hint
    with pytest.raises(NotFoundError):
        from_file(tmp_path / "absent.jsonl")
    with pytest.raises(InvalidError, match="unknown format 'xml'"):
        from_file(tmp_path / "text.jsonl", format="xml")


def test_only_a_sample_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "MAX_SAMPLE_ROWS", 2)
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n{"a": 2}\nbroken\n')
    assert types_of(from_file(path)) == {"a": "int64"}
    monkeypatch.setattr(inference, "MAX_SAMPLE_ROWS", 3)
    monkeypatch.setattr(inference, "MAX_SAMPLE_BYTES", 20)
    assert types_of(from_file(path)) == {"a": "int64"}
    monkeypatch.setattr(inference, "MAX_COLUMNS", 1)
    with pytest.raises(LimitExceededError):
        from_file(lines(path, [{"a": 1, "b": 2}]))


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 70), 1 << 70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
    | st.dates().map(str),
    lambda parts: (
        st.lists(parts, max_size=3)
        | st.dictionaries(st.sampled_from("abc"), parts, min_size=1, max_size=3)
    ),
    max_leaves=6,
)


@given(_VALUES, _VALUES, _VALUES)
def test_what_is_common_does_not_depend_on_the_order(one: Any, two: Any, three: Any) -> None:
    first, second, third = map(type_of_value, (one, two, three))
    both = common(first, second)
    assert common(first, first) == first
    if both is not None and first.num_fields == second.num_fields == 0:
        assert common(second, first) == both
        assert common(both, first) == both
        assert type_text(settled(common(both, third) or both))
