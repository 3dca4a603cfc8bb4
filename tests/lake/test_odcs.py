import contextlib
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from backstory.lake.contract import Contract
from backstory.lake.contract_change import changes
from backstory.lake.errors import InvalidError
from backstory.lake.odcs import from_odcs, is_odcs, to_odcs
from backstory.lake.types import type_text
from tests.lake.contracts import contracts

OURS = """
slice: thumbs/en
purpose: improve the ranker
version: 3
retention_days: 365
max_rejected_share: 0.25
duplicate_window: 0
description: thumbs on answers
signals:
  up: it helped
  down: {meaning: of no use, since: 2026-11-01}
expectations:
  - {column: note, regex: "[a-z]*"}
  - {column: note, set: [spam, wrong], severity: warn}
  - {column: note, not_null: true}
  - {column: event_id, unique: true, severity: refuse}
  - {column: stars, range: [0, 5]}
  - {row: stars > 0 or note = 'spam'}
columns:
  event_id: {type: string, role: event_id, nullable: false}
  user: {type: string, role: subject, personal: direct}
  note: {type: string, description: free text}
  stars: {type: int32}
  parts: {type: "list<struct<a: string, b: map<string,int64>>>"}
"""
THEIRS = """
apiVersion: v3.0.2
kind: DataContract
id: 53581432-6c55-4ba2-a65f-72344a91553a
name: orders
version: 1.1.0
status: active
domain: seller
team: [{username: ceastwood}]
description: {purpose: know what is bought, usage: daily}
slaProperties:
  - {property: latency, value: 4, unit: d}
  - {property: retention, value: 3, unit: y}
schema:
  - name: tbl
    logicalType: object
    physicalType: table
    tags: [finance]
    quality: [{type: sql, query: select 1, mustBe: 1}]
    properties:
      - {name: code, logicalType: string, physicalType: varchar(18), required: true}
      - {name: at, logicalType: timestamp, physicalType: TIMESTAMP WITH TIME ZONE}
      - {name: day, logicalType: date}
      - {name: price, logicalType: number, physicalType: "NUMERIC(9, 2)"}
      - {name: pieces, logicalType: integer, physicalType: SMALLINT, primaryKey: true}
      - {name: who, logicalType: string, classification: restricted}
      - {name: lines, logicalType: array, items: {logicalType: object, properties: [
          {name: id, logicalType: integer}, {name: zip, logicalType: string}]}}
      - name: state
        logicalType: string
        quality:
          - {metric: invalidValues, arguments: {validValues: [open, done]}, mustBe: 0}
          - {metric: rowCount, mustBe: 9}
        customProperties: [{property: owner, value: me}]
"""


def edited(*changes: tuple[str, str]) -> str:
    text = THEIRS
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text


@given(contracts())
def test_what_we_write_is_read_as_the_same_contract(contract: Contract) -> None:
    read = from_odcs(to_odcs(contract))
    assert read.contract == contract
    assert read.not_taken == ()


def test_expectations_come_back_by_column() -> None:
    contract = Contract.from_yaml(OURS)
    read = from_odcs(to_odcs(contract))
    assert changes(contract, read.contract) == ()
    assert set(read.contract.expectations) == set(contract.expectations)
    assert read.not_taken == ()


def test_the_standards_own_words_are_used() -> None:
    document = yaml.safe_load(to_odcs(Contract.from_yaml(OURS)))
    assert is_odcs(document)
    [table] = document["schema"]
    event, user, note, *_ = table["properties"]
    assert (document["kind"], document["version"]) == ("DataContract", "3")
    assert document["slaProperties"] == [{"property": "retention", "value": 365, "unit": "d"}]
    assert (event["required"], event["logicalType"]) == (True, "string")
    assert event["quality"][0] | {} == {
        "type": "library",
        "metric": "duplicateValues",
        "mustBe": 0,
        "severity": "refuse",
    }
    assert user["classification"] == "direct"
    assert user["customProperties"] == [{"property": "backstoryRole", "value": "subject"}]
    assert [rule["metric"] for rule in note["quality"]] == [
        "invalidValues",
        "invalidValues",
        "nullValues",
    ]
    assert table["quality"][0]["engine"] == "backstory"


