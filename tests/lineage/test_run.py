from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstory.lineage.run import RunState, StateChange, last_change, state_of_event, training_job

NOON = datetime(2026, 11, 14, 12, tzinfo=UTC)


def make_change(state: RunState, minute: int = 0, message: str | None = None) -> StateChange:
    return StateChange(state=state, at=NOON + timedelta(minutes=minute), message=message)


CHANGES = st.builds(
    make_change,
    st.sampled_from(RunState),
    st.integers(0, 3),
    st.sampled_from([None, "a", "b"]),
)


@given(st.lists(CHANGES, max_size=6), st.randoms(use_true_random=False))
def test_the_state_does_not_depend_on_order_or_repetition(
    changes: list[StateChange], random: Random
) -> None:
    shuffled = [*changes, *changes[:2]]
    random.shuffle(shuffled)
    assert last_change(shuffled) == last_change(changes)


def test_an_end_beats_a_later_beginning() -> None:
    end, start = make_change(RunState.COMPLETED), make_change(RunState.STARTED, minute=5)
    assert last_change([end, start]) == end


def test_of_two_ends_the_later_one_counts() -> None:
    failed, completed = make_change(RunState.FAILED), make_change(RunState.COMPLETED, minute=1)
    assert last_change([completed, failed]) == completed


def test_what_the_process_says_beats_our_conclusion() -> None:
    abandoned = make_change(RunState.ABANDONED, minute=60)
    assert last_change([make_change(RunState.RUNNING, minute=90), abandoned]) == abandoned
    assert last_change([abandoned, completed := make_change(RunState.COMPLETED)]) == completed


@pytest.mark.parametrize(
    ("event_type", "state"),
    [
        ("START", RunState.STARTED),
        ("RUNNING", RunState.RUNNING),
        ("COMPLETE", RunState.COMPLETED),
        ("complete", RunState.COMPLETED),
        ("FAIL", RunState.FAILED),
        ("ABORT", RunState.ABORTED),
        ("OTHER", None),
        ("WHATEVER", None),
        (None, None),
    ],
)
def test_events_tell_states(event_type: str | None, state: RunState | None) -> None:
    assert state_of_event(event_type) == state


def test_a_models_retrainings_are_one_job() -> None:
    assert training_job("ranker") == "retrain.ranker"
