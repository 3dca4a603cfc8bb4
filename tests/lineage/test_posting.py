import json
from typing import Any

import pytest

import backstory
from backstory.lake.receipt import Receipt
from backstory.lineage import posting
from backstory.lineage.home import Home
from backstory.lineage.posting import Answer, Form, KeyReusedError, read_request, take_requests
from tests.lineage.homes import CONTRACT, thumbs


def request(home: Home, rows: list[Any], key: str | None, form: Form = Form.ARRAY) -> Any:
    texts = [json.dumps({**row, "at": row["at"].isoformat()}) for row in rows]
    body = f"[{','.join(texts)}]" if form is Form.ARRAY else "\n".join(texts)
    return read_request(home, "thumbs/en", body.encode(), form, key)


def take(home: Home, *requests: Any) -> list[Answer | KeyReusedError]:
    return take_requests(home, "thumbs/en", requests)


def receipt(answer: Answer | KeyReusedError) -> Receipt:
    assert isinstance(answer, Answer)
    return answer.receipt


def test_several_requests_are_one_commit(home: Home) -> None:
    home.create_slice(CONTRACT)
    answers = take(home, *(request(home, thumbs(n), f"key-{n}") for n in range(3)))
    assert [receipt(answer).version for answer in answers] == [1, 1, 1]
    assert [receipt(answer).accepted for answer in answers] == [4, 4, 4]
    assert home.slice("thumbs/en").at().rows == 12
    assert home.verify().findings == ()


def test_the_same_key_has_the_same_receipt(home: Home) -> None:
    home.create_slice(CONTRACT)
    [first] = take(home, request(home, thumbs(1), "a"))
    take(home, request(home, thumbs(2), "b"))
    again, more = take(home, request(home, thumbs(1), "a", Form.LINES), request(home, [], "c"))
    assert receipt(again) == receipt(first)
    assert isinstance(again, Answer)
    assert again.repeated
    assert receipt(more).outcome == "empty"
    assert home.slice("thumbs/en").at().rows == 8


def test_a_key_that_came_with_other_rows_is_refused_alone(home: Home) -> None:
    home.create_slice(CONTRACT)
    same = request(home, thumbs(1), "a")
    first, reused, again = take(home, same, request(home, thumbs(2), "a"), same)
    assert receipt(first) == receipt(again)
    assert isinstance(reused, KeyReusedError)
    assert isinstance(take(home, request(home, thumbs(2), "a"))[0], KeyReusedError)
    assert home.slice("thumbs/en").at().rows == 4


def test_without_a_key_the_rows_are_known(home: Home) -> None:
    home.create_slice(CONTRACT)
    for form in Form:
        take(home, request(home, thumbs(1), None, form))
    take(home, request(home, thumbs(2), None))
    assert home.slice("thumbs/en").at().rows == 8


def test_another_server_is_met(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.create_slice(CONTRACT)
    mine = [request(home, thumbs(n), f"key-{n}") for n in (1, 2)]
    known = posting._known
    with backstory.open(home.settings.home) as other:

        def raced(*args: Any) -> Any:
            found = known(*args)
            monkeypatch.setattr(posting, "_known", known)
            take_requests(other, "thumbs/en", [mine[1], request(other, thumbs(3), "key-3")])
            return found

        monkeypatch.setattr(posting, "_known", raced)
        answers = take(home, *mine)
    assert [receipt(answer).version for answer in answers] == [2, 1]
    assert home.slice("thumbs/en").at().rows == 12


def test_the_same_events_under_another_key_elsewhere_are_stored_once(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.create_slice(CONTRACT)
    known = posting._known
    with backstory.open(home.settings.home) as other:

        def raced(*args: Any) -> Any:
            found = known(*args)
            monkeypatch.setattr(posting, "_known", known)
            take_requests(other, "thumbs/en", [request(other, thumbs(1), "theirs")])
            return found

        monkeypatch.setattr(posting, "_known", raced)
        [mine] = take(home, request(home, thumbs(1), "mine"))
    assert receipt(mine).version == 2
    assert home.slice("thumbs/en").at().rows == 4


def test_keys_stay_secret_and_bounded(home: Home) -> None:
    home.create_slice(CONTRACT)
    take(home, request(home, thumbs(1), "mary-plainly"))
    for path in home.settings.home.rglob("*"):
        assert path.is_dir() or b"mary-plainly" not in path.read_bytes()
    for key in ("", "x" * 256):
        with pytest.raises(backstory.InvalidError, match="1 to 255 characters"):
            request(home, thumbs(1), key)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", "expected a JSON array of objects, found expecting value"),
        (b"{}", "expected a JSON array of objects, found an object of 0 fields"),
        (b"[1]", "row 1: expected one object, found a number"),
        (b"[" * 100_000, "found deeper nesting than can be read"),
        (b'[{"event_id": "\xff"}]', "row 1, column event_id: expected string"),
        (b'[{"event_id": "a", "event_id": "b"}]', "expected a JSON array of objects"),
        (b'[{"event_id": null}]', "row 1, column event_id: expected a value, found null"),
    ],
)
def test_bodies_that_do_not_fit(home: Home, body: bytes, fault: str) -> None:
    home.create_slice(CONTRACT)
    with pytest.raises(backstory.BatchRejectedError) as caught:
        read_request(home, "thumbs/en", body, Form.ARRAY, None)
    assert fault in caught.value.message


