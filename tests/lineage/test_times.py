from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstory.lake.errors import InvalidError
from backstory.lineage.times import in_utc, parse_time, time_text

INSTANTS = st.datetimes(timezones=st.just(UTC))

READ = {
    "date": ("2026-11-14", datetime(2026, 11, 14, tzinfo=UTC)),
    "minutes": ("2026-11-14T09:41Z", datetime(2026, 11, 14, 9, 41, tzinfo=UTC)),
    "seconds": ("2026-11-14T09:41:07Z", datetime(2026, 11, 14, 9, 41, 7, tzinfo=UTC)),
    "fraction": ("2026-11-14T09:41:07.5Z", datetime(2026, 11, 14, 9, 41, 7, 500_000, tzinfo=UTC)),
    "nanoseconds": (
        "2026-11-14T09:41:07.123456999Z",
        datetime(2026, 11, 14, 9, 41, 7, 123_456, tzinfo=UTC),
    ),
    "offset": ("2026-11-14T09:41:07+02:00", datetime(2026, 11, 14, 7, 41, 7, tzinfo=UTC)),
    "lower case and blank": ("2026-11-14 09:41z", datetime(2026, 11, 14, 9, 41, tzinfo=UTC)),
}

REFUSED = [
    "",
    "yesterday",
    "2026-11-14T09:41:07",
    "2026-11-14T09:41",
    "2026-11-14Z",
    "2026-13-01",
    "2026-02-30T00:00Z",
    "2026-11-14T25:00Z",
    "2026-11-14T09:41.5Z",
    "20261114",
    "1763113267",
    "0001-01-01T00:00:00+14:00",
    "\u0662026-11-14",
]


@pytest.mark.parametrize(("text", "expected"), READ.values(), ids=READ)
def test_times_are_read(text: str, expected: datetime) -> None:
    assert parse_time(text) == expected
    assert parse_time(text).tzinfo is UTC


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_instant_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidError) as refused:
        parse_time(text)
    assert "2026-11-14T09:41Z" in refused.value.hint


@given(INSTANTS)
def test_the_text_of_an_instant_reads_back_exactly(at: datetime) -> None:
    assert parse_time(time_text(at)) == at


def test_the_text_is_the_shortest_exact_one() -> None:
    at = datetime(2026, 11, 14, 9, 41, 7, tzinfo=UTC)
    assert time_text(at) == "2026-11-14T09:41:07Z"
    assert time_text(at + timedelta(microseconds=123)) == "2026-11-14T09:41:07.000123Z"
    assert time_text(at + timedelta(milliseconds=120)) == "2026-11-14T09:41:07.12Z"
    assert time_text(at.astimezone(timezone(timedelta(hours=5)))) == "2026-11-14T09:41:07Z"


def test_naive_times_are_refused() -> None:
    with pytest.raises(InvalidError, match="no time zone"):
        in_utc(datetime(2026, 11, 14))  # noqa: DTZ001 - the point of the test
