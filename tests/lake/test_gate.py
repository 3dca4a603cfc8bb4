import csv
import gzip
import io
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from backstory.lake.columns import Role
from backstory.lake.contract import Contract, infer_contract
from backstory.lake.errors import BatchRejectedError, InvalidError, RefusedError
from backstory.lake.gate import pass_gate
from backstory.lake.sources.files import read_file
from backstory.lake.sources.rejections import MAX_REJECTIONS
from backstory.lake.sources.text import read_csv
from backstory.lake.subjects import SubjectKey
from tests.lake.contracts import column, contract_of, subject

KEY = SubjectKey(key_id="k1", secret=b"0123456789abcdef")
NAMED = contract_of(column("id", nullable=False), subject(), label="int64")


def refused(rows: Any, contract: Contract = NAMED) -> list[str]:
    with pytest.raises(BatchRejectedError) as error:
        pass_gate(rows, contract, KEY)
    return [str(rejection) for rejection in error.value.rejections]


def test_subjects_become_pseudonyms() -> None:
    rows = [{"id": "a", "user": "user-1", "label": 1}, {"id": "b", "user": None}]
    table = pass_gate(rows, NAMED, KEY)
    assert table.schema == NAMED.schema
    assert table["user"].to_pylist() == [KEY.pseudonym("user-1"), None]
    assert table["id"].to_pylist() == ["a", "b"]


def test_a_pseudonym_is_hashed_like_any_other_subject() -> None:
    once = KEY.pseudonym("user-1")
    table = pass_gate([{"id": "a", "user": once}], NAMED, KEY)
    assert table["user"][0].as_py() == KEY.pseudonym(once)


def test_every_way_in_gives_the_same() -> None:
    rows = [{"id": "a", "user": "u", "label": 1}, {"id": "b", "user": "v", "label": None}]
    table = pa.Table.from_pylist(rows, schema=NAMED.schema)
    frame = pd.DataFrame(rows).astype({"label": "Int64"})
    mixed = table.select(["label", "user", "id"]).cast(
        pa.schema([("label", pa.int8()), ("user", pa.large_string()), ("id", pa.string())])
    )
    encoded = table.set_column(1, "user", table["user"].dictionary_encode())
    expected = pass_gate(rows, NAMED, KEY)
    for data in (table, frame, mixed, encoded, table.to_reader(), tuple(rows)):
        assert pass_gate(data, NAMED, KEY).equals(expected)


def test_nothing_is_null_that_must_be_there() -> None:
    rows = [{"id": "a"}, {"id": None}, {"label": 1}]
    assert refused(rows) == [
        "row 2, column id: expected a value, found null",
        "row 3, column id: expected a value, found null",
    ]
    table = pa.table({"id": pa.nulls(1000), "user": pa.nulls(1000), "label": pa.nulls(1000)})
    assert len(refused(table)) == MAX_REJECTIONS


def test_no_rows_pass() -> None:
    empty: list[Any] = [[], NAMED.schema.empty_table()]
    for nothing in empty:
        table = pass_gate(nothing, NAMED, KEY)
        assert table.num_rows == 0
        assert table.schema == NAMED.schema


def test_a_contract_without_subject_hides_nothing() -> None:
    contract = contract_of(a="string")
    assert pass_gate([{"a": "user-1"}], contract, KEY)["a"].to_pylist() == ["user-1"]


def test_a_refusal_repeats_no_subject() -> None:
    secret = "alice@example.com"
    key_as_column = pa.table({"id": ["a"], "user": [[secret]], "label": [1]})
    for rows in (
        [{"id": "a", "user": [secret]}],
        [{"id": "a", "user": {secret: 1}}],
        [{"id": "a", secret: 1}],
        [{"id": "a", "user": secret.encode()}],
        [{"id": "a", "user": secret, "label": "x"}],
        [{"id": "a", "user": secret + "\ud800"}],
        key_as_column,
        pd.DataFrame({"id": ["a", "b"], "user": [secret, 7], "label": [1, 2]}),
    ):
        assert secret not in repr(refused(rows))


def test_a_linked_table_has_no_way_in() -> None:
    with pytest.raises(RefusedError, match="others write it"):
        pass_gate([], infer_contract("others", NAMED.schema), KEY)


@pytest.mark.parametrize("rows", [None, 7, "rows", b"rows", {"id": "a"}])
def test_other_things_are_no_rows(rows: object) -> None:
    with pytest.raises(InvalidError, match="cannot be taken from"):
        pass_gate(rows, NAMED, KEY)


BERLIN = timezone(timedelta(hours=1))

OBJECTS: dict[str, tuple[str, Any, Any]] = {
    "an aware time": (
        "timestamp",
        datetime(2026, 11, 24, 9, 41, tzinfo=BERLIN),
        datetime(2026, 11, 24, 8, 41, tzinfo=UTC),
    ),
    "a time as text": ("timestamp", "2026-11-24 00:00:00Z", datetime(2026, 11, 24, tzinfo=UTC)),
    "a date": ("date", date(2026, 11, 24), date(2026, 11, 24)),
    "a date as text": ("date", "2026-11-24", date(2026, 11, 24)),
    "a decimal": ("decimal(9,4)", Decimal("1.5"), Decimal("1.5000")),
    "a decimal as text": ("decimal(9,4)", "1.5", Decimal("1.5000")),
    "a whole decimal": ("decimal(9,4)", 7, Decimal("7.0000")),
    "bytes": ("binary", b"\0", b"\0"),
    "bytes as text": ("binary", "AA==", b"\0"),
    "a map": ("map<string,int8>", {"a": 1}, [("a", 1)]),
    "pairs": ("map<int8,int8>", [[1, 2]], [(1, 2)]),
}  # fmt: skip


