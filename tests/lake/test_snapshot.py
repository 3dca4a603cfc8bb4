import os
import shutil
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from backstory.lake.commits import log_entry
from backstory.lake.errors import GoneError, IntegrityError, InvalidError, NotFoundError
from backstory.lake.snapshot import OpenedBy, Snapshot, open_snapshot
from backstory.lake.table import SliceTable
from tests.lake.thumbs import NOW, append, contract, create, rows

BATCHES = 12
PER_BATCH = 5


def batch(number: int) -> pa.Table:
    return rows(PER_BATCH, first=PER_BATCH * number)


def ingested(batches: int) -> pa.Table:
    """What had been appended at the version of that number."""
    return pa.concat_tables([contract().schema.empty_table(), *map(batch, range(batches))])


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> SliceTable:
    table = create(tmp_path_factory.mktemp("lake"))
    for number in range(BATCHES):
        append(table, batch(number), offset=number)
    return table


@pytest.fixture
def snapshot(table: SliceTable) -> Snapshot:
    return open_snapshot(table)


@pytest.mark.parametrize("version", range(BATCHES + 1))
def test_every_version_gives_what_was_there_then_in_order(table: SliceTable, version: int) -> None:
    snapshot = open_snapshot(table, version, at=NOW)

    assert snapshot.arrow() == ingested(version)
    assert pa.Table.from_batches(snapshot.batches(), snapshot.schema) == ingested(version)
    assert (snapshot.version, snapshot.rows, snapshot.at) == (version, version * PER_BATCH, NOW)
    assert snapshot.count() == version * PER_BATCH
    assert snapshot.opened_by is OpenedBy.DELTA
    assert str(snapshot) == f"thumbs/en@{version}"


def test_the_latest_version_is_the_default(table: SliceTable) -> None:
    assert open_snapshot(table).version == BATCHES


def test_frames_and_relations_hold_the_same_rows(snapshot: Snapshot) -> None:
    expected = ingested(BATCHES)
    pd.testing.assert_frame_equal(snapshot.pandas(), expected.to_pandas())
    assert snapshot.polars().equals(pl.DataFrame(pl.from_arrow(expected)))
    assert snapshot.duckdb().to_arrow_table().to_pylist() == expected.to_pylist()


def test_columns_come_as_asked_for(snapshot: Snapshot) -> None:
    found = snapshot.arrow(["label", "_offset", "event_id"])
    assert found.schema.names == ["label", "_offset", "event_id"]
    assert found["_offset"].unique().to_pylist() == list(range(BATCHES))
    assert snapshot.arrow(system=True).schema == contract().stored_schema
    assert snapshot.schema == contract().schema


@pytest.mark.parametrize("columns", [[], ["label", "label"], ["lable"]])
def test_columns_must_be_there_and_once(snapshot: Snapshot, columns: list[str]) -> None:
    with pytest.raises(InvalidError):
        snapshot.arrow(columns)


@pytest.mark.parametrize(
    ("where", "python"),
    [
        ("label between 3 and 5", lambda row: 3 <= row["label"] <= 5),
        (
            "age > 50 or event_id = 'app-3'",
            lambda row: row["age"] > 50 or row["event_id"] == "app-3",
        ),
        ("at >= '2026-11-24T09:41:30Z'", lambda row: (row["at"] - NOW).total_seconds() >= 30),
        ("at < '2026-11-24 09:41:30'", lambda row: (row["at"] - NOW).total_seconds() < 30),
        ("tags is null", lambda row: row["tags"] is None),
        ("list_contains(tags, 'a') and score < 2", lambda row: row["tags"] and row["score"] < 2),
        ("_offset = 4", lambda row: 20 <= int(row["event_id"][4:]) < 25),
        ("label = 77", lambda _: False),
    ],
)
def test_a_condition_selects_rows_and_keeps_their_order(
    snapshot: Snapshot, where: str, python: object
) -> None:
    assert callable(python)
    expected = [row for row in ingested(BATCHES).to_pylist() if python(row)]

    assert snapshot.arrow(where=where).to_pylist() == expected
    assert snapshot.batches(where=where).read_all().to_pylist() == expected
    assert snapshot.duckdb(where=where).to_arrow_table().to_pylist() == expected
    assert snapshot.count(where) == len(expected)


@pytest.mark.parametrize(
    "where",
    ["label = 'x'", "word = 1", "(select 1) = 1", "label.x = 1", "regexp_matches(word, '(')"],
)
def test_a_condition_that_cannot_be_is_told_in_one_line(snapshot: Snapshot, where: str) -> None:
    for read in (snapshot.arrow, snapshot.batches):
        with pytest.raises(InvalidError) as error:
            pa.table(read(where=where))
        assert "\n" not in error.value.message


