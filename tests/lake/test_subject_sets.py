import hashlib
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backstory.lake.errors import IntegrityError, InvalidError
from backstory.lake.subject_sets import (
    NO_PSEUDONYM,
    SubjectSet,
    joined,
    key_of,
    named,
    number_of,
    read_set,
    set_of,
    written,
)
from backstory.lake.subjects import SubjectKey

KEYS = [SubjectKey(key_id=key, secret=key.encode() * 16) for key in ("k1", "k2-new")]
GOLDEN = Path(__file__).parent / "golden/subjects-v1.arrow"

people = st.sampled_from([None, "ann", "bob", "zoë", ""])
subjects = st.lists(st.tuples(people, st.integers(0, 1)), max_size=30)


def pseudonyms(rows: list[tuple[str | None, int]]) -> list[str | None]:
    return [None if who is None else KEYS[key].pseudonym(who) for who, key in rows]


def column(values: list[str | None], chunks: int = 1) -> pa.ChunkedArray:
    size = max(1, len(values) // chunks)
    parts = [values[at : at + size] for at in range(0, len(values), size)]
    return pa.chunked_array([pa.array(part, pa.string()) for part in parts], pa.string())


def back(sets: SubjectSet) -> SubjectSet:
    return read_set(written(sets))


@given(rows=subjects, chunks=st.integers(1, 4))
def test_a_set_says_whose_rows_a_file_holds(
    rows: list[tuple[str | None, int]], chunks: int
) -> None:
    values = pseudonyms(rows)
    found = back(set_of("a.parquet", column(values, chunks)))
    expected = Counter(value for value in values if value is not None)
    for who in ("ann", "bob", "zoë", "", "nobody"):
        for key in KEYS:
            rows_of = expected.get(key.pseudonym(who), 0)
            held = found.held(number_of(key.pseudonym(who)))
            assert held == ({"a.parquet": rows_of} if rows_of else {})
    assert found.entries == len(expected)
    assert found.keys == (Counter(key_of(v) for v in values if v is not None),)


@given(files=st.lists(subjects, min_size=1, max_size=6), order=st.randoms(), cut=st.integers(0, 6))
def test_joined_sets_say_the_same_in_whatever_order(
    files: list[list[tuple[str | None, int]]], order: object, cut: int
) -> None:
    sets = [set_of(f"{n}.parquet", column(pseudonyms(rows))) for n, rows in enumerate(files)]
    order.shuffle(sets)  # type: ignore[attr-defined]
    first = joined(sets[:cut]) if sets[:cut] else None
    whole = back(joined([*([first] if first else []), *sets]))  # what was joined speaks twice
    assert sorted(whole.files) == sorted(f"{n}.parquet" for n in range(len(files)))
    said = dict(zip(whole.files, whole.keys, strict=True))
    for place, rows in enumerate(files):
        values = pseudonyms(rows)
        assert said[f"{place}.parquet"] == Counter(key_of(v) for v in values if v is not None)
    for key in KEYS:
        for who in ("ann", "bob", "zoë", ""):
            expected = {
                f"{place}.parquet": count
                for place, rows in enumerate(files)
                if (count := pseudonyms(rows).count(key.pseudonym(who)))
            }
            assert whole.held(number_of(key.pseudonym(who))) == expected


def test_many_files_and_many_rows_keep_their_numbers() -> None:
    ann = KEYS[0].pseudonym("ann")
    sets = [set_of(f"{n}.parquet", column([ann] * (n % 3 + 1))) for n in range(300)]
    sets.append(set_of("many.parquet", column([ann] * 70_000)))
    held = back(joined(sets)).held(number_of(ann))
    assert held == {**{f"{n}.parquet": n % 3 + 1 for n in range(300)}, "many.parquet": 70_000}


@pytest.mark.parametrize(
    "text", ["ann", "k1:", "", "k1:xyz", f"k1:{'g' * 64}", f"k1:{'0' * 63}", f"k1:{'0' * 65}"]
)
def test_what_is_no_pseudonym_is_told_apart(text: str) -> None:
    ann = KEYS[0].pseudonym("ann")
    found = set_of("a.parquet", column([text, ann, text]))
    said = found.keys[0]
    assert said == {NO_PSEUDONYM: 2, "k1": 1}
    assert found.held(number_of(ann)) == {"a.parquet": 1}
    with pytest.raises(InvalidError, match="no pseudonym") as caught:
        number_of(text)
    assert len(text) < 4 or text not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [b"", b"ARROW1", b"\0" * 100, written(set_of("a", column(["k1:" + "0" * 64])))[:-9]],
)
def test_what_is_no_set_is_refused(body: bytes) -> None:
    with pytest.raises(IntegrityError):
        read_set(body)


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
@example(place=2_698, bit=0)  # in the name of a column
@example(place=2_698, bit=7)
def test_a_flipped_bit_gives_an_answer_or_an_error_of_ours(place: int, bit: int) -> None:
    ann = KEYS[0].pseudonym("ann")
    body = bytearray(written(set_of("a.parquet", column([ann, ann, KEYS[1].pseudonym("bob")]))))
    body[place % len(body)] ^= 1 << bit
    with suppress(IntegrityError):
        read_set(bytes(body)).held(number_of(ann))


def test_the_form_stays_for_ever() -> None:
    values: list[str | None] = [
        None,
        *(f"k1:{hashlib.sha256(str(n % 4).encode()).hexdigest()}" for n in range(10)),
        f"k2:{'ab' * 32}",
    ]
    made = joined([set_of("part-1.parquet", column(values)), set_of("b.parquet", column(["x"]))])
    kept = read_set(GOLDEN.read_bytes())
    assert (kept.files, kept.keys) == (made.files, made.keys)
    assert kept.batch.equals(made.batch)
    assert kept.held(number_of(f"k2:{'ab' * 32}")) == {"part-1.parquet": 1}
    assert written(named(kept, "c.parquet")) != written(kept)
