from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstory.lake.errors import IntegrityError, InvalidError, RefusedError
from backstory.lineage.trigger import (
    CommitRange,
    Decay,
    Drift,
    Erasure,
    Evaluated,
    Manual,
    Observation,
    Schedule,
    Threshold,
    Trigger,
    TriggerKind,
    TriggerNotDue,
    evaluate,
)

SEEN = CommitRange(slice="thumbs/en", first=41, last=58, rows=10_214)

COUNTS = st.integers(0, 10**9)
RANGES = st.builds(CommitRange, slice=st.just("thumbs"), first=COUNTS, last=COUNTS, rows=COUNTS)
SPANS = st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=9999))
TRIGGERS: st.SearchStrategy[Trigger] = st.one_of(
    st.builds(Manual, st.text()),
    st.builds(Erasure, st.text()),
    st.builds(Schedule, st.text(), every=SPANS),
    st.builds(Threshold, st.just("thumbs"), rows=st.integers(1, 10**9)),
    st.builds(
        Drift,
        st.just("thumbs"),
        metric=st.text() | st.just("psi"),
        limit=st.floats(0, 1),
        column=st.none() | st.just("stars"),
    ),
    st.builds(Decay, st.just("thumbs"), column=st.text(), value=st.text(), limit=st.floats(0, 1)),
)
OBSERVATIONS = st.builds(
    Observation, commits=st.none() | RANGES, elapsed=st.none() | SPANS, metric=st.floats(0, 1)
)


@pytest.mark.parametrize(
    ("commits", "text"),
    [
        (SEEN, "thumbs/en@41..58, +10,214 rows"),
        (CommitRange(slice="thumbs", first=3, last=3, rows=1), "thumbs@3, +1 row"),
    ],
)
def test_a_commit_range_reads_like_a_sentence(commits: CommitRange, text: str) -> None:
    assert str(commits) == text


@pytest.mark.parametrize(("rows", "due"), [(10_214, True), (10_215, False)])
def test_a_threshold_counts_rows(rows: int, due: bool) -> None:  # noqa: FBT001 - a table
    evaluated = evaluate(Threshold("thumbs/en", rows=rows), Observation(commits=SEEN))
    assert (evaluated.due, evaluated.value, evaluated.limit) == (due, 10_214, rows)
    assert evaluated.range == SEEN


def test_a_threshold_without_commits_is_not_due() -> None:
    evaluated = evaluate(Threshold("thumbs/en", rows=1), Observation())
    assert (evaluated.due, evaluated.value, evaluated.range) == (False, 0, None)
    assert evaluated.reason == "thumbs/en, no new rows: at least 1 were asked for"


@pytest.mark.parametrize(
    ("elapsed", "due"), [(None, True), (timedelta(hours=24), True), (timedelta(hours=23), False)]
)
def test_a_schedule_counts_from_the_last_success(
    elapsed: timedelta | None,
    due: bool,  # noqa: FBT001 - a table
) -> None:
    schedule = Schedule("nightly", every=timedelta(days=1))
    assert evaluate(schedule, Observation(elapsed=elapsed)).due is due


@pytest.mark.parametrize(("metric", "due"), [(0.3, True), (0.2, False), (0.1, False)])
def test_a_drift_goes_beyond_its_limit(metric: float, due: bool) -> None:  # noqa: FBT001
    drift = Drift("thumbs", metric="psi", limit=0.2)
    assert evaluate(drift, Observation(metric=metric)).due is due


@pytest.mark.parametrize("metric", [None, float("nan"), float("inf")])
def test_an_unmeasured_drift_is_no_answer(metric: float | None) -> None:
    with pytest.raises(InvalidError, match="was not measured"):
        evaluate(Drift("thumbs", metric="wer", limit=0.2), Observation(metric=metric))


@pytest.mark.parametrize(
    ("share", "due", "reason"),
    [
        (0.31, True, "31.0% of thumb in thumbs/en@41..58, +10,214 rows is down, beyond its limit"),
        (0.3, False, "30.0% of thumb in thumbs/en@41..58, +10,214 rows is down, within its limit"),
        (None, False, "thumb in thumbs/en@41..58, +10,214 rows: none are new"),
    ],
)
def test_decay_is_a_share_beyond_its_limit(share: float | None, *, due: bool, reason: str) -> None:
    decay = Decay("thumbs/en", column="thumb", value="down", limit=0.3)
    seen = Observation(commits=SEEN, metric=share, nothing="none are new")
    evaluated = evaluate(decay, seen)
    assert (evaluated.due, evaluated.value, evaluated.limit) == (due, share, 0.3)
    assert evaluated.reason.startswith(reason)


@pytest.mark.parametrize("trigger", [Manual("fix"), Erasure("request 7")])
def test_people_and_erasures_are_always_due(trigger: Trigger) -> None:
    assert evaluate(trigger, Observation()).due


@given(TRIGGERS, OBSERVATIONS)
def test_the_stored_form_reads_back(trigger: Trigger, seen: Observation) -> None:
    evaluated = evaluate(trigger, seen)
    assert Evaluated.from_json(evaluated.to_json()) == evaluated


def test_the_stored_form_stays_what_it_is() -> None:
    evaluated = evaluate(Threshold("thumbs/en", rows=10_000), Observation(commits=SEEN))
    assert evaluated.to_json() == {
        "v": 1,
        "kind": "threshold",
        "condition": {"slice": "thumbs/en", "rows": 10_000},
        "value": 10_214,
        "limit": 10_000,
        "range": {"slice": "thumbs/en", "first": 41, "last": 58, "rows": 10_214},
        "due": True,
        "reason": "thumbs/en@41..58, +10,214 rows: at least 10,000 were asked for",
    }


@pytest.mark.parametrize(
    "change", [{"v": 2}, {"kind": "moon"}, {"condition": {}}, {"range": {"x": 1}}]
)
def test_an_unknown_stored_form_is_an_integrity_error(change: dict[str, Any]) -> None:
    stored = evaluate(Manual("x"), Observation()).to_json()
    with pytest.raises(IntegrityError):
        Evaluated.from_json(stored | change)


def test_not_due_is_a_refusal_that_says_what_was_seen() -> None:
    evaluated = evaluate(Threshold("thumbs/en", rows=99_999), Observation(commits=SEEN))
    refused = TriggerNotDue(evaluated)
    assert isinstance(refused, RefusedError)
    assert evaluated.kind is TriggerKind.THRESHOLD
    assert "+10,214 rows" in refused.message
    assert refused.evaluated is evaluated


@pytest.mark.parametrize(
    "make",
    [
        lambda: Threshold("thumbs", rows=0),
        lambda: Threshold("Not A Name", rows=1),
        lambda: Schedule("never", every=timedelta(0)),
        lambda: Drift("thumbs", metric="psi", limit=float("nan")),
        lambda: Decay("thumbs", column="thumb", value="down", limit=30),
    ],
)
def test_impossible_triggers_are_refused(make: Any) -> None:
    with pytest.raises(InvalidError):
        make()