def test_a_document_of_others_is_read_and_what_is_not_taken_is_named() -> None:
    assert not is_odcs({"slice": "s"})
    read = from_odcs(THEIRS)
    contract = read.contract
    assert (contract.slice, contract.purpose, contract.version) == (
        "orders",
        "know what is bought",
        1,
    )
    assert contract.retention_days == 3 * 365
    assert {c.name: type_text(c.type) for c in contract.columns} == {
        "code": "string",
        "at": "timestamp",
        "day": "date",
        "price": "decimal(9,2)",
        "pieces": "int16",
        "who": "string",
        "lines": "list<struct<id: int64, zip: string>>",
        "state": "string",
    }
    assert not contract.columns[0].nullable
    assert contract.personal_columns == set()
    assert all(column.role is None for column in contract.columns)
    assert [str(one) for one in contract.expectations] == ["one of open, done"]
    assert set(read.not_taken) == {
        "domain",
        "team",
        "description.usage",
        "slaProperties[0]: latency",
        "schema[0].tags",
        "schema[0].quality[0]",
        "pieces.primaryKey",
        "who.classification: restricted",
        "state.quality[1]",
        "state.customProperties: owner",
    }


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    {
        "version 2": ("v3.0.2", "v2.2.2", "apiVersion 'v2.2.2' is not taken"),
        "another kind": ("DataContract", "DataProduct", "kind 'DataProduct'"),
        "no purpose": ("purpose: know what is bought, ", "", "purpose is missing"),
        "wrong name": ("name: orders", "name: My Orders", "is no name"),
        "two tables": ("  - name: tbl", "  - name: other\n  - name: tbl", "has 2 objects"),
        "no schema": ("schema:", "schemas:", "schema is no list"),
        "a time of day": ("logicalType: date", "logicalType: time", "no type follows"),
        "no type": ("logicalType: date", "x: y", "property day has logicalType None"),
        "a property without name": ("name: day", "title: day", "has no name"),
        "a part without name": ("name: zip", "title: zip", "part without a name"),
        "a column twice": ("name: day", "name: at", "stands there twice"),
        "properties no list": ("    properties:\n", "    properties: {}\n    x:\n", "is no list"),
        "a text": ("{property: latency, value: 4, unit: d}", "latency", "is no mapping"),
        "wrong signals": (
            "team: [{username: ceastwood}]",
            "customProperties: [{property: backstorySignals, value: 5}]",
            "signals must be list or dict",
        ),
        "wrong role": (
            "{property: owner, value: me}",
            "{property: backstoryRole, value: me}",
            "'me' is no role",
        ),
    }.values(),
    ids=str,
)
def test_what_no_slice_can_promise_is_refused(old: str, new: str, problem: str) -> None:
    with pytest.raises(InvalidError, match=problem):
        from_odcs(edited((old, new)))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=5), parts),
    max_leaves=8,
)


def test_a_classification_that_is_no_word_is_not_taken() -> None:
    document = yaml.safe_load(THEIRS)
    document["schema"][0]["properties"][0]["classification"] = []
    found = from_odcs(yaml.safe_dump(document))
    assert any("classification" in place for place in found.not_taken)


@given(st.data())
def test_whatever_stands_in_a_field_is_read_or_refused_by_name(data: st.DataObject) -> None:
    document = yaml.safe_load(THEIRS)
    places: list[tuple[Any, Any]] = [(document, key) for key in document]
    table = document["schema"][0]
    places += [(table, key) for key in table]
    places += [(prop, key) for prop in table["properties"] for key in prop]
    holder, key = data.draw(st.sampled_from(places))
    holder[key] = data.draw(_JSON)
    with contextlib.suppress(InvalidError):
        assert isinstance(from_odcs(yaml.safe_dump(document)).contract, Contract)
