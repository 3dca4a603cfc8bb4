"""Profiles: exact parts add up in any order, estimates stay within their error, masks hold."""

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstory.lake.distinct import STANDARD_ERROR, Distinct, distinct_texts
from backstory.lake.histogram import BINS, Histogram, choose_edges
from backstory.lake.number_hashes import distinct_numbers
from backstory.lake.profile import ColumnKind, ColumnProfile, Profile
from backstory.lake.profiles import from_json, to_json
from backstory.lake.profiling import SAMPLED_ROWS, edges_by, profile_rows
from backstory.lake.top_values import MAX_VALUES, TopValues, Value

GOLDEN_TEXTS = (7435262010122169697, 15945546584666507167)
GOLDEN_INTEGERS = (0, 7256831767414464289, 12994781566227106604)
GOLDEN_FLOATS = (0, 9826234843501278960)
EDGES = {"number": (-1.0, 0.0, 1.5, 100.0), "stars": (1.0, 3.0, 5.0)}
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "number": st.none() | st.floats(),
            "stars": st.none() | st.integers(0, 6),
            "held": st.none() | st.floats(-10, 10),
            "word": st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=80),
            "flag": st.none() | st.booleans(),
            "day": st.none() | st.dates(),
            "user": st.none() | st.just("k1:abc"),
            "tags": st.none() | st.lists(st.text(max_size=2), max_size=2),
        }
    ),
    max_size=12,
)
SCHEMA = pa.schema(
    {
        "number": pa.float64(),
        "stars": pa.int64(),
        "held": pa.float64(),
        "word": pa.string(),
        "flag": pa.bool_(),
        "day": pa.date32(),
        "user": pa.string(),
        "tags": pa.list_(pa.string()),
    }
)


def profile(rows: list[dict[str, Any]]) -> Profile:
    return profile_rows(pa.Table.from_pylist(rows, schema=SCHEMA), {"user"}, EDGES)


@given(one=ROWS, two=ROWS, three=ROWS)
@settings(max_examples=60, deadline=None)
def test_the_profile_of_all_rows_is_the_merge_of_the_profiles_in_any_order(
    one: list[dict[str, Any]], two: list[dict[str, Any]], three: list[dict[str, Any]]
) -> None:
    a, b, c = map(profile, (one, two, three))
    whole = profile(one + two + three)
    assert Profile.merge([a, b, c]) == whole
    assert Profile.merge([c, Profile.merge([b, a])]) == whole
    assert Profile.merge([Profile.merge([a, c]), b]) == whole


@given(rows=ROWS)
@settings(max_examples=40, deadline=None)
def test_a_profile_is_read_as_it_was_written(rows: list[dict[str, Any]]) -> None:
    found = profile(rows)
    assert from_json(to_json(found, "part-1.parquet"), "part-1.parquet") == found


def test_counts_ranges_and_histograms_are_exact() -> None:
    found = profile(
        [
            {"number": 1.0, "stars": 5, "word": "b", "flag": True},
            {"number": float("nan"), "stars": 5, "word": "a" * 70, "flag": None},
            {"number": float("inf"), "stars": None, "word": "b", "flag": False},
            {"number": 100.0, "stars": 0, "word": None, "flag": True},
        ]
    ).columns
    number, stars, word = found["number"], found["stars"], found["word"]
    assert (number.rows, number.nulls, number.not_finite) == (4, 0, 2)
    assert (number.low, number.high) == (1.0, 100.0)
    assert number.histogram == Histogram(edges=EDGES["number"], counts=(0, 0, 1, 0, 1))
    assert (stars.nulls, stars.low, stars.high) == (1, 0, 5)
    assert stars.top == TopValues(counts={5: 2, 0: 1}, rest=0, missed=0)
    assert (word.low, word.high) == ("a" * 64, "b")
    assert word.top == TopValues(counts={"b": 2}, rest=1, missed=0)
    assert found["flag"].top == TopValues(counts={True: 2, False: 1}, rest=0, missed=0)


def test_times_are_told_by_their_range() -> None:
    start = datetime(2026, 11, 24, 9, 41, tzinfo=UTC)
    moments = pa.array(
        [start + timedelta(hours=n % 5) for n in range(20)], pa.timestamp("us", "UTC")
    )
    found = profile_rows(pa.table({"at": moments}), (), {}).columns["at"]
    assert (found.low, found.high) == ("2026-11-24T09:41:00.000000Z", "2026-11-24T13:41:00.000000Z")
    assert found.distinct is not None
    assert found.distinct.estimate == 5


def test_of_personal_columns_only_rows_and_nulls_are_told() -> None:
    found = profile([{"user": "k1:abc"}, {"user": None}])
    assert found.columns["user"] == ColumnProfile(kind=ColumnKind.MASKED, rows=2, nulls=1)
    assert "k1:abc" not in to_json(found, "f")


def test_a_column_that_was_tagged_later_is_masked_with_all_that_was_kept() -> None:
    found = profile([{"word": "secret"}]).masked({"word"})
    assert found.columns["word"] == ColumnProfile(kind=ColumnKind.MASKED, rows=1, nulls=0)


