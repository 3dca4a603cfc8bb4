"""Good rows land, the others are kept aside, and nobody's data is kept with them."""

import io
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstory.lake.batch import Batch
from backstory.lake.contract import Contract
from backstory.lake.errors import BatchRejectedError, GoneError, IntegrityError
from backstory.lake.expectations import Severity
from backstory.lake.gate import judge, type_rows
from backstory.lake.quarantine import ORPHAN_SECONDS, read_quarantine, sweep, write_quarantine
from backstory.lake.sources.files import read_file
from backstory.lake.sources.misfits import Misfit
from backstory.lake.sources.rejections import Rejections
from backstory.lake.sources.text import read_csv, read_jsonl
from tests.lake.thumbs import KEY, NOW

CONTRACT = Contract.from_yaml("""
slice: thumbs/en
purpose: improve the ranker
max_rejected_share: 1
expectations:
- {column: label, range: [0, 9]}
- {column: ticket, unique: true}
- {row: label < 9 or score > 0.5, severity: warn}
columns:
  event_id: {type: string, role: event_id, nullable: false}
  label: {type: int64}
  score: {type: float64}
  at: {type: timestamp}
  ticket: {type: string}
""")
PERSONAL = Contract.from_yaml("""
slice: thumbs/en
purpose: improve the ranker
max_rejected_share: 1
expectations:
- {column: age, range: [0, 120]}
columns:
  event_id: {type: string, nullable: false}
  user: {type: string, role: subject}
  age: {type: int64, personal: indirect}
  label: {type: int64}
""")


def passed(rows: Any, contract: Contract = CONTRACT, *, typed: bool = False) -> Batch:
    rejections = Rejections(contract, strict=False)
    return _judged(rows if typed else type_rows(rows, contract, rejections), contract, rejections)


def from_text(read: Any, text: str | bytes, contract: Contract = CONTRACT) -> Batch:
    rejections = Rejections(contract, strict=False)
    stream = io.BytesIO(text.encode() if isinstance(text, str) else text)
    return _judged(read(stream, contract, rejections=rejections), contract, rejections)


def _judged(typed: pa.Table, contract: Contract, rejections: Rejections) -> Batch:
    return judge(typed, contract, KEY, rejections, at=NOW)


def reasons(batch: Batch) -> dict[int, list[str]]:
    return {row.row: row.reasons for row in batch.rejected}


def test_good_rows_pass_and_the_others_say_why() -> None:
    batch = passed(
        [
            {"event_id": "a", "label": 1, "ticket": "t"},
            {"event_id": "b", "label": "x", "score": True},
            {"event_id": None, "label": 11},
            {"event_id": "d", "lable": 1},
            7,
            {"event_id": "e", "label": 9, "ticket": "t"},
            {"event_id": "f", "label": 9, "score": 0.1},
        ]
    )
    assert batch.rows["event_id"].to_pylist() == ["a", "f"]
    assert reasons(batch) == {
        2: ["label: int64", "score: float64"],
        3: ["event_id: a value", "label: between 0 and 9"],
        4: ["row: only the contract's columns"],
        5: ["row: one object"],
        6: ["ticket: a value that no earlier row of the batch has"],
    }
    assert batch.warnings == {"row: label < 9 or score > 0.5": 1}
    assert batch.given == 7


def test_a_row_that_is_rejected_anyway_makes_no_other_row_a_repetition() -> None:
    batch = passed(
        [{"event_id": "a", "label": 99, "ticket": "t"}, {"event_id": "b", "ticket": "t"}]
    )
    assert batch.rows["event_id"].to_pylist() == ["b"]


