import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from backstory.lake.errors import (
    BackstoryError,
    ConflictError,
    GoneError,
    IntegrityError,
    InvalidError,
    NotFoundError,
    RefusedError,
)
from backstory.lake.linked import LinkedTable, link
from backstory.lake.snapshot import Snapshot, open_snapshot
from tests.lake import foreign
from tests.lake.disk import watch_syncs
from tests.lake.thumbs import NOW, create


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "lake"


def linked(root: Path, folder: Path) -> LinkedTable:
    return link(root, "clicks/raw", str(folder), at=NOW)


def opened(root: Path, folder: Path) -> Snapshot:
    return open_snapshot(linked(root, folder))


def by_number(table: pa.Table) -> list[dict[str, object]]:
    return sorted(table.to_pylist(), key=lambda row: row["n"])


def through_delta(folder: Path) -> list[dict[str, object]]:
    return by_number(pa.table(DeltaTable(folder).scan()))


def test_a_link_is_opened_again_as_it_was_made(root: Path, tmp_path: Path) -> None:
    made = linked(root, foreign.plain(tmp_path / "theirs"))
    assert LinkedTable.open(root, "clicks/raw") == made
    assert (made.name, made.folder, made.at) == ("clicks/raw", tmp_path / "theirs", NOW)
    assert made.table_id == str(DeltaTable(made.folder).metadata().id)
    assert [(c.name, c.type) for c in made.contract.columns] == [
        ("n", pa.int64()),
        ("word", pa.string()),
    ]


def test_linking_twice_changes_nothing_and_linking_elsewhere_is_refused(
    root: Path, tmp_path: Path
) -> None:
    made = linked(root, foreign.plain(tmp_path / "theirs"))
    assert link(root, "clicks/raw", f"file://{made.folder}", at=NOW) == made
    with pytest.raises(ConflictError, match="linked already"):
        linked(root, foreign.plain(tmp_path / "others"))


def test_a_name_or_folder_of_ours_cannot_be_linked(root: Path, tmp_path: Path) -> None:
    table = create(root)
    with pytest.raises(RefusedError, match="lies in this lake"):
        link(root, "copy", str(table.folder), at=NOW)
    with pytest.raises(ConflictError, match="is a slice already"):
        link(root, "thumbs/en", str(foreign.plain(tmp_path / "theirs")), at=NOW)


@pytest.mark.parametrize(
    ("uri", "error"),
    [
        ("nothing-here", NotFoundError),
        ("https://bucket/table", InvalidError),
        ("with[brackets]", InvalidError),
        ("with%41percent", InvalidError),
    ],
)
def test_what_cannot_be_linked_is_told(
    root: Path, tmp_path: Path, uri: str, error: type[BackstoryError]
) -> None:
    with pytest.raises(error):
        link(root, "x", uri if ":" in uri else str(tmp_path / uri), at=NOW)
    with pytest.raises(NotFoundError):
        LinkedTable.open(root, "x")


def test_a_damaged_link_is_told(root: Path, tmp_path: Path) -> None:
    path = linked(root, foreign.plain(tmp_path / "theirs")).home / "link.json"
    path.write_text(path.read_text().replace("theirs", "others"))
    with pytest.raises(IntegrityError, match="seal"):
        LinkedTable.open(root, "clicks/raw")


def test_nothing_is_written_into_their_folder(root: Path, tmp_path: Path) -> None:
    folder = foreign.plain(tmp_path / "theirs")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert opened(root, folder).arrow().num_rows == 20
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.parametrize(
    "make",
    [
        foreign.plain,
        foreign.partitioned,
        foreign.with_deletion_vector,
        foreign.with_mapped_columns,
        lambda folder: foreign.plain(folder, foreign.numbers(0)),
    ],
    ids=["plain", "partitioned", "deletion vector", "mapped columns", "empty"],
)
@pytest.mark.parametrize("name", ["theirs", "their % {data}* &é'"])
def test_rows_are_those_that_delta_says(
    root: Path, tmp_path: Path, make: object, name: str
) -> None:
    assert callable(make)
    folder = make(tmp_path / name)
    snapshot = opened(root, folder)
    expected = through_delta(folder)

    assert by_number(snapshot.arrow()) == expected
    assert snapshot.rows == snapshot.count() == len(expected)
    assert snapshot.arrow() == snapshot.arrow()
    assert snapshot.arrow() == snapshot.batches().read_all()
    some = [row for row in expected if isinstance(row["n"], int) and row["n"] > 4]
    assert by_number(snapshot.arrow(where="n > 4")) == some
    assert snapshot.count("n > 4") == len(some)
    relation = snapshot.duckdb(["n"])
    assert relation.count("*").fetchall() == relation.count("*").fetchall() == [(len(expected),)]


def test_rows_that_a_deletion_vector_hides_stay_hidden(root: Path, tmp_path: Path) -> None:
    folder = foreign.with_deletion_vector(tmp_path / "theirs", deleted=[3, 7])
    snapshot = opened(root, folder)
    assert snapshot.needs_engine
    assert snapshot.arrow()["n"].to_pylist() == [0, 1, 2, 4, 5, 6, 8, 9]
    assert snapshot.count("n in (3, 7)") == 0
    before = open_snapshot(linked(root, folder), 0)
    assert (before.needs_engine, before.rows) == (False, 10)


def test_columns_that_are_mapped_crosswise_come_under_their_names(
    root: Path, tmp_path: Path
) -> None:
    snapshot = opened(root, foreign.with_mapped_columns(tmp_path / "theirs"))
    assert snapshot.needs_engine
    assert snapshot.schema == foreign.numbers().schema
    assert snapshot.arrow(["word", "n"], "n = 4").to_pylist() == [{"word": "w4", "n": 4}]