def test_rows_that_do_not_fit_are_in_quarantine_and_block_nobody(home: Home) -> None:
    home.create_slice(CONTRACT)
    good, bad = thumbs(2), [*thumbs(3), {**thumbs(4)[0], "stars": "many"}]
    other = [{**thumbs(5)[0], "event_id": None}, *thumbs(6)]
    requests = [request(home, rows, str(n)) for n, rows in enumerate((good, bad, other))]
    answers = take(home, *requests)
    told = [(r.accepted, r.rejected, r.duplicate) for r in map(receipt, answers)]
    assert told == [(4, 0, 0), (4, 1, 0), (4, 1, 0)]
    # 4 rows came first, then the fifth of the next 5, then the first of the last 5
    assert [list(a.rejected) for a in answers if isinstance(a, Answer)] == [[], ["1:9"], ["1:10"]]
    assert home.slice("thumbs/en").at().rows == 12
    [batch] = home.quarantined("thumbs/en")
    assert (batch.source, batch.rows, batch.waiting) == ("http", 2, 2)
    again = take(home, requests[1], request(home, bad, "1", Form.LINES))
    assert [receipt(one) for one in again] == [receipt(answers[1])] * 2
    assert len(home.quarantined("thumbs/en")) == 1
    assert home.verify().findings == ()


def test_too_many_that_do_not_fit_refuse_their_request_alone(home: Home) -> None:
    home.create_slice(CONTRACT)
    row = thumbs(1)[0]
    with pytest.raises(backstory.BatchRejectedError, match="1 of 1 rows do not fit"):
        request(home, [{**row, "stars": "many"}], "a")
    take(home, request(home, [row], "b"))
    assert home.slice("thumbs/en").at().rows == 1


def test_events_that_came_before_are_counted_by_request(home: Home) -> None:
    home.create_slice(CONTRACT)
    take(home, request(home, thumbs(1), "before"))
    again, new = thumbs(1)[:3], thumbs(2)
    mixed = [*again, *new, new[0]]
    answers = take(home, request(home, new[:1], "a"), request(home, mixed, "b"))
    told = [(r.accepted, r.duplicate) for r in map(receipt, answers)]
    assert told == [(1, 0), (3, 5)]
    repeated = take(home, request(home, mixed, "b"))
    assert receipt(repeated[0]) == receipt(answers[1])
    nothing_new = take(home, request(home, again, "c"))
    assert (receipt(nothing_new[0]).accepted, receipt(nothing_new[0]).duplicate) == (0, 3)
    assert home.slice("thumbs/en").at().rows == 8


def test_what_others_call_requests_is_none_of_ours(home: Home) -> None:
    home.create_slice(CONTRACT)
    home.slice("thumbs/en").append(thumbs(1), source="app", info={"requests": 7})
    assert receipt(take(home, request(home, thumbs(2), "a"))[0]).version == 2
