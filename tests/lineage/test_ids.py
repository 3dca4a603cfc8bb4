import uuid
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from backstory.lineage.ids import interaction_id, new_id, uuid7
from backstory.lineage.times import EPOCH

AT = datetime(2026, 11, 14, 9, 41, 7, 123_456, tzinfo=UTC)
INSTANTS = st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(INSTANTS, st.binary(min_size=8, max_size=8))
def test_ids_are_version_7_of_their_time(at: datetime, entropy: bytes) -> None:
    read = uuid.UUID(uuid7(at, entropy))
    assert read.version == 7
    assert read.variant == uuid.RFC_4122
    assert read.int >> 80 == (at - EPOCH) // timedelta(milliseconds=1)
    assert str(read) == uuid7(at, entropy)


@given(INSTANTS, INSTANTS)
def test_ids_sort_by_time_to_the_microsecond(first: datetime, second: datetime) -> None:
    if first < second:
        assert uuid7(first, b"\xff" * 8) < uuid7(second, bytes(8))


def test_ids_of_one_instant_differ() -> None:
    assert len({new_id(lambda: AT) for _ in range(1000)}) == 1000


@given(INSTANTS, st.text())
def test_an_interaction_has_one_id_however_often_it_is_recorded(at: datetime, name: str) -> None:
    given_id = interaction_id(at, name)
    assert interaction_id(at, name) == given_id
    assert uuid.UUID(given_id).version == 7
    assert interaction_id(at, name + "x") != given_id


def test_interaction_ids_stay_what_they_are() -> None:
    assert interaction_id(AT, "zendesk:8812") == "01a1d96e-9bb3-76ad-8e4e-341098406654"
    assert interaction_id(AT, None, bytes(8)) == uuid7(AT, bytes(8))
