import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstory.lake.contract import Contract
from backstory.lake.errors import InvalidError, LimitExceededError
from backstory.lineage.interaction import (
    INTERACTION_COLUMNS,
    MAX_ATTRIBUTES,
    MAX_PARTS,
    MAX_TEXT_BYTES,
    MAX_WORD_BYTES,
    AnsweredBy,
    Interaction,
    Part,
    PartStatus,
    json_text,
)

AT = datetime(2026, 11, 14, 9, 41, tzinfo=UTC)
DIGEST = "ab" * 32


def make_interaction(**more: Any) -> Interaction:
    row: dict[str, Any] = {
        "id": "i",
        "at": AT,
        "model": "ranker",
        "version": 7,
        "request": "{}",
        "response": "8",
    }
    return Interaction(**(row | more))


def make_part(**more: Any) -> Part:
    return Part(**({"kind": "chunk", "ref": "kb:42", "digest": DIGEST, "detail": "{}"} | more))


WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
).map(json_text)
PARTS = st.builds(
    Part,
    kind=WORDS,
    ref=WORDS,
    digest=st.none() | st.just(DIGEST),
    detail=st.none() | JSON,
    status=st.sampled_from(PartStatus),
)
INTERACTIONS = st.builds(
    Interaction,
    id=WORDS,
    at=st.datetimes(timezones=st.just(UTC)),
    model=WORDS,
    request=JSON,
    response=st.none() | JSON,
    version=st.none() | st.integers(1, 10**6),
    subject=st.none() | WORDS,
    turn=st.none() | st.integers(0, 100),
    parts=st.lists(PARTS, max_size=3).map(tuple),
    answered_by=st.sampled_from(AnsweredBy),
    latency_ms=st.none() | st.floats(0, 1e6),
    attributes=st.dictionaries(WORDS, WORDS, max_size=3),
)


@given(INTERACTIONS)
def test_rows_read_back(interaction: Interaction) -> None:
    row = interaction.to_row()
    assert list(row) == [column.name for column in INTERACTION_COLUMNS]
    assert Interaction.from_row(row) == interaction


@given(INTERACTIONS)
def test_rows_read_back_as_arrow_gives_them(interaction: Interaction) -> None:
    row = interaction.to_row()
    row["attributes"] = list(row["attributes"].items())
    assert Interaction.from_row(row | {"_source": "app", "_offset": 3}) == interaction


def test_the_table_is_a_sound_contract() -> None:
    columns = {
        c.name: {"type": c.type, "nullable": c.nullable, "personal": c.personal}
        | ({"role": c.role} if c.role else {})
        for c in INTERACTION_COLUMNS
    }
    body = {"slice": "_interactions/ranker", "purpose": "state", "columns": columns}
    contract = Contract.from_json(json.dumps(body))
    assert contract.schema.names == [column.name for column in INTERACTION_COLUMNS]
    assert {"subject", "request", "response", "parts"} <= contract.personal_columns


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "naive time": ({"at": AT.replace(tzinfo=None)}, "no time zone"),
    "request is no JSON": ({"request": "hello"}, "request is not JSON"),
    "response is NaN": ({"response": "NaN"}, "response is not JSON"),
    "half a character": ({"request": '"\ud800"'}, "not Unicode"),
    "deep request": ({"request": "[" * 100_000 + "]" * 100_000}, "not JSON"),
}

TOO_MUCH: dict[str, dict[str, Any]] = {
    "request": {"request": json.dumps("x" * MAX_TEXT_BYTES)},
    "request in bytes": {"request": json.dumps("é" * (MAX_TEXT_BYTES // 2), ensure_ascii=False)},
    "subject": {"subject": "x" * (MAX_WORD_BYTES + 1)},
    "attribute": {"attributes": {"k": "x" * MAX_WORD_BYTES}},
    "attributes": {"attributes": {str(i): "" for i in range(MAX_ATTRIBUTES + 1)}},
    "parts": {"parts": (make_part(),) * (MAX_PARTS + 1)},
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_unsound_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidError, match=message):
        make_interaction(**change)


@pytest.mark.parametrize("change", TOO_MUCH.values(), ids=TOO_MUCH)
def test_everything_has_a_bound(change: dict[str, Any]) -> None:
    with pytest.raises(LimitExceededError):
        make_interaction(**change)


@pytest.mark.parametrize(
    "change", [{"kind": ""}, {"ref": ""}, {"digest": "sha256:1"}, {"detail": "{"}]
)
def test_unsound_parts_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidError):
        make_part(**change)


def test_json_text_is_compact_and_exact() -> None:
    assert json_text({"b": 1, "a": "é"}) == '{"b":1,"a":"é"}'
    for value in (float("nan"), object(), {1, 2}):
        with pytest.raises(InvalidError, match="no JSON form"):
            json_text(value)