def test_what_was_masked_once_stays_masked() -> None:
    masked = ColumnProfile(kind=ColumnKind.MASKED, rows=2, nulls=0)
    told = profile([{"word": "a"}]).columns["word"]
    assert ColumnProfile.merge([masked, told]).kind is ColumnKind.MASKED


def test_a_column_that_some_files_lack_is_null_there() -> None:
    old = profile_rows(pa.table({"stars": [1, 2]}), (), {})
    new = profile_rows(pa.table({"stars": [3], "word": ["a"]}), (), {})
    word = Profile.merge([old, new]).columns["word"]
    assert (word.rows, word.nulls, word.kind) == (3, 2, ColumnKind.TEXT)


@pytest.mark.parametrize("count", [100, 511, 2_000, 200_000])
def test_distinct_numbers_are_within_their_error(count: int) -> None:
    numbers = pa.array(range(count), pa.int64())
    found = distinct_numbers(pa.concat_arrays([numbers, numbers]))
    assert abs(found.estimate - count) <= (0 if found.exact else 4 * STANDARD_ERROR * count)
    parts = [distinct_numbers(numbers.slice(at, 700)) for at in range(0, count, 700)]
    assert Distinct.merge(parts) == found


def test_distinct_texts_are_within_their_error_whatever_the_order() -> None:
    words = [f"https://example.org/item/{n:06d}" for n in range(5_000)]
    parts = [distinct_texts(words[at : at + 300]) for at in range(0, 5_000, 300)]
    found = Distinct.merge(parts)
    random.Random(7).shuffle(parts)
    assert Distinct.merge(parts) == found == distinct_texts(words)
    assert abs(found.estimate - 5_000) <= 4 * STANDARD_ERROR * 5_000


def test_hashes_are_the_same_for_ever() -> None:
    assert distinct_texts(["up", "down"]).hashes == GOLDEN_TEXTS
    assert distinct_numbers(pa.array([0, 1, -1], pa.int64())).hashes == GOLDEN_INTEGERS
    assert distinct_numbers(pa.array([-0.0, 0.0, 1.5])).hashes == GOLDEN_FLOATS


def test_a_long_column_of_words_that_repeat_is_counted_whole() -> None:
    words = ["up", "down", "down"] * SAMPLED_ROWS
    found = profile_rows(pa.table({"word": words}), (), {}).columns["word"]
    assert not found.sampled
    assert found.top == TopValues(
        counts={"down": 2 * SAMPLED_ROWS, "up": SAMPLED_ROWS}, rest=0, missed=0
    )


def test_of_a_long_column_that_never_repeats_a_sample_is_looked_at_and_it_says_so() -> None:
    words = [f"event-{n}" for n in range(5 * SAMPLED_ROWS)]
    found = profile_rows(pa.table({"word": words}), (), {}).columns["word"]
    assert found.sampled
    assert found.top == TopValues(counts={}, rest=len(words), missed=5)
    assert found.distinct is not None
    assert found.distinct.estimate >= SAMPLED_ROWS * (1 - 4 * STANDARD_ERROR)


@given(parts=st.lists(st.dictionaries(st.integers(0, 300), st.integers(1, 9)), max_size=8))
def test_no_value_is_more_frequent_than_top_values_allow(parts: list[dict[Value, int]]) -> None:
    exact: dict[Value, int] = {}
    for part in parts:
        for value, count in part.items():
            exact[value] = exact.get(value, 0) + count
    found = TopValues.merge([TopValues.of(part) for part in parts])
    assert len(found.counts) <= MAX_VALUES
    assert sum(found.counts.values()) + found.rest == sum(exact.values())
    for value, count in exact.items():
        listed = found.counts.get(value, 0)
        assert listed <= count <= listed + found.missed


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=400))
def test_chosen_edges_ascend_and_leave_nothing_outside(values: list[float]) -> None:
    edges = choose_edges(values)
    assert len(edges) <= BINS + 2
    assert all(a < b for a, b in pairwise(edges))
    counts = Histogram(values=tuple(sorted(values))).on(edges).counts
    assert counts[0] == 0
    assert counts[-1] == 0 or len(edges) == 1 or max(values) == edges[-1]


def test_equal_shares_fall_between_edges() -> None:
    rows = pa.table({"n": pa.array(range(10_000), pa.int64())})
    [edges] = edges_by(rows, ["n"]).values()
    found = profile_rows(rows, (), {"n": edges}).columns["n"].histogram
    assert found is not None
    assert sum(found.counts) == 10_000
    assert max(found.counts) <= 10_000 // BINS + 2
    assert (found.counts[0], found.counts[-1]) == (0, 0)


def test_histograms_on_other_edges_are_not_added_up() -> None:
    one = Histogram(edges=(1.0, 2.0), counts=(1, 2, 3))
    assert Histogram.merge([one, Histogram(edges=(1.0, 3.0), counts=(1, 2, 3))]) is None
