import json
import math
import re
from concurrent.futures.thread import _global_shutdown_lock
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Thread
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstory.lake.errors import UnavailableError
from backstory.lake.files import (
    MAX_STATISTIC_CHARS,
    ROW_GROUP_ROWS,
    hash_file,
    make_folder,
    parquet_options,
    stats_from_footer,
    temporary_file,
    write_data_file,
    write_durably,
)
from tests.lake.disk import files_of_at_most, watch_syncs
from tests.lake.thumbs import contract, new_id, rows


def stats_of(table: pa.Table, folder: Path) -> dict[str, Any]:
    stats: dict[str, Any] = json.loads(
        write_data_file(table, folder, None, file_id=new_id()).stats_json
    )
    return stats


def column(values: list[Any], kind: pa.DataType) -> pa.Table:
    return pa.table({"c": pa.array(values, kind)})


def footer(path: Path) -> dict[str, Any]:
    """Statistics and Bloom filters of each leaf in the first row group, as pyarrow shows them."""
    group = pq.read_metadata(path).row_group(0)
    return {c.path_in_schema: c for c in map(group.column, range(group.num_columns))}


def test_a_file_carries_its_digest_in_its_name(tmp_path: Path) -> None:
    file = write_data_file(rows(), tmp_path, contract(), file_id="0190-id")

    assert hash_file(tmp_path / file.path) == (file.sha256, file.size)
    assert re.fullmatch(r"part-0190-id-[0-9a-f]{64}\.parquet", file.path)
    assert file.sha256 in file.path
    assert file.rows == 3
    assert list(tmp_path.iterdir()) == [tmp_path / file.path]


def test_a_file_gives_back_exactly_its_rows(tmp_path: Path) -> None:
    file = write_data_file(rows(100), tmp_path, contract(), file_id=new_id())

    assert pq.read_table(tmp_path / file.path).equals(rows(100))


def test_encoding_follows_the_contract_and_the_values(tmp_path: Path) -> None:
    table = rows(ROW_GROUP_ROWS + 1)
    file = write_data_file(table, tmp_path, contract(), file_id=new_id())

    meta = pq.read_metadata(tmp_path / file.path)
    assert [meta.row_group(n).num_rows for n in range(meta.num_row_groups)] == [ROW_GROUP_ROWS, 1]
    leaves = footer(tmp_path / file.path)
    assert {leaf.compression for leaf in leaves.values()} == {"ZSTD"}
    dictionaries = {name for name, leaf in leaves.items() if leaf.has_dictionary_page}
    assert dictionaries == {"user", "age", "label"}
    blooms = {name for name, leaf in leaves.items() if leaf.bloom_filter_offset is not None}
    assert blooms == {"event_id", "user", "interaction"}


def test_bounds_of_personal_columns_are_nowhere(tmp_path: Path) -> None:
    """Neither in Delta's statistics, nor in the footer, nor anywhere else as raw bytes."""
    age = pa.array([1_234_567_891, 1_345_678_912, 1_456_789_123], pa.int32())
    table = rows().set_column(4, "age", age)
    file = write_data_file(table, tmp_path, contract(), file_id=new_id())

    stats = json.loads(file.stats_json)
    for part in ("minValues", "maxValues", "nullCount"):
        assert not {"age", "user"} & stats[part].keys()
    leaves = footer(tmp_path / file.path)
    assert leaves["age"].statistics is None
    assert leaves["user"].statistics is None
    assert leaves["label"].statistics.has_min_max
    for group in range(pq.read_metadata(tmp_path / file.path).num_row_groups):
        assert not any(leaf.has_column_index for leaf in leaves.values()), group
    tail = (tmp_path / file.path).read_bytes()[leaves["tags.list.element"].data_page_offset :]
    for value in age.to_pylist():
        assert value.to_bytes(4, "little") not in tail
    for user in table["user"].to_pylist():
        assert user.encode() not in tail


def test_statistics_describe_each_kind_of_column(tmp_path: Path) -> None:
    at = datetime(2026, 11, 24, 9, 41, 0, 1_500, UTC)
    table = pa.table(
        {
            "i": pa.array([3, None, -8], pa.int16()),
            "f": pa.array([1.5, -0.25, None], pa.float64()),
            "s": pa.array(["b", "é", ""], pa.string()),
            "d": pa.array([date(2019, 11, 26), date(1969, 1, 1), None], pa.date32()),
            "t": pa.array([at, at + timedelta(microseconds=1), None], pa.timestamp("us", "UTC")),
            "b": pa.array([True, None, False]),
            "x": pa.array([b"a", b"\xff", None], pa.binary()),
            "m": pa.array([Decimal("1.50"), None, None], pa.decimal128(10, 2)),
            "l": pa.array([[1], None, []], pa.list_(pa.int64())),
            "o": pa.array([{"a": 1}, None, {"a": 2}], pa.struct({"a": pa.int64()})),
            "n": pa.array([None, None, None], pa.int64()),
        }
    )

    assert stats_of(table, tmp_path) == {
        "numRecords": 3,
        "minValues": {
            "i": -8,
            "f": -0.25,
            "s": "",
            "d": "1969-01-01",
            "t": "2026-11-24T09:41:00.001Z",
        },
        "maxValues": {
            "i": 3,
            "f": 1.5,
            "s": "é",
            "d": "2019-11-26",
            "t": "2026-11-24T09:41:00.002Z",
        },
        "nullCount": {name: table[name].null_count for name in "ifsdtbxmn"},
    }


