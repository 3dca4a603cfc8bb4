import errno
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from backstory.lake.attempt import MAX_OFFSET
from backstory.lake.commits import LOG_FOLDER, log_entry, read_commits
from backstory.lake.contract import SYSTEM_COLUMNS
from backstory.lake.delta import CHECKPOINT_INTERVAL, LOG_SETTINGS
from backstory.lake.errors import (
    ConflictError,
    GoneError,
    IntegrityError,
    InvalidError,
    NotFoundError,
    OffsetConflict,
    UnavailableError,
)
from backstory.lake.pinned import reopen
from backstory.lake.pins import pin
from backstory.lake.receipt import Outcome
from backstory.lake.snapshot import open_snapshot
from backstory.lake.table import SliceTable
from tests.lake.disk import files_of_at_most, watch_syncs
from tests.lake.thumbs import CONTRACT, NOW, append, contract, create, new_id, rows


@pytest.fixture
def table(tmp_path: Path) -> SliceTable:
    return create(tmp_path / "lake")


def stored(table: SliceTable) -> list[str]:
    """Event ids as an independent reader of Delta sees them."""
    delta = DeltaTable(table.folder)
    return sorted(pa.table(delta.scan(columns=["event_id"])).column("event_id").to_pylist())


def events(*batches: pa.Table) -> list[str]:
    return sorted(event for batch in batches for event in batch["event_id"].to_pylist())


def data_files(table: SliceTable) -> set[str]:
    return {path.name for path in table.folder.glob("*.parquet")}


def test_an_append_is_read_by_others(table: SliceTable) -> None:
    receipt = append(table, rows(), offset=3)

    assert (receipt.outcome, receipt.accepted, receipt.version) == (Outcome.ACCEPTED, 3, 1)
    assert (receipt.source, receipt.offset, receipt.contract_version) == ("app", 3, 1)
    found = pa.table(DeltaTable(table.folder).scan()).select(contract().stored_schema.names)
    assert found.drop(["_source", "_offset", "_ingested_at"]).to_pylist() == rows().to_pylist()
    assert found["_source"].unique().to_pylist() == ["app"]
    assert found["_offset"].unique().to_pylist() == [3]
    assert found["_ingested_at"].unique().to_pylist() == [NOW]


def test_the_same_batch_again_is_a_duplicate(table: SliceTable) -> None:
    append(table, rows(), offset=3)

    again = append(table, rows(), offset=3)

    assert (again.outcome, again.accepted, again.duplicate) == (Outcome.DUPLICATE, 0, 3)
    assert again.version == 1
    assert table.version == 1
    assert stored(table) == events(rows())
    assert len(data_files(table)) == 1


def test_a_duplicate_of_an_older_batch_is_known_however_it_lies_in_memory(
    table: SliceTable,
) -> None:
    batches = [rows(4, first=4 * n) for n in range(25)]
    for n, batch in enumerate(batches):
        append(table, batch, offset=n)

    chunked = pa.concat_tables([batches[7].slice(0, 1), batches[7].slice(1)])
    again = append(table, chunked, offset=7)

    assert (again.outcome, again.version) == (Outcome.DUPLICATE, 8)
    assert stored(table) == events(*batches)


def test_other_rows_at_a_known_offset_are_a_conflict(table: SliceTable) -> None:
    append(table, rows(), offset=3)

    with pytest.raises(OffsetConflict) as caught:
        append(table, rows(first=3), offset=3)

    assert (caught.value.source, caught.value.offset, caught.value.last) == ("app", 3, 3)
    assert stored(table) == events(rows())
    assert len(data_files(table)) == 1


def test_an_offset_behind_the_last_is_a_conflict(table: SliceTable) -> None:
    append(table, rows(), offset=3)
    append(table, rows(first=3), offset=9)

    with pytest.raises(OffsetConflict):
        append(table, rows(first=9), offset=5)

    assert stored(table) == events(rows(6))


def test_offset_zero_is_an_offset(table: SliceTable) -> None:
    append(table, rows(), offset=0)

    assert append(table, rows(), offset=0).outcome is Outcome.DUPLICATE
    with pytest.raises(OffsetConflict):
        append(table, rows(first=3), offset=0)


def test_sources_count_for_themselves(table: SliceTable) -> None:
    append(table, rows(), offset=9)
    append(table, rows(source="web"), source="web", offset=2)

    assert stored(table) == events(rows(), rows(source="web"))


def test_a_batch_without_rows_moves_its_source(table: SliceTable) -> None:
    receipt = append(table, rows(0), offset=5)

    assert (receipt.outcome, receipt.accepted, receipt.version) == (Outcome.ACCEPTED, 0, 1)
    assert append(table, rows(0), offset=5).outcome is Outcome.DUPLICATE
    with pytest.raises(OffsetConflict):
        append(table, rows(), offset=5)
    assert not data_files(table)


