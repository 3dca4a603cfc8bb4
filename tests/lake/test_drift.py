"""Drift from profiles, beside SciPy on the rows themselves."""

import random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstory.lake.drift import (
    ColumnDrift,
    drift,
    jensen_shannon,
    kolmogorov_smirnov,
    psi,
)
from backstory.lake.profile import Profile
from backstory.lake.profiling import edges_by, profile_rows

np = pytest.importorskip("numpy")
distance = pytest.importorskip("scipy.spatial.distance")
stats = pytest.importorskip("scipy.stats")

COUNTS = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=30)


def compared(base: dict[str, Any], head: dict[str, Any]) -> dict[str, ColumnDrift]:
    """Drift of columns of values, with edges fixed by the base, as a slice fixes them."""
    first, second = pa.table(base), pa.table(head)
    edges = edges_by(first, first.column_names)
    profiles = (profile_rows(rows, (), edges) for rows in (first, second))
    return {found.column: found for found in drift(*profiles)}


@given(COUNTS.filter(lambda pairs: all(map(sum, zip(*pairs, strict=True)))))
def test_statistics_of_counts_are_scipys(pairs: list[tuple[int, int]]) -> None:
    base, head = zip(*pairs, strict=True)
    assert jensen_shannon(base, head) == pytest.approx(
        float(distance.jensenshannon(base, head, base=2)) ** 2, abs=1e-9
    )
    raw = [np.repeat(np.arange(len(counts)), counts) for counts in (base, head)]
    exact = stats.ks_2samp(*raw, method="asymp").statistic
    assert kolmogorov_smirnov(base, head) == pytest.approx(exact, abs=1e-9)
    p, q = (np.array(counts) + 0.5 for counts in (base, head))
    p, q = p / p.sum(), q / q.sum()
    symmetric = stats.entropy(p, q) + stats.entropy(q, p)
    assert psi(base, head) == pytest.approx(float(symmetric), abs=1e-9)


def test_whole_numbers_of_few_values_are_compared_value_by_value() -> None:
    random.seed(7)
    base, head = random.choices(range(5), k=3_000), random.choices(range(1, 7), k=2_000)
    found = compared({"stars": base}, {"stars": head})["stars"]
    assert found.ks == pytest.approx(stats.ks_2samp(base, head).statistic)
    assert (found.new, found.missing) == ((5, 6), (0,))


def test_numbers_are_compared_on_the_slices_edges() -> None:
    random.seed(7)
    base = [random.gauss(0, 1) for _ in range(20_000)]
    head = [random.gauss(0.5, 1) for _ in range(20_000)]
    found = compared({"score": base}, {"score": head})["score"]
    exact = stats.ks_2samp(base, head).statistic
    assert found.ks is not None
    assert exact - 0.05 <= found.ks <= exact + 1e-9
    assert found.psi is not None
    assert found.psi > 0.2
    assert (found.new, found.missing) == (None, None)


def test_what_lies_outside_of_the_edges_is_seen() -> None:
    found = compared({"n": [float(n) for n in range(1_000)]}, {"n": [5_000.0] * 1_000})["n"]
    assert found.ks == pytest.approx(1.0)
    assert found.js == pytest.approx(1.0)


def test_the_same_values_have_not_drifted() -> None:
    rows = {"n": [n / 7 for n in range(1_000)], "w": ["a", "b"] * 500, "f": [True, False] * 500}
    for found in compared(rows, rows).values():
        assert found.psi == 0.0
        assert found.js == pytest.approx(0.0, abs=1e-12)
        assert found.ks in {0.0, None}


def test_words_that_are_new_or_missing_are_named() -> None:
    found = compared({"w": ["up", "down", None]}, {"w": ["up", "meh", "meh"]})["w"]
    assert (found.new, found.missing) == (("meh",), ("down",))
    assert found.base_nulls == pytest.approx(1 / 3)
    assert found.head_nulls == 0.0
    assert found.ks is None


def test_words_beyond_what_is_listed_are_compared_as_one_and_none_is_called_new() -> None:
    base = [f"w{n % 400}" for n in range(4_000)]
    found = compared({"w": base}, {"w": ["w1"] * 100})["w"]
    assert found.new is None
    assert found.js is not None
    assert found.js > 0.9


def test_times_personal_and_nested_columns_are_not_compared() -> None:
    rows = pa.table({"tags": [["a"]], "user": ["x"], "day": pa.array([1], pa.date32())})
    profile = profile_rows(rows, {"user"}, {})
    assert drift(profile, profile) == []


def test_no_value_means_no_statistic() -> None:
    empty = profile_rows(pa.table({"n": pa.array([], pa.float64())}), (), {})
    full = profile_rows(pa.table({"n": [1.0]}), (), {})
    for one, other in ((empty, full), (full, empty), (Profile.merge([empty]), empty)):
        [found] = drift(one, other)
        assert (found.psi, found.js, found.ks) == (None, None, None)
