from datetime import UTC, date, datetime

import pytest

from backstory.lake.contract import Contract
from backstory.lake.errors import InvalidError
from backstory.lake.signals import Signal, signals_of, taxonomy

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 11, 5, tzinfo=UTC)
TEXT = """
slice: thumbs/en
purpose: improve the ranker
signals:
  thumb_up: it helped
  copied: {meaning: taken over, since: 2026-10-01, until: 2026-12-01T09:00:00+01:00}
  dwell:
columns:
  label: {type: string}
"""


def test_a_mapping_gives_words_their_meaning() -> None:
    assert Contract.from_yaml(TEXT).signals == (
        Signal(name="thumb_up", meaning="it helped"),
        Signal(
            name="copied",
            meaning="taken over",
            since=datetime(2026, 10, 1, tzinfo=UTC),
            until=datetime(2026, 12, 1, 8, tzinfo=UTC),
        ),
        Signal(name="dwell"),
    )


def test_words_are_written_as_they_always_were() -> None:
    old = Contract.from_yaml(
        "{slice: s, purpose: p, signals: [up, down], columns: {a: {type: int64}}}"
    )
    assert old.to_json() == (
        '{"columns":[{"name":"a","type":"int64"}],"format":"backstory-contract v1",'
        '"purpose":"p","signals":["up","down"],"slice":"s"}'
    )
    assert old.digest == "6d516c375384654cfb07401b5d63842092698785cf899092d4e83bc9f7855cc8"


@pytest.mark.parametrize(
    ("document", "problem"),
    {
        "number": ([1], "signals are words"),
        "text as a list of letters": ("up", "distinct words"),
        "twice": (["up", {"name": "up"}], "distinct words"),
        "empty": ([" "], "not empty"),
        "no name": ([{"meaning": "?"}], "name is missing"),
        "unknown field": ([{"name": "up", "means": "?"}], "unknown field 'means'"),
        "no time": ([{"name": "up", "since": "yesterday"}], "is no time"),
        "no zone": ([{"name": "up", "since": "2026-11-01T09:00:00"}], "no time with a zone"),
        "ends first": ([{"name": "up", "since": "2026-11-02", "until": "2026-11-01"}], "ends at"),
        "meaning of a number": ({"up": 5}, "signals are words"),
    }.values(),
    ids=str,
)
def test_what_is_no_signal(document: object, problem: str) -> None:
    with pytest.raises(InvalidError, match=problem):
        signals_of(["u", "u"] if document == "up" else document)


def test_a_signal_begins_with_the_version_that_first_had_it() -> None:
    versions = [
        (1, NOON, signals_of(["up"])),
        (2, LATER, signals_of(["up", "down", {"name": "old", "since": "2026-01-01"}])),
    ]
    up, down, old = taxonomy(versions)
    assert (up.signal.since, up.known_from, up.since_given) == (NOON, 1, False)
    assert (down.signal.since, down.known_from) == (LATER, 2)
    assert (old.signal.since, old.known_from, old.since_given) == (
        datetime(2026, 1, 1, tzinfo=UTC),
        2,
        True,
    )
    assert [life.signal.name for life in (up, down, old) if life.signal.given_at(NOON)] == [
        "up",
        "old",
    ]


def test_a_signal_that_ended_before_it_was_registered() -> None:
    [life] = taxonomy([(1, LATER, signals_of([{"name": "gone", "until": date(2026, 11, 2)}]))])
    assert life.signal.since is None
    assert life.signal.given_at(NOON)
    assert not life.signal.given_at(LATER)


def test_a_history_without_versions_has_no_signals() -> None:
    assert taxonomy([]) == ()
