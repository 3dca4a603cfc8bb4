import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstory.lake.errors import InvalidError, LimitExceededError
from backstory.lineage.audit.leaf import (
    MAX_BODY_BYTES,
    MAX_MARKS,
    Actor,
    KnownBy,
    Leaf,
    RowsDigest,
    leaf_hash,
    mark,
    parse_body,
    parse_rows,
)

GOLDEN = Path(__file__).parent / "golden"
AT = datetime(2026, 11, 24, 9, 41, 7, 123, tzinfo=UTC)


def make_leaf(**changes: Any) -> Leaf:
    defaults: dict[str, Any] = {
        "seq": 17,
        "at": AT,
        "actor": Actor(name="ada", known_by=KnownBy.OIDC),
        "action": "model.register",
        "resource": "ranker@7",
    }
    return Leaf(**defaults | changes)


def test_format_1_stays_what_it_is() -> None:
    leaf = make_leaf(
        reason="the nightly run, naïve",
        request_id="0190a1b2",
        facts={"artifact": "ab" * 32, "loop_share": 0.25, "rows": 10_214, "before": None},
        rows={"entity": RowsDigest.of([b"\x01" * 32, b"\x00" * 32])},
    )
    assert leaf.body() == (GOLDEN / "leaf-v1.json").read_bytes()
    assert leaf_hash(leaf.body()).hex() == (GOLDEN / "leaf-v1.hash").read_text().strip()


def test_a_body_gives_its_rows_back() -> None:
    rows = {"run": RowsDigest.of([b"a" * 32]), "edge": RowsDigest.of([b"b" * 32, b"c" * 32])}
    assert parse_rows(make_leaf(rows=rows).body()) == rows


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b"{}", b'{"v":2}', b"null"])
def test_other_bodies_are_refused(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of any kind: JSON's own or ours
        parse_body(body)


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=20))
def test_a_rows_digest_knows_no_order(hashes: list[bytes]) -> None:
    digest = RowsDigest.of(hashes)
    assert digest == RowsDigest.of(hashes[::-1])
    assert digest.count == len(hashes)
    assert sorted(digest.each_mark()) == sorted(mark(hash_) for hash_ in hashes)


def test_many_rows_are_not_marked() -> None:
    hashes = [hashlib.sha256(bytes([i % 256, i // 256])).digest() for i in range(MAX_MARKS + 1)]
    assert RowsDigest.of(hashes).marks == ""
    assert len(list(RowsDigest.of(hashes[1:]).each_mark())) == MAX_MARKS


def test_a_body_is_bounded() -> None:
    fits = MAX_BODY_BYTES - len(make_leaf(facts={"x": ""}).body())
    assert len(make_leaf(facts={"x": "y" * fits}).body()) == MAX_BODY_BYTES
    with pytest.raises(LimitExceededError, match=r"model\.register: .* 65,536 bytes"):
        make_leaf(facts={"x": "y" * (fits + 1)}).body()


@pytest.mark.parametrize("fact", [float("inf"), 2**60, "\ud800", object()])
def test_a_fact_without_canonical_form_is_refused(fact: object) -> None:
    with pytest.raises(InvalidError, match=r"model\.register: a fact cannot be logged"):
        make_leaf(facts={"x": fact}).body()
