import dataclasses

import pyarrow as pa
import pytest
from hypothesis import given

from backstory.lake.contract import Contract
from backstory.lake.contract_change import Change, can_widen, changes, successor
from backstory.lake.errors import ConflictError, IncompatibleContractError
from backstory.lake.signals import signals_of
from backstory.lake.types import parse_type
from tests.lake.contracts import contracts, types

THUMBS = """
slice: thumbs/en
purpose: improve the ranker
retention_days: 365
signals: [up, down]
columns:
  event_id: {type: string, role: event_id, nullable: false}
  user: {type: string, role: subject, personal: direct}
  note: {type: string}
  stars: {type: int32}
"""
OLD = Contract.from_yaml(THUMBS)


def edited(old: str, new: str) -> Contract:
    assert old in THUMBS
    return Contract.from_yaml(THUMBS.replace(old, new))


COMPATIBLE = {
    "a wider type": ("stars: {type: int32}", "stars: {type: int64}", "type int32 → int64"),
    "a new column": ("  note:", "  score: {type: float64}\n  note:", "column score: new, float64"),
    "a new signal": ("[up, down]", "[up, down, copied]", "signal copied: new"),
    "a meaning": ("[up, down]", "[{name: up, meaning: it helped}, down]", "means 'it helped'"),
    "an end": ("[up, down]", "[up, {name: down, until: 2026-12-01}]", "until unsaid → 2026"),
    "kept for less": ("365", "30", "retention_days: 365 → 30"),
    "a description": ("purpose:", "description: new\npurpose:", "description: another text"),
    "a column's description": ("note: {type: string", "note: {description: d, type: string", "des"),
    "a role": ("note: {type: string", "note: {role: source, type: string", "role none → source"),
    "another tag": ("personal: direct", "personal: special", "personal direct → special"),
}
BREAKING = {
    "narrower": ("int32", "int16", "type int32 → int16 (not every value fits"),
    "lossy": ("int32", "float64", "type int32 → float64"),
    "column removed": ("  stars: {type: int32}", "", "column stars: removed"),
    "a column that must be": (
        "  note:",
        "  score: {type: float64, nullable: false}\n  note:",
        "no v",
    ),
    "null allowed": ("nullable: false", "nullable: true", "nullable false → true"),
    "null refused": ("stars: {type: int32", "stars: {nullable: false, type: int32", "true → false"),
    "another role": ("role: event_id", "role: source", "role event_id → source"),
    "a person": ("role: subject, personal: direct", "personal: direct", "role subject → none"),
    "a new tag": (
        "stars: {type: int32",
        "stars: {personal: indirect, type: int32",
        "highest value",
    ),
    "no tag": (", personal: direct", "", "personal direct → none (what was promised"),
    "signal removed": ("[up, down]", "[up]", "signal down: removed (stored rows may use it"),
    "another purpose": ("improve the ranker", "sell", "purpose: 'improve the ranker' → 'sell'"),
    "kept for longer": ("365", "366", "retention_days: 365 → 366 (the rows were given"),
    "kept for ever": ("retention_days: 365", "", "365 → for ever"),
    "another table": ("slice: thumbs/en", "slice: thumbs/de", "slice: thumbs/en → thumbs/de"),
}


@pytest.mark.parametrize(("old", "new", "told"), COMPATIBLE.values(), ids=COMPATIBLE)
def test_what_a_table_can_bear(old: str, new: str, told: str) -> None:
    [change] = changes(OLD, edited(old, new))
    assert not change.breaking
    assert told in str(change)
    after = successor(OLD, edited(old, new))
    assert after.version == 2
    assert changes(OLD, after) == (change,)


@pytest.mark.parametrize(("old", "new", "told"), BREAKING.values(), ids=BREAKING)
def test_what_a_table_cannot_bear(old: str, new: str, told: str) -> None:
    with pytest.raises(IncompatibleContractError) as error:
        successor(OLD, edited(old, new))
    [point] = error.value.breaking
    assert told in point
    assert point in error.value.message


def test_all_breaking_points_are_named() -> None:
    wrong = edited("int32", "int16")
    wrong = dataclasses.replace(wrong, purpose="sell", signals=())
    with pytest.raises(IncompatibleContractError) as error:
        successor(OLD, wrong)
    places = [point.split(":")[0] for point in error.value.breaking]
    assert places == ["purpose", "column stars", "signal up", "signal down"]


def test_many_breaking_points_are_counted() -> None:
    many = dataclasses.replace(OLD, signals=signals_of([f"s{n}" for n in range(30)]))
    with pytest.raises(IncompatibleContractError, match="; and 10 more"):
        successor(many, dataclasses.replace(many, signals=()))


@given(contracts())
def test_nothing_changes_between_a_contract_and_itself(contract: Contract) -> None:
    assert changes(contract, contract) == ()
    assert successor(contract, contract) is contract
    turned = dataclasses.replace(contract, columns=contract.columns[::-1])
    assert changes(contract, turned) == ()
    assert successor(contract, turned) is contract


@given(contracts(), contracts())
def test_a_successor_is_all_that_was_asked_for(old: Contract, new: Contract) -> None:
    new = dataclasses.replace(new, slice=old.slice, version=1)
    found = changes(old, new)
    if any(change.breaking for change in found):
        with pytest.raises(IncompatibleContractError):
            successor(old, new)
    else:
        assert changes(successor(old, new), new) == ()


@given(types())
def test_a_type_widens_to_itself(type_: pa.DataType) -> None:
    assert can_widen(type_, type_)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("list<int32>", "list<int64>", True),
        ("struct<a: int8, b: float32>", "struct<a: int16, b: float64>", True),
        ("struct<a: int8, b: int8>", "struct<b: int8, a: int8>", False),
        ("struct<a: int8>", "struct<a: int8, b: int8>", False),
        ("map<string,int8>", "map<string,int64>", True),
        ("decimal(5,2)", "decimal(7,4)", True),
        ("decimal(5,2)", "decimal(6,4)", False),
        ("string", "binary", False),
        ("date", "timestamp", False),
        ("float32", "float64", True),
        ("int64", "decimal(38,0)", False),
    ],
)
def test_widening(old: str, new: str, expected: bool) -> None:  # noqa: FBT001 - a table of cases
    assert can_widen(parse_type(old), parse_type(new)) is expected


def test_a_contract_that_follows_another_version_is_refused() -> None:
    third = dataclasses.replace(OLD, version=3)
    newer = dataclasses.replace(edited("[up, down]", "[up, down, copied]"), version=2)
    with pytest.raises(ConflictError, match="at version 3, and this one says 2"):
        successor(third, newer)
    assert successor(third, dataclasses.replace(newer, version=4)).version == 4


def test_columns_keep_their_places() -> None:
    wanted = edited("  event_id", "  first: {type: int64}\n  event_id")
    names = [column.name for column in successor(OLD, wanted).columns]
    assert names == ["event_id", "user", "note", "stars", "first"]


def test_a_change_says_what_and_why() -> None:
    assert str(Change(where="purpose", what="other", why="no")) == "purpose: other (no)"
