import dataclasses
import json

import pyarrow as pa
import pytest
from deltalake import Schema
from hypothesis import given

from backstory.lake.contract import (
    MAX_COLUMNS,
    MAX_CONTRACT_BYTES,
    SYSTEM_COLUMNS,
    Column,
    Contract,
    PersonalData,
    Role,
    infer_contract,
)
from backstory.lake.errors import InvalidError, LimitExceededError
from backstory.lake.location import interactions_of
from backstory.lake.signals import Signal
from tests.lake.contracts import column, contract_of, contracts

THUMBS = """
slice: thumbs/en
purpose: improve the ranker
version: 2
retention_days: 365
signals: [thumb_up, thumb_down]
description: thumbs on answers
columns:
  event_id: {type: string, role: event_id, nullable: false}
  at: {type: timestamp, role: event_time}
  user: {type: string, role: subject}
  interaction: {type: string, role: interaction_id}
  age: {type: int32, personal: indirect, description: in years}
  score: {type: "decimal(9,4)"}
  tags: {type: list<string>}
"""


def thumbs(**changes: object) -> Contract:
    return dataclasses.replace(Contract.from_yaml(THUMBS), **changes)  # type: ignore[arg-type]  # the tests give wrong ones


@given(contracts())
def test_yaml_round_trip(contract: Contract) -> None:
    assert Contract.from_yaml(contract.to_yaml()) == contract


@given(contracts())
def test_json_round_trip(contract: Contract) -> None:
    again = Contract.from_json(contract.to_json())
    assert again == contract
    assert again.to_json() == contract.to_json()
    assert again.digest == contract.digest
    assert hash(again) == hash(contract)


def test_yaml_says_it_all() -> None:
    contract = thumbs()
    assert contract.slice == "thumbs/en"
    assert contract.retention_days == 365
    assert contract.signals == (Signal(name="thumb_up"), Signal(name="thumb_down"))
    assert [c.name for c in contract.columns][:2] == ["event_id", "at"]
    assert contract.columns[4] == Column(
        name="age", type=pa.int32(), personal=PersonalData.INDIRECT, description="in years"
    )


def test_the_digest_stays_for_ever() -> None:
    assert thumbs().digest == "ffd4a29ab6c19a024b8faa51d0ebb7a610fb1e371f2a14507f39b9e682f86c91"


def test_the_digest_follows_what_is_said() -> None:
    said = {thumbs().digest, thumbs(purpose="other").digest, thumbs(version=3).digest}
    said.add(thumbs(columns=thumbs().columns[::-1]).digest)
    assert len(said) == 4


def test_schemas() -> None:
    contract = contract_of(column("id", nullable=False), label="int64")
    fields = [pa.field("id", pa.string(), nullable=False), pa.field("label", pa.int64())]
    assert contract.schema == pa.schema(fields)
    assert contract.stored_schema.names == ["id", "label", *SYSTEM_COLUMNS]
    assert SYSTEM_COLUMNS == ("_source", "_offset", "_ingested_at")


def test_roles_and_personal_columns() -> None:
    contract = thumbs()
    assert contract.column_with(Role.EVENT_TIME) == contract.columns[1]
    assert contract.column_with(Role.SOURCE) is None
    assert contract.personal_columns == {"user", "age"}


def test_words_given_as_text_become_words() -> None:
    found = Column(name="user", type=pa.string(), role="subject", personal="direct")  # type: ignore[arg-type]  # what untyped callers do
    assert found.role is Role.SUBJECT
    assert found.personal is PersonalData.DIRECT


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    {
        "no purpose": ("purpose: improve the ranker", "purpose: ' '", "needs a purpose"),
        "purpose missing": ("purpose: improve the ranker", "", "purpose is missing"),
        "wrong name": ("thumbs/en", "Thumbs", "is no name"),
        "reserved name": ("thumbs/en", "_interactions/ranker", "is no name"),
        "unknown field": ("purpose:", "purpos:", "unknown field 'purpos'"),
        "version 0": ("version: 2", "version: 0", "count from 1"),
        "version text": ("version: 2", "version: two", "version must be int"),
        "retention 0": ("365", "0", "count from 1"),
        "retention true": ("365", "true", "must be int, not bool"),
        "signals twice": ("thumb_down", "thumb_up", "distinct words"),
        "signals numbers": ("thumb_down", "1", "signals are words"),
        "no signal": ("thumb_down", "''", "distinct words"),
        "unknown type": ("int32", "int46", "column age: type 'int46' has the unknown word"),
        "naive time": ("{type: timestamp,", "{type: timestamp_ntz,", "needs type timestamp"),
        "unknown role": ("role: subject", "role: subjekt", "column user: 'subjekt' is no role"),
        "unknown tag": ("indirect", "indirekt", "'indirekt' is no tag of personal data"),
        "role of another type": (
            "{type: string, role: sub",
            "{type: int64, role: sub",
            "needs type",
        ),
        "role twice": (
            "role: interaction_id",
            "role: subject",
            "role 'subject' stands there twice",
        ),
        "name twice": ("  age:", "  USER:", "'USER' stands there twice"),
        "system name": ("  age:", "  _source:", "start with '_'"),
        "unsafe name": ("  age:", "  a.ge:", "letters, digits"),
        "empty name": ("  age:", "  '':", "printable name"),
        "long name": ("  age:", f"  {'x' * 200}:", "printable name"),
        "nullable text": ("nullable: false", "nullable: maybe", "nullable must be bool"),
        "type missing": ("{type: int32, ", "{", "column age: type is missing"),
        "column is text": ("{type: list<string>}", "list<string>", "column tags is no mapping"),
        "comma unquoted": ('"decimal(9,4)"', "decimal(9,4)", "column score: unknown field '4)'"),
        "unsafe part": ("list<string>", "'struct<\"a b\": date>'", "letters, digits"),
        "time in a part": ("list<string>", "list<timestamp_ntz>", "names no instant"),
    }.values(),
)
def test_contracts_that_are_refused(old: str, new: str, problem: str) -> None:
    assert old in THUMBS
    with pytest.raises(InvalidError) as refused:
        Contract.from_yaml(THUMBS.replace(old, new, 1))
    assert problem in refused.value.message