BAD_LINES: dict[str, tuple[bytes, str]] = {
    "no number": (b'{"event_id": "b", "score": NaN}', "one JSON object"),
    "infinity": (b'{"event_id": "b", "score": -Infinity}', "one JSON object"),
    "beyond a double": (b'{"event_id": "b", "score": 1e999}', "float64"),
    "beyond 64 bits": (b'{"event_id": "b", "label": 18446744073709551616}', "int64"),
    "a naive time": (b'{"event_id": "b", "at": "2026-11-24T00:00:00"}', "timestamp"),
    "a key twice": (b'{"event_id": "b", "event_id": "c"}', "one JSON object"),
    "deep": (b"[" * 10_000, "one JSON object"),
    "a deep field": (b'{"event_id": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", "one JSON object"),
    "no UTF-8": (b'{"event_id": "\xff"}', "string"),
    "a lone surrogate": (b'{"event_id": "\\ud800"}', "string"),
    "two objects": (b"{} {}", "one JSON object"),
    "cut off": (b'{"event_id": "b', "one JSON object"),
    "null": (b"null", "one object"),
}  # fmt: skip


@pytest.mark.parametrize(("line", "expected"), BAD_LINES.values(), ids=BAD_LINES)
def test_a_bad_line_keeps_no_good_one_out(line: bytes, expected: str, tmp_path: Path) -> None:
    text = b'\xef\xbb\xbf{"event_id": "a"}\n\n' + line + b'\n{"event_id": "z"}'
    batch = from_text(read_jsonl, text)
    assert batch.rows["event_id"].to_pylist() == ["a", "z"]
    (row,) = batch.rejected
    assert row.row == 3
    assert expected in row.reasons[0]
    path = write_quarantine(tmp_path, batch, CONTRACT, attempt="0190")
    assert read_quarantine(tmp_path, path).rows == batch.rejected


def test_csv_says_record_and_cells() -> None:
    text = "event_id,label,score,at,ticket\na,1,,,\nb,x,0.5,,\nc,1\nd,2,,,\n"
    batch = from_text(read_csv, text)
    assert batch.rows["event_id"].to_pylist() == ["a", "d"]
    assert reasons(batch) == {2: ["label: int64"], 3: ["row: 5 cells"]}
    assert batch.rejected[0].fields == {"event_id": "b", "label": "x", "score": 0.5}
    assert batch.rejected[1].text == "c,1"


def test_a_broken_quote_refuses_the_file() -> None:
    """What follows it cannot be told apart: good rows would be lost in it."""
    text = 'event_id,label,score,at,ticket\na,1,,,\nb,"x\nc,1,,,\n'
    with pytest.raises(BatchRejectedError, match="RFC 4180"):
        from_text(read_csv, text)


def test_typed_rows_are_kept_one_by_one(tmp_path: Path) -> None:
    ids = pa.array(["a", "b", "c", None])
    big = pa.array([1, 2**63, 3, 4], pa.uint64())
    table = pa.table(
        {
            "event_id": ids,
            "label": pa.array([1, 2, 3, 4], pa.int8()),
            "score": pa.array([1.0, float("nan"), float("inf"), None]),
            "at": pa.array([0, 2**61, 0, 0], pa.timestamp("us", "UTC")),
            "ticket": ids,
        }
    )
    batch = passed(table)
    assert batch.rows["event_id"].to_pylist() == ["a", "c"]
    assert [row.row for row in batch.rejected] == [2, 4]
    path = tmp_path / "rows.parquet"
    pq.write_table(table, path)
    rejections = Rejections(CONTRACT, strict=False)
    read = read_file(path, CONTRACT, rejections=rejections)
    assert _judged(read, CONTRACT, rejections).rejected == batch.rejected
    with pytest.raises(BatchRejectedError, match="type int64"):
        passed(table.set_column(1, "label", big))


def test_more_bad_than_good_refuses_all() -> None:
    halves = replace(CONTRACT, max_rejected_share=0.5)
    rows = [{"event_id": "a"}, {"event_id": None}]
    assert passed(rows, halves).given == 2
    with pytest.raises(BatchRejectedError) as error:
        passed([*rows, {"label": 1}], halves)
    assert "2 of 3 rows do not fit, more than a share of 0.5" in error.value.message
    assert error.value.rejections[0].row == 2


def test_strict_refuses_for_one_row() -> None:
    rejections = Rejections(CONTRACT)
    with pytest.raises(BatchRejectedError):
        judge(
            type_rows([{"event_id": "a"}, {"event_id": "b", "label": 11}], CONTRACT, rejections),
            CONTRACT,
            KEY,
            rejections,
            at=NOW,
        )


def test_an_expectation_may_refuse_all() -> None:
    (first, *others) = CONTRACT.expectations
    harsh = replace(first, severity=Severity.REFUSE)
    contract = replace(CONTRACT, expectations=(harsh, *others))
    with pytest.raises(BatchRejectedError, match="between 0 and 9, found 11"):
        passed([{"event_id": "a"}, {"event_id": "b", "label": 11}], contract)


def test_nobodys_data_is_kept() -> None:
    mail = "alice@example.com"
    rows: list[Any] = [
        {"event_id": "a", "user": mail, "age": 20, "label": "x"},
        {"event_id": "b", "user": [mail], "age": 20, "label": 1},
        {"event_id": "c", "user": "u", "age": mail, "label": 1},
        {"event_id": "d", "user": mail, "age": 300, "label": 1},
        {"event_id": "e", "user": mail, "mail": mail},
        {"event_id": "f", "user": mail, "age": mail, mail: mail},
        mail,
        {"event_id": None, "user": mail, "age": 1},
    ]
    text = "\n".join(map(json.dumps, rows)) + f"\n{mail}\n{{'user': '{mail}'}}"
    for batch in (passed(rows, PERSONAL), from_text(read_jsonl, text, PERSONAL)):
        assert mail not in repr([(row.fields, row.text, row.faults) for row in batch.rejected])
        kept = {row.row: row for row in batch.rejected}
        assert kept[1].fields == {
            "event_id": "a", "user": KEY.pseudonym(mail), "age": 20, "label": "x"
        }  # fmt: skip
        assert kept[1].left_out == ()
        assert kept[2].left_out == ("user",)
        assert kept[3].left_out == ("age",)
        assert kept[5].left_out == ("fields that the contract lacks",)
        assert kept[6].left_out == ("age", "fields that the contract lacks")
        assert kept[7].left_out == ("all of the row",)
        assert kept[8].fields == {"user": KEY.pseudonym(mail), "age": 1}
    csv = f"event_id,user,age,label\na,{mail},7,x\n{mail}\nb,u,{mail},1\n"
    batch = from_text(read_csv, csv, PERSONAL)
    assert mail not in repr(batch.rejected)
    assert batch.rejected[0].fields == {
        "event_id": "a", "user": KEY.pseudonym(mail), "age": 7, "label": "x"
    }  # fmt: skip


def test_the_digest_is_of_what_came_in_not_of_how_it_was_judged() -> None:
    rows = [{"event_id": "a", "label": 1}, {"event_id": "b", "label": 7}]
    stricter = replace(CONTRACT, expectations=())
    assert passed(rows, stricter).digested() == passed(rows).digested()
    lower = Contract.from_yaml(CONTRACT.to_yaml().replace("[0, 9]", "[0, 5]"))
    assert len(passed(rows, lower).rejected) == 1
    assert passed(rows, lower).digested() == passed(rows).digested()
    untyped = passed([*rows, {"event_id": "c", "label": "x"}])
    assert untyped.digested() != passed(rows).digested()
    assert untyped.digested() == passed([*rows, {"event_id": "c", "label": "x"}]).digested()
    assert untyped.digested() != passed([*rows, {"event_id": "c", "label": "y"}]).digested()


ROWS = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {"event_id": st.sampled_from(["a", "b", None, 7])},
            optional={
                "label": st.integers(-2, 12) | st.just("x") | st.just(2**70),
                "score": st.floats(allow_nan=True, allow_infinity=True),
                "ticket": st.sampled_from(["s", "t"]),
                "at": st.just("2026-11-24T00:00:00"),
                "other": st.none(),
            },
        ),
        st.integers(),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_no_row_is_lost(rows: list[Any]) -> None:
    batch = passed(rows)
    assert batch.given == len(rows)
    numbers = [row.row for row in batch.rejected]
    good = [row for place, row in enumerate(rows, start=1) if place not in numbers]
    assert len(set(numbers)) == len(numbers)
    assert batch.rows["event_id"].to_pylist() == [row["event_id"] for row in good]
    text = "\n".join(map(json.dumps, rows))
    lines = from_text(read_jsonl, text)
    assert [row.row for row in lines.rejected] == numbers
    assert lines.rows.equals(batch.rows)


