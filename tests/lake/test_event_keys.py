"""Keys may say of a text that was never there that it was, and never the other way round."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstory.lake.event_keys import KEYED_BYTES, KeyIndex, keys_of

LONG = "x" * KEYED_BYTES
ID = st.sampled_from(["", "a", "b", "é", "a\0", "12345678", "123456789", LONG, f"{LONG}y"])
IDS = st.lists(st.tuples(ID, st.integers(0, 40)).map(lambda one: f"{one[0]}{one[1]}"), max_size=60)


def column(texts: list[str]) -> pa.ChunkedArray:
    half = len(texts) // 2
    return pa.chunked_array([texts[:half], texts[half:]], pa.string())


@given(texts=IDS, others=IDS)
@settings(max_examples=80, deadline=None)
def test_what_came_before_is_found(texts: list[str], others: list[str]) -> None:
    keys, asked = keys_of(column(texts)), keys_of(column(others))
    index = KeyIndex(keys)
    known = set(keys.to_pylist())
    assert index.repeats == (len(known) < len(texts))
    assert index.holds(asked).to_pylist() == [key in known for key in asked.to_pylist()]
    assert all(
        held
        for text, held in zip(others, index.holds(asked).to_pylist(), strict=True)
        if text in set(texts)
    )


def test_the_key_of_a_text_does_not_depend_on_what_stands_beside_it() -> None:
    texts = ["a", "event-17", "event-0000017", "é" * 20, LONG, f"{LONG}{LONG}"]
    together = keys_of(column(texts)).to_pylist()
    assert together == [keys_of(column([text])).to_pylist()[0] for text in texts]
    sliced = column(["in front", *texts]).slice(1)
    assert keys_of(sliced).to_pylist() == together


@pytest.mark.parametrize(
    "form", ["{:036d}", "user-{}", "{}-of-the-shop-in-the-north", "2026-11-24T09:41:{:012.6f}Z"]
)
def test_ids_that_are_alike_have_keys_of_their_own(form: str) -> None:
    index = KeyIndex(keys_of(column([form.format(n) for n in range(20_000)])))
    others = keys_of(column([form.format(n) for n in range(20_000, 30_000)]))
    assert not index.repeats
    assert index.holds(others).true_count == 0