def test_a_relation_outlives_its_snapshot_and_is_caged(table: SliceTable) -> None:
    relation = open_snapshot(table).duckdb(["label", "age"])
    assert relation.aggregate("count(*), max(age)").fetchall() == [(60, 79)]
    assert relation.filter("label = 3").count("*").fetchall() == [(6,)]
    with pytest.raises(duckdb.PermissionException):
        relation.query("t", "SELECT * FROM read_text('/etc/hostname')")


def test_rows_join_on_a_connection_of_ones_own(snapshot: Snapshot) -> None:
    with duckdb.connect() as con:
        answers = con.from_arrow(pa.table({"label": [3], "digit": ["three"]}))
        joined = snapshot.duckdb(["event_id", "label"], "age < 40", con=con).join(answers, "label")
        assert sorted(joined.fetchall()) == [("app-13", 3, "three"), ("app-3", 3, "three")]


def test_a_copied_and_touched_lake_reads_the_same(table: SliceTable, tmp_path: Path) -> None:
    shutil.copytree(table.folder.parent, tmp_path / "copy")
    for number, path in enumerate(sorted((tmp_path / "copy").rglob("*"), reverse=True)):
        os.utime(path, (number, number))
    copy = SliceTable.open(tmp_path / "copy", "thumbs/en")

    for version in (0, 4, BATCHES):
        there, here = open_snapshot(copy, version), open_snapshot(table, version)
        assert (there.digest, there.arrow(system=True)) == (here.digest, here.arrow(system=True))


def test_versions_that_never_were_and_versions_that_are_gone(tmp_path: Path) -> None:
    table = create(tmp_path)
    for number in range(BATCHES):
        append(table, batch(number), offset=number)
    for version in (-1, BATCHES + 1, 10**30):
        with pytest.raises(NotFoundError, match=f"no version {version}") as missing:
            open_snapshot(table, version)
        assert missing.type is NotFoundError
        assert missing.value.hint == f"its latest version is {BATCHES}"
    for version in range(6):
        (table.folder / "_delta_log" / f"{version:020d}.json").unlink()
    with pytest.raises(GoneError, match="version 3 can no longer be opened"):
        open_snapshot(table, 3)
    assert open_snapshot(table).arrow() == ingested(BATCHES)


def test_a_log_file_that_is_there_and_damaged_is_named(tmp_path: Path) -> None:
    table = create(tmp_path)
    for number in range(BATCHES):
        append(table, batch(number), offset=number)
    log = table.folder / "_delta_log"
    checkpoint = min(log.glob("*.checkpoint.parquet"))
    entry = log_entry(table.folder, BATCHES)
    for path, content in ((entry, b"garbage"), (entry, b"\xff"), (checkpoint, b"PAR1")):
        before = path.read_bytes()
        path.write_bytes(content)
        for version in (None, BATCHES):
            with pytest.raises(IntegrityError, match=f"cannot be opened: {path.name} does not"):
                open_snapshot(table, version)
        path.write_bytes(before)
    assert open_snapshot(table).version == BATCHES


def test_a_missing_or_shortened_file_is_an_error_never_fewer_rows(tmp_path: Path) -> None:
    table = create(tmp_path)
    append(table, batch(0))
    snapshot = open_snapshot(table)
    path = table.folder / snapshot.manifest.files[0].path
    data = path.read_bytes()

    path.write_bytes(data[:-1])
    with pytest.raises(IntegrityError, match="bytes instead of"):
        snapshot.arrow()
    path.write_bytes(b"x" * len(data))
    with pytest.raises(IntegrityError, match="cannot be read"):
        snapshot.arrow()
    path.unlink()
    with pytest.raises(GoneError, match=path.name):
        snapshot.count("label = 3")
    assert snapshot.count() == PER_BATCH


def test_orphans_of_crashed_writers_are_not_read(tmp_path: Path) -> None:
    table = create(tmp_path)
    append(table, batch(0))
    data = next(table.folder.glob("*.parquet"))
    shutil.copy(data, table.folder / data.name.replace("0000-7000", "0001-7000"))
    shutil.copy(data, table.folder / ".tmp-something")
    assert open_snapshot(table).arrow() == ingested(1)


def test_an_empty_table_has_its_columns(tmp_path: Path) -> None:
    snapshot = open_snapshot(create(tmp_path))
    assert snapshot.arrow(where="label = 3") == contract().schema.empty_table()
    assert snapshot.arrow(system=True).schema == contract().stored_schema
    assert snapshot.size == 0
    assert list(snapshot.batches()) == []