def test_hints_help() -> None:
    for old, new, hint in [
        ("purpose:", "purpos:", "did you mean purpose?"),
        ("int32", "int46", "did you mean int64?"),
        ("role: subject", "role: subjekt", "did you mean subject?"),
        ('"decimal(9,4)"', "decimal(9,4)", 'type: "decimal(9,2)"'),
    ]:
        with pytest.raises(InvalidError) as refused:
            Contract.from_yaml(THUMBS.replace(old, new, 1))
        assert hint in refused.value.hint


@pytest.mark.parametrize(
    "type_",
    [pa.large_string(), pa.uint8(), pa.timestamp("us"), pa.timestamp("ms", tz="UTC"), pa.float16()],
    ids=str,
)
def test_python_contracts_are_checked_too(type_: pa.DataType) -> None:
    with pytest.raises(InvalidError, match=r"column '?a"):
        contract_of(Column(name="a", type=type_))


def test_json_columns_need_names() -> None:
    for columns in ([1], [{"type": "int64"}], [{"name": 1, "type": "int64"}]):
        text = json.dumps({"slice": "a", "purpose": "p", "columns": columns})
        with pytest.raises(InvalidError, match="column 1 of the list has no name"):
            Contract.from_json(text)


def test_another_format_is_refused() -> None:
    with pytest.raises(InvalidError, match="another format"):
        Contract.from_json(thumbs().to_json().replace("contract v1", "contract v2"))


def test_text_must_be_text() -> None:
    for changes in ({"purpose": "a\x1b[31m"}, {"signals": ["\ud800"]}, {"description": "\udfff"}):
        with pytest.raises(InvalidError, match="control character"):
            thumbs(**changes)


def test_bounds() -> None:
    many = tuple(column(f"c{n}") for n in range(MAX_COLUMNS + 1))
    assert len(contract_of(*many[:-1]).schema) == MAX_COLUMNS
    with pytest.raises(LimitExceededError, match="at most 1000"):
        contract_of(*many)
    with pytest.raises(LimitExceededError, match="larger than"):
        thumbs(description="x" * MAX_CONTRACT_BYTES)
    with pytest.raises(InvalidError, match="needs columns"):
        contract_of()


def test_interaction_tables_have_contracts() -> None:
    contract = thumbs(slice=interactions_of("ranker"))
    assert Contract.from_json(contract.to_json()) == contract
    with pytest.raises(InvalidError, match="is no name"):
        Contract.from_yaml(contract.to_yaml())


def test_a_linked_table_is_described_as_it_is() -> None:
    delta = Schema.from_arrow(
        pa.schema(
            [
                pa.field("_id", pa.string(), nullable=False),
                pa.field("Item name", pa.large_string()),
                pa.field("wall clock", pa.timestamp("us")),
                pa.field("at", pa.timestamp("us", tz="UTC")),
                pa.field("price", pa.decimal128(9, 2)),
                pa.field("parts", pa.list_(pa.struct([("kind", pa.string()), ("a b", pa.int8())]))),
                pa.field("counts", pa.map_(pa.string(), pa.int64())),
                pa.field("day", pa.date32()),
            ]
        )
    )
    contract = infer_contract("others/items", pa.schema(delta.to_arrow()))
    assert contract.linked
    assert contract.stored_schema == contract.schema
    assert [str(c.type) for c in contract.columns][1:3] == ["string", "timestamp[us]"]
    assert not contract.columns[0].nullable
    assert not contract.personal_columns
    assert Contract.from_json(contract.to_json()) == contract
    assert Contract.from_yaml(contract.to_yaml()) == contract


def test_a_linked_table_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(
        InvalidError, match=r"column b: type uint64 cannot be kept: .*decimal\(20,0\)"
    ):
        infer_contract("others", pa.schema([("a", pa.int8()), ("b", pa.uint64())]))