NO_BOUNDS: dict[str, pa.Table] = {
    "a NaN, which engines order above all numbers": column([1.0, math.nan], pa.float64()),
    "only NaN": column([math.nan], pa.float32()),
    "infinity, which JSON cannot say": column([1.0, math.inf], pa.float64()),
    "long text": column(["a", "b" * (MAX_STATISTIC_CHARS + 1)], pa.string()),
    "very long text, which Parquet leaves out itself": column(["a", "b" * 5000], pa.string()),
    "a time after the year 9999": column([0, 2**62], pa.timestamp("us", "UTC")),
    "a day before the year 1": column([-(2**30), 0], pa.date32()),
    "only nulls": column([None, None], pa.string()),
    "no rows": column([], pa.int64()),
}


@pytest.mark.parametrize("table", NO_BOUNDS.values(), ids=NO_BOUNDS)
def test_what_cannot_be_bounded_exactly_has_no_bounds(tmp_path: Path, table: pa.Table) -> None:
    stats = stats_of(table, tmp_path)

    assert (stats["minValues"], stats["maxValues"]) == ({}, {})
    assert stats["numRecords"] == table.num_rows


def test_a_footer_with_a_nan_has_no_range_that_would_hide_it(tmp_path: Path) -> None:
    table = column([1.0, math.nan], pa.float64())
    file = write_data_file(table, tmp_path, None, file_id=new_id())

    assert footer(tmp_path / file.path)["c"].statistics is None


def test_row_groups_without_values_do_not_hide_the_others(tmp_path: Path) -> None:
    table = column([None] * ROW_GROUP_ROWS + [7, 9], pa.int64())

    stats = stats_of(table, tmp_path)

    assert (stats["minValues"], stats["maxValues"]) == ({"c": 7}, {"c": 9})
    assert stats["nullCount"] == {"c": ROW_GROUP_ROWS}


@given(
    values=st.one_of(
        st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)).map(lambda v: column(v, pa.int64())),
        st.lists(st.none() | st.floats()).map(lambda v: column(v, pa.float64())),
        st.lists(st.none() | st.text()).map(lambda v: column(v, pa.string())),
        st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)).map(
            lambda v: column(v, pa.timestamp("us", "UTC"))
        ),
        st.lists(st.none() | st.dates()).map(lambda v: column(v, pa.date32())),
    )
)
def test_no_value_lies_outside_its_bounds(
    tmp_path_factory: pytest.TempPathFactory, values: pa.Table
) -> None:
    stats = stats_of(values, tmp_path_factory.mktemp("bounds"))

    assert stats["nullCount"].get("c", values["c"].null_count) == values["c"].null_count
    if "c" in stats["minValues"]:
        kind = values.schema.field("c").type
        low, high = (_parsed(stats[part]["c"], kind) for part in ("minValues", "maxValues"))
        inside = pc.and_(pc.less_equal(low, values["c"]), pc.less_equal(values["c"], high))
        assert pc.all(inside).as_py()


def _parsed(value: Any, kind: pa.DataType) -> pa.Scalar:
    return pa.scalar(value).cast(kind) if isinstance(value, str) else pa.scalar(value, kind)


def test_statistics_are_told_again_from_the_file_alone(tmp_path: Path) -> None:
    file = write_data_file(rows(50), tmp_path, contract(), file_id=new_id())

    again = stats_from_footer(tmp_path / file.path, contract().personal_columns)

    assert again == json.loads(file.stats_json)


def test_options_name_no_column_twice_and_all_that_exist() -> None:
    options = parquet_options(rows(), contract())

    assert set(options["bloom_filter_options"]) == {"event_id", "user", "interaction"}
    assert set(options["write_statistics"]) == {
        "event_id", "at", "interaction", "label", "score"
    }  # fmt: skip
    assert parquet_options(rows(), None)["bloom_filter_options"] is None


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    with files_of_at_most(4096), pytest.raises(UnavailableError, match="File too large") as caught:
        write_data_file(rows(50_000), tmp_path, contract(), file_id=new_id())

    assert caught.value.hint
    assert not list(tmp_path.iterdir())


def test_what_a_full_disk_left_is_freed_in_the_middle_of_another_write(tmp_path: Path) -> None:
    """The collector may do so, at a place where the thread pools' own lock is held."""
    table = rows(50_000)
    with files_of_at_most(4096):
        try:
            write_data_file(table, tmp_path, contract(), file_id=new_id())
        except UnavailableError as exc:
            kept = [exc]  # with the frames, whose writer still wants to write
    freeing = Thread(target=kept.clear)
    with _global_shutdown_lock:
        freeing.start()
        freeing.join(timeout=10)
        waits = freeing.is_alive()
    freeing.join()
    assert not waits


def test_a_missing_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="No such file"):
        write_data_file(rows(), tmp_path / "absent", contract(), file_id=new_id())


def test_small_files_are_whole_or_not_there(tmp_path: Path) -> None:
    write_durably(tmp_path / "pin", b"before")
    with files_of_at_most(100), pytest.raises(UnavailableError):
        write_durably(tmp_path / "pin", b"x" * 1000)

    assert (tmp_path / "pin").read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["pin"]


def test_an_interrupted_block_leaves_no_temporary_file(tmp_path: Path) -> None:
    def interrupted() -> None:
        with temporary_file(tmp_path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert not list(tmp_path.iterdir())


def test_folders_are_made_with_their_parents(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")

    assert (tmp_path / "a" / "b").is_dir()


def test_names_of_folders_survive_a_power_cut_whoever_made_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = watch_syncs(monkeypatch, tmp_path)
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "c").mkdir()  # by somebody who was killed before he synced
    assert lost() == ["c"]
    make_folder(tmp_path / "c")
    assert lost() == []