def test_many_bad_rows_cost_no_square() -> None:
    looked_at = 0

    def build(values: list[int]) -> pa.Array:
        nonlocal looked_at
        looked_at += len(values)
        bad = next((place for place, value in enumerate(values) if value % 2), None)
        if bad is not None:
            raise Misfit(bad, "an even number", values[bad])
        return pa.array(values)

    rejections = Rejections(CONTRACT, strict=False)
    numbers = range(10_000)
    assert rejections.convert(numbers, build, rows=numbers, column="label") is None
    assert sorted(rejections.faults) == list(range(1, 10_000, 2))
    assert looked_at < 10_000 * 40


def test_a_file_that_is_damaged_or_gone_is_named(tmp_path: Path) -> None:
    path = write_quarantine(tmp_path, passed([7]), CONTRACT, attempt="0190")
    file = tmp_path / path
    assert file.stat().st_mode & 0o077 == 0
    file.write_bytes(file.read_bytes().replace(b"7", b"8"))
    with pytest.raises(IntegrityError, match="0190"):
        read_quarantine(tmp_path, path)
    file.unlink()
    with pytest.raises(GoneError, match="0190"):
        read_quarantine(tmp_path, path)


def test_only_what_nobody_needs_is_swept(tmp_path: Path) -> None:
    kept, settled, died, young = (
        write_quarantine(tmp_path, passed([n]), CONTRACT, attempt=str(n)) for n in range(4)
    )
    old = (tmp_path / died).stat().st_mtime - ORPHAN_SECONDS - 1
    for path in (kept, died):
        os.utime(tmp_path / path, (old, old))
    swept = set(sweep(tmp_path, settled={settled}, known={kept, settled}))
    assert swept == {settled, died}
    assert (tmp_path / kept).exists()
    assert (tmp_path / young).exists()