def test_a_full_disk_makes_no_slice(tmp_path: Path) -> None:
    with files_of_at_most(10), pytest.raises(UnavailableError, match="File too large"):
        create(tmp_path / "lake")

    assert not list((tmp_path / "lake").iterdir())


@settings(max_examples=25)
@given(sends=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=12))
def test_any_order_of_sends_leaves_each_batch_at_most_once(
    tmp_path_factory: pytest.TempPathFactory, sends: list[tuple[int, int]]
) -> None:
    table = create(tmp_path_factory.mktemp("any") / "lake")
    accepted: dict[int, int] = {}
    for offset, content in sends:
        batch = rows(2, first=2 * content)
        if accepted.get(offset) == content:
            assert append(table, batch, offset=offset).outcome is Outcome.DUPLICATE
        elif offset > max(accepted, default=-1):
            assert append(table, batch, offset=offset).outcome is Outcome.ACCEPTED
            accepted[offset] = content
        else:
            with pytest.raises(OffsetConflict):
                append(table, batch, offset=offset)
    assert stored(table) == events(*(rows(2, first=2 * c) for c in accepted.values()))


def test_two_handles_of_one_source_never_both_win(table: SliceTable) -> None:
    other = SliceTable.open(table.folder.parent, "thumbs/en")
    append(table, rows(), offset=1)
    append(other, rows(first=3), offset=2)

    assert append(table, rows(first=3), offset=2).outcome is Outcome.DUPLICATE
    with pytest.raises(OffsetConflict):
        append(table, rows(first=6), offset=2)
    assert stored(table) == events(rows(6))


