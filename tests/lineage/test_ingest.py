from pathlib import Path

import pytest

import backstory
from backstory.lineage.home import Home
from backstory.lineage.taking_files import ingest_files
from tests.lineage.homes import CONTRACT, backstory_error, feed, link, thumbs, train


def test_the_same_batch_is_stored_once(home: Home) -> None:
    feed(home)
    again = home.slice("thumbs/en").append(thumbs(1), source="app", offset=1)
    assert (again.accepted, again.duplicate) == (0, 4)
    assert home.slice("thumbs/en").at().rows == 4


def test_an_offset_holds_one_batch(home: Home) -> None:
    feed(home, 2)
    with pytest.raises(backstory.OffsetConflict) as caught:
        home.slice("thumbs/en").append(thumbs(9), source="app", offset=1)
    assert (caught.value.source, caught.value.last) == ("app", 2)


def test_without_offsets_rows_are_counted_and_known_again(home: Home) -> None:
    feed(home, 0)
    for batch in (1, 2, 1):
        home.slice("thumbs/en").append(thumbs(batch))
    assert [use.commit.offset for use in home.history("thumbs/en")] == [8, 4, None]


def test_no_rows_without_an_offset_are_nothing_to_record(home: Home, tmp_path: Path) -> None:
    feed(home, 2)
    (tmp_path / "none.jsonl").touch()
    [(_, of_file)] = ingest_files(home, "thumbs/en", [tmp_path / "none.jsonl"], source="app")
    for nothing in (of_file, home.slice("thumbs/en").append([], source="app")):
        assert (nothing.outcome, nothing.accepted, nothing.duplicate) == ("empty", 0, 0)
        assert (nothing.version, nothing.offset) == (None, 2)
    assert home.slice("thumbs/en").append([]).offset == 0
    assert home.slice("thumbs/en").at().version == 2


def test_no_rows_at_an_offset_record_how_far_a_source_is(home: Home) -> None:
    feed(home, 2)
    passed = home.slice("thumbs/en").append([], source="app", offset=9)
    assert (passed.outcome, passed.accepted, passed.version) == ("accepted", 0, 3)


def test_a_name_means_one_thing(home: Home) -> None:
    train(home, model="thumbs/en")
    with pytest.raises(backstory.BackstoryError, match="taken by a model"):
        home.create_slice(CONTRACT)
    feed_name = CONTRACT.replace("thumbs/en", "other")
    home.create_slice(feed_name)
    with pytest.raises(backstory.ConflictError):
        train(home, model="other")
    with pytest.raises(backstory.ConflictError):
        home.create_slice(feed_name)


def test_a_link_takes_no_name_of_a_model(home: Home, tmp_path: Path) -> None:
    train(home, model="clicks")
    with pytest.raises(backstory.BackstoryError):
        link(home, tmp_path)
    assert home.slices() == []
    assert home.verify().intact
    with backstory.open(home.settings.home) as opened:
        assert opened.slices() == []


def test_rows_go_to_slices_only(home: Home, tmp_path: Path) -> None:
    feed(home)
    train(home)
    link(home, tmp_path)
    with pytest.raises(backstory.InvalidError, match="'ranker' is a model, not a slice"):
        home.slice("ranker").append(thumbs(1))
    with pytest.raises(backstory.InvalidError, match="clicks is linked"):
        home.slice("clicks").append(thumbs(1))
    with pytest.raises(backstory.NotFoundError) as caught:
        home.slice("thumbs/em").append(thumbs(1))
    assert "thumbs/en" in backstory_error(caught)


def test_a_bad_row_refuses_its_batch_where_one_is_strict(home: Home) -> None:
    feed(home)
    rows = [*thumbs(2), {"event_id": None}]
    with pytest.raises(backstory.BatchRejectedError):
        home.slice("thumbs/en").append(rows, source="app", offset=2, strict=True)
    assert home.slice("thumbs/en").at().version == 1


def test_files_are_taken_one_by_one(home: Home, tmp_path: Path) -> None:
    feed(home, 0)
    path = tmp_path / "day.jsonl"
    path.write_text('{"event_id": "a", "stars": 3}\n')
    [(taken, receipt)] = ingest_files(home, "thumbs/en", [path])
    assert (taken, receipt.accepted) == (path, 1)
    assert home.history("thumbs/en")[0].commit.source == "file:day"
    with pytest.raises(backstory.InvalidError, match="one file"):
        list(ingest_files(home, "thumbs/en", [path, path], offset=3))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b'{"event_id": "b", "stars": "x"}\n', "b.jsonl: thumbs/en: row 1, column stars"),
        (b'{"event_id": "b", "stars": 3}\n', "b.jsonl: source 'app': offset 1 "),
        (b"\x1f\x8b", "b.jsonl: the gzip stream is damaged"),
    ],
    ids=["a row", "its offset", "the whole"],
)
def test_a_file_at_fault_is_named_once(
    home: Home, tmp_path: Path, content: bytes, fault: str
) -> None:
    feed(home, 2)
    (tmp_path / "b.jsonl").write_bytes(content)
    with pytest.raises(backstory.BackstoryError) as caught:
        list(ingest_files(home, "thumbs/en", [tmp_path / "b.jsonl"], source="app", offset=1))
    assert str(caught.value).startswith(fault)
    assert str(caught.value) == caught.value.message
    assert caught.value.message.count("b.jsonl") == 1


def test_a_contract_is_read_from_a_file(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "contract.yaml"
    with pytest.raises(backstory.NotFoundError, match="there is no file"):
        home.create_slice(path)
    path.write_bytes(b"\xff")
    with pytest.raises(backstory.InvalidError, match="not UTF-8"):
        home.create_slice(path)
    path.write_text(CONTRACT)
    assert home.create_slice(path).name == "thumbs/en"
