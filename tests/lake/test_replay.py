from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backstory.lake.manifest import Manifest
from backstory.lake.replay import LogDamageError, LogState, replay
from backstory.lake.segments import log_files, segment
from backstory.lake.snapshot import open_snapshot
from tests.lake import foreign
from tests.lake.thumbs import append, create, rows


def agrees(state: LogState, manifest: Manifest) -> bool:
    return (state.table_id, {p: f.size for p, f in state.files.items()}) == (
        manifest.table_id,
        {file.path: file.size for file in manifest.files},
    )


def test_what_is_replayed_is_what_delta_rs_reads_at_every_version(tmp_path: Path) -> None:
    table = create(tmp_path)
    for number in range(23):
        append(table, rows(1, first=number), offset=number)
    seen = 0
    for version, state in replay(log_files(table.folder)):
        assert agrees(state, open_snapshot(table, version).manifest)
        seen += 1
    assert seen == 24
    for version in (0, 9, 12, 23):
        *_, (last, state) = replay(segment(table.folder, version))
        assert (last, agrees(state, open_snapshot(table, version).manifest)) == (version, True)


def test_removals_and_partitions_are_understood(tmp_path: Path) -> None:
    folder = foreign.with_deletion_vector(tmp_path / "vectors")
    *_, (version, state) = replay(log_files(folder))
    (added,) = state.files.values()
    assert version == 1
    assert added.deletion_vector is not None
    folder = foreign.partitioned(tmp_path / "partitioned")
    *_, (_, state) = replay(log_files(folder))
    assert {"place": "a b", "year": "2025"} in [dict(f.partition) for f in state.files.values()]
    assert {path.partition("/")[0] for path in state.files} == {
        "place=a%20b",
        "place=50%25",
        "place=__HIVE_DEFAULT_PARTITION__",
    }


def test_a_trimmed_log_begins_at_its_checkpoint(tmp_path: Path) -> None:
    table = create(tmp_path)
    for number in range(12):
        append(table, rows(1, first=number), offset=number)
    for version in range(8):
        (table.folder / "_delta_log" / f"{version:020d}.json").unlink()
    states = [version for version, _ in replay(log_files(table.folder))]
    assert states == [9, 10, 11, 12]


@pytest.mark.parametrize("text", ["{", "[]", '{"add": 3}', '{"add": {"path": "a"}}', "\xff"])
def test_an_entry_that_does_not_parse_is_named(tmp_path: Path, text: str) -> None:
    folder = foreign.plain(tmp_path / "t")
    foreign.entry_path(folder, 1).write_text(text, encoding="latin-1")
    with pytest.raises(LogDamageError) as error:
        list(replay(log_files(folder)))
    assert error.value.path == foreign.entry_path(folder, 1)


def test_a_checkpoint_that_contradicts_the_entries_is_named(tmp_path: Path) -> None:
    table = create(tmp_path)
    for number in range(10):
        append(table, rows(1, first=number), offset=number)
    path = table.folder / "_delta_log" / f"{9:020d}.checkpoint.parquet"
    actions = pq.ParquetFile(path).read()
    adds = [index for index, add in enumerate(actions["add"].to_pylist()) if add]
    kept = [index for index in range(actions.num_rows) if index != adds[0]]
    pq.write_table(actions.take(pa.array(kept)), path)
    with pytest.raises(LogDamageError, match="contradicts") as error:
        list(replay(log_files(table.folder)))
    assert error.value.path == path