def test_a_rival_between_check_and_commit_is_noticed(
    table: SliceTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    rival = SliceTable.open(table.folder.parent, "thumbs/en")

    def overtaken(name: str) -> None:
        if name == "commit.before" and rival.version == 0:
            monkeypatch.undo()
            append(rival, rows(first=3), offset=4)

    monkeypatch.setattr("backstory.lake.table.crashpoint", overtaken)

    with pytest.raises(OffsetConflict):
        append(table, rows(), offset=4)
    assert append(table, rows(first=6), offset=5).outcome is Outcome.ACCEPTED
    assert stored(table) == events(rows(6, first=3))
    assert len(data_files(table)) == 2


def test_threads_share_a_table(table: SliceTable) -> None:
    with ThreadPoolExecutor(max_workers=8) as pool:
        receipts = pool.map(
            lambda n: append(table, rows(2, source=f"s{n % 4}"), source=f"s{n % 4}"), range(16)
        )
        outcomes = Counter(receipt.outcome for receipt in receipts)

    assert outcomes == {Outcome.ACCEPTED: 4, Outcome.DUPLICATE: 12}
    assert stored(table) == events(*(rows(2, source=f"s{n}") for n in range(4)))
    assert len(data_files(table)) == 4


def test_an_append_that_could_not_be_made_safe_may_be_sent_again(
    table: SliceTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as failing:
        failing.setattr("backstory.lake.delta.sync_file", fail)
        with pytest.raises(UnavailableError, match="Input/output error"):
            append(table, rows(1), offset=1)

    assert append(table, rows(1), offset=1).outcome is Outcome.DUPLICATE
    assert stored(table) == events(rows(1))


def test_a_checkpoint_that_cannot_be_made_fails_no_append(
    table: SliceTable, caplog: pytest.LogCaptureFixture
) -> None:
    for n in range(CHECKPOINT_INTERVAL - 2):
        append(table, rows(1, first=n), offset=n)
    (table.folder / "_checkpoints").write_text("in the way")

    append(table, rows(1, first=8), offset=8)
    (table.folder / "_checkpoints").unlink()

    assert "no checkpoint at version 9" in caplog.text
    for n in range(9, 2 * CHECKPOINT_INTERVAL):
        append(table, rows(1, first=n), offset=n)
    assert stored(table) == events(rows(2 * CHECKPOINT_INTERVAL))
    assert len(list(table.folder.glob("_checkpoints/*"))) == 2
    assert not list(table.folder.glob(".tmp-*"))


def test_a_full_disk_at_the_commit_appends_nothing(table: SliceTable) -> None:
    note = {"note": "x" * 30_000}
    with files_of_at_most(20_000), pytest.raises(UnavailableError) as caught:
        table.append(rows(), source="app", offset=1, at=NOW, info=note, new_id=new_id)

    assert caught.value.message == "appending app@1 to thumbs/en: File too large"
    assert table.version == 0
    assert not data_files(table)
    assert append(table, rows(), offset=1).outcome is Outcome.ACCEPTED


def test_a_checkpoint_has_no_name_before_it_is_synced(
    table: SliceTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("backstory.lake.checkpoints.sync_file", fail)
    for n in range(CHECKPOINT_INTERVAL):
        append(table, rows(1, first=n), offset=n)
    names = {path.name for path in (table.folder / LOG_FOLDER).iterdir()}
    assert names == {log_entry(table.folder, n).name for n in range(CHECKPOINT_INTERVAL + 1)}


def test_the_log_settings_are_kept_and_read_back(table: SliceTable) -> None:
    found = DeltaTable(table.folder).metadata().configuration

    assert LOG_SETTINGS.items() <= found.items()
    assert found["delta.dataSkippingStatsColumns"] == ",".join(
        f"`{c}`" for c in ("event_id", "at", "interaction", "label", "score", *SYSTEM_COLUMNS)
    )
    protocol = DeltaTable(table.folder).protocol()
    assert (protocol.min_reader_version, protocol.min_writer_version) == (1, 2)


def test_a_changed_log_setting_stops_appends(table: SliceTable) -> None:
    other = DeltaTable(table.folder)
    other.alter.set_table_properties({"delta.logRetentionDuration": "interval 1 days"})

    with pytest.raises(IntegrityError, match="logRetentionDuration"):
        append(SliceTable.open(table.folder.parent, "thumbs/en"), rows(), offset=1)


def test_a_batch_may_be_sent_again_before_its_checkpoint_is_pointed_at(table: SliceTable) -> None:
    """Delta writes a checkpoint and then what points at it; another process comes in between."""
    for n in range(CHECKPOINT_INTERVAL - 1):
        append(table, rows(1, first=n), offset=n)
    (table.folder / "_delta_log" / "_last_checkpoint").unlink()

    again = append(table, rows(1, first=8), offset=8)
    assert again.outcome is Outcome.DUPLICATE


def test_every_version_stays_and_checkpoints_come(table: SliceTable) -> None:
    for n in range(2 * CHECKPOINT_INTERVAL):
        append(table, rows(1, first=n), offset=n)

    log = table.folder / "_delta_log"
    assert {path.name for path in log.glob("*.checkpoint.parquet")} == {
        f"{v:020d}.checkpoint.parquet" for v in (9, 19)
    }
    for version in (0, 5, 9, 20):
        assert DeltaTable(table.folder, version=version).count() == version


def test_the_commit_says_who_and_what(table: SliceTable) -> None:
    at = NOW + timedelta(hours=1)
    table.append(
        rows(), source="app", offset=3, at=at, info={"actor": "os-user:ada"}, new_id=new_id
    )

    created, commit = read_commits(table.folder)

    assert (created.at, created.contract_version, created.source) == (NOW, 1, None)
    assert (commit.source, commit.offset, commit.rows, commit.at) == ("app", 3, 3, at)
    assert commit.info == {"actor": "os-user:ada"}
    assert commit.attempt is not None
    assert any(commit.attempt in name for name in data_files(table))


def test_info_cannot_pose_as_the_commit(table: SliceTable) -> None:
    table.append(
        rows(), source="app", offset=3, at=NOW, info={"source": "web", "rows": 0}, new_id=new_id
    )

    assert read_commits(table.folder)[-1].source == "app"
    assert read_commits(table.folder)[-1].rows == 3


def test_an_existing_slice_is_not_made_again(table: SliceTable) -> None:
    append(table, rows(), offset=1)

    with pytest.raises(ConflictError, match="thumbs/en exists"):
        create(table.folder.parent)

    assert stored(table) == events(rows())
    assert [path.name for path in table.folder.parent.iterdir()] == ["thumbs__en"]


def test_a_missing_slice_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="thumbs/en"):
        SliceTable.open(tmp_path, "thumbs/en")


def test_a_moved_lake_is_the_same_lake(table: SliceTable, tmp_path: Path) -> None:
    append(table, rows(), offset=1)
    shutil.copytree(table.folder.parent, tmp_path / "moved")
    moved = SliceTable.open(tmp_path / "moved", "thumbs/en")

    assert moved.table_id == table.table_id
    assert moved.contract == table.contract
    assert append(moved, rows(), offset=1).outcome is Outcome.DUPLICATE
    assert append(moved, rows(first=3), offset=2).outcome is Outcome.ACCEPTED
    assert table.version == 1


def test_a_contract_of_another_slice_is_noticed(table: SliceTable) -> None:
    other = contract(CONTRACT.replace("thumbs/en", "thumbs/de"))
    (table.folder / "_contract" / "v1.json").write_text(other.to_json())

    with pytest.raises(IntegrityError, match="thumbs/de"):
        SliceTable.open(table.folder.parent, "thumbs/en")


def test_a_contract_that_cannot_be_read_is_told(table: SliceTable) -> None:
    path = table.folder / "_contract" / "v2.json"
    path.mkdir()

    with pytest.raises(UnavailableError, match="Is a directory"):
        SliceTable.open(table.folder.parent, "thumbs/en")


def test_a_damaged_contract_is_noticed(table: SliceTable) -> None:
    path = table.folder / "_contract" / "v1.json"
    path.write_bytes(path.read_bytes().replace(b"int64", b"int\xff4"))

    with pytest.raises(IntegrityError, match=r"v1\.json"):
        SliceTable.open(table.folder.parent, "thumbs/en")


def test_a_missing_contract_is_noticed(table: SliceTable) -> None:
    shutil.rmtree(table.folder / "_contract")

    with pytest.raises(IntegrityError, match="contract"):
        SliceTable.open(table.folder.parent, "thumbs/en")


def test_a_damaged_log_is_named(table: SliceTable) -> None:
    append(table, rows(), offset=1)
    entry = log_entry(table.folder, 1)
    entry.write_bytes(entry.read_bytes().replace(b'{"add"', b'{"a\xffd"'))

    with pytest.raises(IntegrityError) as caught:
        append(SliceTable.open(table.folder.parent, "thumbs/en"), rows(first=3), offset=2)
    assert "\n" not in caught.value.message


Call = Callable[[SliceTable], object]
WRONG: dict[str, Call] = {
    "rows of another schema": lambda t: append(t, rows().select(["event_id"]), offset=1),
    "empty source": lambda t: append(t, rows(), source="", offset=1),
    "long source": lambda t: append(t, rows(), source="s" * 201, offset=1),
    "control character in the source": lambda t: append(t, rows(), source="a\nb", offset=1),
    "the mutation fence as a source": lambda t: append(t, rows(), source="lake.mutate", offset=1),
    "negative offset": lambda t: append(t, rows(), offset=-1),
    "offset beyond 64 bits": lambda t: append(t, rows(), offset=MAX_OFFSET + 1),
    "time without offset": lambda t: t.append(
        rows(),
        source="app",
        offset=1,
        at=NOW.replace(tzinfo=None),
        new_id=new_id,
    ),
}


@pytest.mark.parametrize("call", WRONG.values(), ids=WRONG)
def test_wrong_input_is_refused_before_anything_is_written(table: SliceTable, call: Call) -> None:
    with pytest.raises(InvalidError) as caught:
        call(table)

    assert "\n" not in caught.value.message
    assert table.version == 0
    assert not data_files(table)


def test_the_largest_offset_is_taken(table: SliceTable) -> None:
    append(table, rows(), offset=MAX_OFFSET)

    assert read_commits(table.folder)[-1].offset == MAX_OFFSET
    assert append(table, rows(), offset=MAX_OFFSET).outcome is Outcome.DUPLICATE


def test_the_statistics_in_the_log_are_json_that_delta_parses(table: SliceTable) -> None:
    append(table, rows(), offset=1)

    adds = [
        json.loads(line)["add"]
        for line in log_entry(table.folder, 1).read_text().splitlines()
        if line.startswith('{"add"')
    ]
    assert json.loads(adds[0]["stats"])["numRecords"] == 3
    parsed = pa.table(DeltaTable(table.folder).get_add_actions(flatten=True)).to_pylist()[0]
    assert (parsed["min.label"], parsed["max.label"], parsed["num_records"]) == (0, 2, 3)
    assert not any("user" in key or "age" in key for key in parsed)


def test_a_table_without_its_log_reads_what_is_pinned_and_nothing_else(tmp_path: Path) -> None:
    made = create(tmp_path)
    append(made, rows(), offset=1)
    kept = pin(made, open_snapshot(made), pin_id="p", holder="h", reason="r", at=NOW)
    shutil.rmtree(made.folder / LOG_FOLDER)
    table = SliceTable.open(tmp_path, made.name)
    assert reopen(table, kept.version).arrow().num_rows == 3
    for ask in (lambda: table.version, lambda: table.table_id, lambda: open_snapshot(table)):
        with pytest.raises(GoneError, match="its Delta log is gone"):
            ask()
    with pytest.raises(GoneError, match="its Delta log is gone"):
        append(table, rows(first=3), offset=2)


def test_a_table_and_its_commits_survive_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = watch_syncs(monkeypatch, tmp_path)
    table = create(tmp_path / "lake")
    for number in range(CHECKPOINT_INTERVAL + 2):
        append(table, rows(first=3 * number), offset=number)
        assert lost() == []
    assert list(table.folder.glob("_checkpoints/*"))