@pytest.mark.parametrize(
    "path",
    [
        "../secret.parquet",
        "%2e%2e/secret.parquet",
        "sub/../../secret.parquet",
        "/{outside}/secret.parquet",
        "file:///{outside}/secret.parquet",
        "file:secret.parquet",
        "s3://bucket/secret.parquet",
        "a\tb.parquet",
        "link/secret.parquet",
    ],
)
def test_a_file_outside_the_table_is_refused(root: Path, tmp_path: Path, path: str) -> None:
    pq.write_table(foreign.numbers(), tmp_path / "secret.parquet")
    folder = foreign.with_add_path(tmp_path / "theirs", path.format(outside=tmp_path))
    (folder / "link").symlink_to(tmp_path)
    with pytest.raises(IntegrityError):
        linked(root, folder)
    with pytest.raises(NotFoundError):
        LinkedTable.open(root, "clicks/raw")


def test_a_path_is_decoded_once(root: Path, tmp_path: Path) -> None:
    folder = foreign.with_add_path(tmp_path / "theirs", "a%2520b.parquet")
    next(folder.glob("part-*")).rename(folder / "a%20b.parquet")
    snapshot = opened(root, folder)
    assert snapshot.manifest.files[0].path == "a%20b.parquet"
    assert snapshot.arrow() == foreign.numbers()


def test_a_column_added_later_is_null_before(root: Path, tmp_path: Path) -> None:
    folder = foreign.plain(tmp_path / "theirs", foreign.numbers(2))
    wider = pa.table({"n": [2], "word": ["w2"], "new": pa.array([1.5], pa.float32())})
    write_deltalake(folder, wider, mode="append", schema_mode="merge")
    table = linked(root, folder)

    assert sorted(open_snapshot(table).arrow()["new"].to_pylist(), key=str) == [1.5, None, None]
    assert open_snapshot(table, 0).schema.names == ["n", "word"]


def test_old_timestamps_are_the_same_instants(root: Path, tmp_path: Path) -> None:
    rows = pa.table({"n": [1], "at": pa.array([NOW], pa.timestamp("us", tz="UTC"))})
    folder = foreign.plain(tmp_path / "theirs", rows)
    path = next(folder.glob("part-*"))
    pq.write_table(rows, path, use_deprecated_int96_timestamps=True)
    foreign.rewrite_entry(folder, 0, lambda action: _resized(action, path))
    snapshot = opened(root, folder)
    assert snapshot.arrow() == rows
    assert snapshot.count("at = '2026-11-24T09:41:00Z'") == 1


def test_statistics_without_nan_hide_no_row(root: Path, tmp_path: Path) -> None:
    rows = pa.table({"n": [1, 2, 3], "score": [1.0, float("nan"), 5.0]})
    folder = foreign.plain(tmp_path / "theirs", rows)
    path = next(folder.glob("part-*"))
    pq.write_table(rows, path)  # pyarrow leaves the NaN out of the file's range
    foreign.rewrite_entry(folder, 0, lambda action: _resized(action, path))
    assert opened(root, folder).count("score > 100") == 1


def test_files_without_statistics_are_counted(root: Path, tmp_path: Path) -> None:
    folder = foreign.plain(tmp_path / "theirs", foreign.numbers(7))
    path = next(folder.glob("part-*"))

    def unknown(action: foreign.Action) -> foreign.Action:
        action.get("add", {}).pop("stats", None)
        return action

    foreign.rewrite_entry(folder, 0, unknown)
    assert opened(root, folder).rows == 7
    path.write_bytes(b"no parquet")
    with pytest.raises(IntegrityError, match="no Parquet file"):
        open_snapshot(LinkedTable.open(root, "clicks/raw"))
    path.unlink()
    with pytest.raises(GoneError):
        open_snapshot(LinkedTable.open(root, "clicks/raw"))


@pytest.mark.parametrize("make", [foreign.plain, foreign.with_deletion_vector])
def test_damage_is_an_error_in_one_line_whatever_delta_rs_does(
    root: Path, tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    folder = make(tmp_path / "theirs")
    table = linked(root, folder)
    chance = random.Random(364)
    outcomes = Counter[str]()
    messages = []
    for path in (*folder.glob("part-*"), *folder.glob("_delta_log/*.json")):
        data = path.read_bytes()
        for position in range(len(data) - 200, len(data), 5):
            damaged = bytearray(data)
            damaged[position] ^= 1 << chance.randrange(8)
            path.write_bytes(damaged)
            try:
                open_snapshot(table).arrow()
                outcomes["read"] += 1  # a foreign file that nobody hashed
            except BackstoryError as exc:
                messages.append(exc.message)
                outcomes[type(exc).__name__] += 1
        path.write_bytes(data)
    assert not [message for message in messages if "\n" in message]
    assert set(outcomes) == {"read", "IntegrityError"}


def test_partitions_of_bytes_are_refused(root: Path, tmp_path: Path) -> None:
    rows = pa.table({"n": [1, 2], "key": pa.array([b"\x00", b"\xff"])})
    folder = tmp_path / "theirs"
    write_deltalake(folder, rows, partition_by=["key"])
    with pytest.raises(RefusedError):
        linked(root, folder)


def _resized(action: foreign.Action, path: Path) -> foreign.Action:
    if "add" in action:
        action["add"] |= {"size": path.stat().st_size, "stats": json.dumps({"numRecords": 1})}
    return action


def test_a_link_survives_a_power_cut(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = foreign.plain(tmp_path / "theirs")
    lost = watch_syncs(monkeypatch, tmp_path)
    linked(root, folder)
    assert lost() == []
