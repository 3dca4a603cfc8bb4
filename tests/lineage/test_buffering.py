"""A buffer stores rows in groups: at its bounds, in order, each once; a failure loses none."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

import backstory
from backstory.lake.errors import UnavailableError
from backstory.lake.receipt import Outcome, Receipt
from backstory.lineage import buffering, ingest
from backstory.lineage.buffering import FeedbackBuffer
from backstory.lineage.home import Home
from tests.lineage.homes import CONTRACT, feed

FOR_EVER = 3_600.0
PATIENCE = 30.0
PLAIN = "slice: plain\npurpose: count clicks\ncolumns:\n  clicks: {type: int64, nullable: false}\n"


def rows(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [{"event_id": f"e{n}", "stars": n} for n in range(first, first + count)]


def stored(home: Home) -> list[int]:
    """The stars in the slice, in the order of their commits."""
    table = home.slice("thumbs/en").at().arrow(columns=["stars", "_offset"])
    ordered = table.sort_by([("_offset", "ascending"), ("stars", "ascending")])
    return list(ordered["stars"].to_pylist())


def failing(monkeypatch: pytest.MonkeyPatch, *, after: bool) -> threading.Event:
    """Appends fail until the event is set, before they store or after."""
    mended = threading.Event()

    def append(*args: Any, **kwargs: Any) -> Receipt:
        if mended.is_set():
            return ingest.append(*args, **kwargs)
        if after:
            ingest.append(*args, **kwargs)
        raise UnavailableError("the disk is full")

    monkeypatch.setattr(buffering, "append", append)
    return mended


def add_until_it_raises(feedback: FeedbackBuffer) -> None:
    moment = threading.Event()
    for n in range(1, 10_000):
        feedback.add(*rows(1, first=n))
        moment.wait(0.001)


def test_rows_are_stored_when_there_are_enough_and_at_the_end(home: Home) -> None:
    home.create_slice(CONTRACT)
    receipts: list[Receipt] = []
    with home.slice("thumbs/en").buffered(
        source="app", rows=2, seconds=FOR_EVER, told=receipts.append
    ) as feedback:
        for row in rows(5):
            feedback.add(row)
        assert feedback.waiting == 1
    assert [(one.accepted, one.offset) for one in receipts] == [(2, 2), (2, 4), (1, 5)]
    assert {one.source for one in receipts} == {"app"}
    assert feedback.waiting == 0
    assert stored(home) == [0, 1, 2, 3, 4]


def test_rows_wait_no_longer_than_they_may(home: Home) -> None:
    home.create_slice(CONTRACT)
    told = threading.Event()
    with home.slice("thumbs/en").buffered(
        rows=100, seconds=0.01, told=lambda _receipt: told.set()
    ) as feedback:
        for row in rows(2):
            told.clear()
            feedback.add(row)
            assert told.wait(PATIENCE)
    assert stored(home) == [0, 1]


def test_a_flush_stores_what_waits(home: Home) -> None:
    home.create_slice(CONTRACT)
    with home.slice("thumbs/en").buffered(seconds=FOR_EVER) as feedback:
        assert feedback.flush() == []
        feedback.add(*rows(3))
        [receipt] = feedback.flush()
        assert (receipt.outcome, receipt.accepted) == (Outcome.ACCEPTED, 3)


def test_equal_rows_of_two_groups_are_rows_of_their_own(home: Home) -> None:
    home.create_slice(PLAIN)
    with home.slice("plain").buffered(rows=1, seconds=FOR_EVER) as feedback:
        feedback.add({"clicks": 1})
        feedback.add({"clicks": 1})
    assert home.slice("plain").at().rows == 2


def test_offsets_go_on_where_the_slice_knows_the_source_to_be(home: Home) -> None:
    feed(home, 3)
    one, two = (home.slice("thumbs/en").buffered(source="app", seconds=FOR_EVER) for _ in "ab")
    one.add(*rows(2))
    two.add(*rows(3, first=2))
    offsets = [buffer.flush()[0].offset for buffer in (one, two, one) if buffer.waiting]
    assert offsets == [5, 8]
    for buffer in (one, two):
        buffer.close()


def test_who_is_overtaken_at_an_offset_takes_the_next(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.create_slice(CONTRACT)
    one, two = (home.slice("thumbs/en").buffered(source="app", seconds=FOR_EVER) for _ in "ab")
    one.add(*rows(2))
    two.add(*rows(2, first=2))

    def overtaken(*args: Any, **kwargs: Any) -> Receipt:
        monkeypatch.undo()
        two.flush()
        return ingest.append(*args, **kwargs)

    monkeypatch.setattr(buffering, "append", overtaken)
    assert one.flush()[0].offset == 4
    assert stored(home) == [2, 3, 0, 1]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_rows_that_could_not_be_stored_wait_and_land_once(
    home: Home, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    home.create_slice(CONTRACT)
    mended = failing(monkeypatch, after=after)
    with home.slice("thumbs/en").buffered(rows=2, seconds=FOR_EVER) as feedback:
        feedback.add(rows(1)[0])
        with pytest.raises(backstory.UnavailableError):
            feedback.add(rows(1, first=1)[0])
        feedback.add(*rows(3, first=2))  # waits: what failed is not tried with each row
        with pytest.raises(backstory.UnavailableError):
            feedback.flush()
        assert feedback.waiting == 5
        mended.set()
    assert stored(home) == [0, 1, 2, 3, 4]


def test_what_the_thread_could_not_store_is_raised_by_the_next_call(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.create_slice(CONTRACT)
    mended = failing(monkeypatch, after=False)
    feedback = home.slice("thumbs/en").buffered(seconds=0.01)
    feedback.add(rows(1)[0])
    with pytest.raises(backstory.UnavailableError, match="the disk is full"):
        add_until_it_raises(feedback)
    taken = feedback.waiting
    mended.set()
    feedback.close()
    assert stored(home) == list(range(taken))


def test_a_group_that_does_not_fit_is_given_back(home: Home) -> None:
    home.create_slice(CONTRACT)
    with home.slice("thumbs/en").buffered(seconds=FOR_EVER, strict=True) as feedback:
        feedback.add({"event_id": "e1", "stars": "many"})
        with pytest.raises(backstory.BatchRejectedError):
            feedback.flush()
        feedback.add(*rows(1))
        misfit, good = feedback.discard()
        assert misfit["stars"] == "many"
        feedback.add(good)
    assert stored(home) == [0]


def test_rows_are_stored_also_when_the_block_fails(home: Home) -> None:
    home.create_slice(CONTRACT)
    feedback = home.slice("thumbs/en").buffered(seconds=FOR_EVER)
    feedback.add(*rows(2))
    with pytest.raises(KeyboardInterrupt), feedback:
        raise KeyboardInterrupt
    assert stored(home) == [0, 1]
    with pytest.raises(backstory.InvalidError, match="is closed"):
        feedback.add(*rows(1))


def test_a_close_that_failed_may_be_repeated(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.create_slice(CONTRACT)
    mended = failing(monkeypatch, after=False)
    feedback = home.slice("thumbs/en").buffered(seconds=FOR_EVER)
    feedback.add(*rows(2))
    with pytest.raises(backstory.UnavailableError):
        feedback.close()
    mended.set()
    feedback.close()
    assert stored(home) == [0, 1]


def test_threads_share_a_buffer(home: Home) -> None:
    home.create_slice(CONTRACT)
    with home.slice("thumbs/en").buffered(rows=32, seconds=0.02) as feedback:

        def send(first: int) -> None:
            for row in rows(40, first=first):
                feedback.add(row)

        threads = [threading.Thread(target=send, args=(40 * n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(stored(home)) == list(range(160))


def test_a_row_is_taken_as_it_is_when_it_is_added(home: Home) -> None:
    home.create_slice(CONTRACT)
    with home.slice("thumbs/en").buffered(seconds=FOR_EVER) as feedback:
        row = {"event_id": "e1", "stars": 1}
        feedback.add(row)
        row["stars"] = 2
    assert stored(home) == [1]


def test_what_told_raises_reaches_the_caller(home: Home) -> None:
    home.create_slice(CONTRACT)

    def told(_receipt: Receipt) -> None:
        raise ValueError("no")

    feedback = home.slice("thumbs/en").buffered(seconds=FOR_EVER, told=told)
    feedback.add(*rows(1))
    with pytest.raises(ValueError, match="no"):
        feedback.close()
    assert stored(home) == [0]


@pytest.mark.parametrize(
    "make",
    [
        lambda home: home.slice("thumbs/en").buffered(rows=0),
        lambda home: home.slice("thumbs/en").buffered(seconds=float("nan")),
        lambda home: home.slice("thumbs/en").buffered(rows=buffering.MAX_BUFFERED_ROWS + 1),
        lambda home: home.slice("thumbs/fr").buffered(),
    ],
    ids=["no rows", "no time", "too many rows", "no slice"],
)
def test_a_buffer_that_cannot_be_is_refused(home: Home, make: Callable[[Home], object]) -> None:
    home.create_slice(CONTRACT)
    with pytest.raises((backstory.InvalidError, backstory.NotFoundError)):
        make(home)


def test_no_more_rows_wait_than_a_buffer_holds(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.create_slice(CONTRACT)
    monkeypatch.setattr(buffering, "MAX_BUFFERED_ROWS", 3)
    with home.slice("thumbs/en").buffered(rows=3, seconds=FOR_EVER) as feedback:
        feedback.add(*rows(2))
        with pytest.raises(backstory.LimitExceededError, match="2 rows wait"):
            feedback.add(*rows(2, first=2))
    assert stored(home) == [0, 1]