@pytest.mark.parametrize(("type_", "given", "taken"), OBJECTS.values(), ids=OBJECTS)
def test_python_objects(type_: str, given: Any, taken: Any) -> None:
    table = pass_gate([{"a": given}, {"a": None}], contract_of(a=type_), KEY)
    assert table["a"].to_pylist() == [taken, None]


NO_OBJECTS: dict[str, tuple[str, Any, str]] = {
    "a naive time": ("timestamp", datetime(2026, 11, 24), "'2026-11-24T00:00:00'"),  # noqa: DTZ001
    "a date for a time": ("timestamp", date(2026, 11, 24), "2026-11-24"),
    "a time for a date": ("date", datetime(2026, 11, 24, tzinfo=UTC), "2026-11-24 00:00:00+00:00"),
    "a first hour": ("timestamp", datetime(1, 1, 1, tzinfo=BERLIN), "0001-01-01 00:00:00+01:00"),
    "a float for a decimal": ("decimal(9,4)", 1.5, "1.5"),
    "no number for a decimal": ("decimal(9,4)", Decimal("NaN"), "NaN"),
    "a truth value for a decimal": ("decimal(9,4)", True, "true"),
    "a truth value for a number": ("int64", True, "true"),
    "a truth value for a float": ("float64", True, "true"),
    "no number": ("float64", float("nan"), "nan"),
    "no finite number": ("float64", float("inf"), "inf"),
    "a numpy number": ("int64", np.int64(7), "a numpy.int64"),
    "a tuple": ("list<int8>", (1, 2), "a builtins.tuple"),
    "a set": ("list<int8>", {1, 2}, "a builtins.set"),
    "bytes for text": ("string", b"a", "1 bytes"),
    "an object": ("string", object(), "a builtins.object"),
    "a number for bytes": ("binary", 7, "7"),
    "a huge number": ("int64", 10**5000, "a whole number of 16610 bits"),
    "a key that is no text": ("map<string,int8>", {1: 1}, "1"),
}  # fmt: skip


@pytest.mark.parametrize(("type_", "given", "found"), NO_OBJECTS.values(), ids=NO_OBJECTS)
def test_python_objects_that_are_refused(type_: str, given: Any, found: str) -> None:
    (fault,) = refused([{"a": None}, {"a": given}], contract_of(a=type_))
    assert fault.startswith("row 2, column a: expected ")
    assert fault.endswith(f"found {found}")


def test_rows_are_mappings_with_known_fields() -> None:
    faults = refused([{"id": "a", "lable": 1}, 7, {"id": "a", 7: 1}, None])
    assert [fault.split(":")[0] for fault in faults] == ["row 1", "row 2", "row 3", "row 4"]
    assert "did you mean label?" in faults[0]


BANDIT = """
slice: clicks/women
purpose: learn which item to show
columns:
  event: {type: int64, nullable: false}
  timestamp: {type: timestamp, role: event_time}
  item_id: {type: int32}
  position: {type: int8}
  click: {type: int8}
  propensity_score: {type: float64}
  user_feature_0: {type: string, role: subject}
"""


def bandit(columns: list[str]) -> Contract:
    """The contract of the logs, with all their features and affinities."""
    known = Contract.from_yaml(BANDIT)
    names = {column.name for column in known.columns}
    more = [
        column(name, "float64" if "affinity" in name else "string")
        for name in columns
        if name not in names
    ]
    return Contract(slice=known.slice, purpose=known.purpose, columns=(*known.columns, *more))


@pytest.mark.parametrize("policy", ["random", "bts"])
def test_real_feedback(shared_data: Path, policy: str) -> None:
    source = shared_data / "data/open-bandit" / f"{policy}-women.csv.gz"
    named = b"event" + gzip.decompress(source.read_bytes())  # its first column has no name
    expected = list(csv.DictReader(io.StringIO(named.decode())))
    contract = bandit(list(expected[0]))
    found = pass_gate(read_csv(io.BytesIO(named), contract), contract, KEY)
    reads: dict[Any, Any] = {
        pa.float64(): float,
        pa.string(): str,
        pa.timestamp("us", tz="UTC"): datetime.fromisoformat,
    }
    for known in contract.columns:
        read = KEY.pseudonym if known.role is Role.SUBJECT else reads.get(known.type, int)
        values = [read(row[known.name]) for row in expected]
        assert found[known.name].to_pylist() == values


def test_real_feedback_must_name_its_columns(shared_data: Path) -> None:
    source = shared_data / "data/open-bandit" / "random-women.csv.gz"
    with pytest.raises(BatchRejectedError) as error:
        read_file(source, Contract.from_yaml(BANDIT))
    assert any("without name at place 1" in fault.found for fault in error.value.rejections)
