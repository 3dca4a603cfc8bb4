import os
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

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
from backstory.lake.pinned import Pin, Strength, pin_folders, pins_folder, pins_of, reopen
from backstory.lake.pins import pin, release
from backstory.lake.snapshot import OpenedBy, Table, open_snapshot
from backstory.lake.table import SliceTable
from backstory.lake.verify import verify_table
from tests.lake import foreign
from tests.lake.disk import watch_syncs
from tests.lake.thumbs import NOW, append, create, rows

COMMITS = 25
PINNED = 13


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template")
    table = create(root)
    for number in range(COMMITS):
        append(table, rows(3, first=3 * number), offset=number)
    return root


@pytest.fixture
def table(template: Path, tmp_path: Path) -> SliceTable:
    shutil.copytree(template, tmp_path / "lake")
    return SliceTable.open(tmp_path / "lake", "thumbs/en")


@pytest.fixture
def theirs(tmp_path: Path) -> LinkedTable:
    return link(tmp_path / "lake", "clicks", str(foreign.plain(tmp_path / "theirs")), at=NOW)


def keep(table: Table, version: int | None = None, **fields: Any) -> Pin:
    defaults = {"pin_id": "pin-1", "holder": "run:1", "reason": "training", "at": NOW}
    return pin(table, open_snapshot(table, version), **{**defaults, **fields})


def drop_log(table: Table, upto: int) -> None:
    """What a log cleanup does: entries and checkpoints of a version and all before are gone."""
    for path in (table.folder / "_delta_log").iterdir():
        if path.name[0] != "_" and int(path.name[:20]) <= upto:
            path.unlink()


def expected(version: int) -> pa.Table:
    return rows(3 * version)


def test_a_pin_says_who_holds_what_why_and_until_when(table: SliceTable) -> None:
    until = NOW + timedelta(days=365)
    kept = keep(table, PINNED, until=until)
    assert kept == Pin(
        pin_id="pin-1",
        slice="thumbs/en",
        version=PINNED,
        digest=open_snapshot(table, PINNED).digest,
        holder="run:1",
        reason="training",
        strength=Strength.HELD,
        until=until,
        at=NOW,
    )
    assert pins_of(table) == [kept]
    assert [folder.name for folder in pin_folders(table)] == [kept.digest]


def test_the_same_pin_id_is_one_pin(table: SliceTable) -> None:
    kept = keep(table, PINNED)
    assert keep(table, PINNED, at=NOW + timedelta(days=1), reason="again") == kept
    assert pins_of(table) == [kept]
    with pytest.raises(ConflictError, match=f"@{PINNED} for run:1"):
        keep(table, 7)
    with pytest.raises(ConflictError):
        keep(table, PINNED, holder="run:2")


def test_a_snapshot_is_kept_until_its_last_holder_lets_go(table: SliceTable) -> None:
    keep(table, PINNED)
    keep(table, PINNED, pin_id="pin-2", holder="run:2")
    keep(table, 7, pin_id="pin-3")

    assert [kept.pin_id for kept in pins_of(table)] == ["pin-3", "pin-1", "pin-2"]
    release(table, "pin-1")
    assert [kept.pin_id for kept in pins_of(table)] == ["pin-3", "pin-2"]
    release(table, "pin-2")
    assert [kept.version for kept in pins_of(table)] == [7]
    assert len(pin_folders(table)) == 1
    for unknown in ("pin-2", "*", "../pin-3"):
        with pytest.raises(NotFoundError):
            release(table, unknown)


def test_ways_to_reopen_each_proved_by_the_loss_of_the_one_before(table: SliceTable) -> None:
    kept = keep(table, PINNED)
    folder = pins_folder(table) / kept.digest

    def way() -> OpenedBy:
        snapshots = reopen(table, PINNED), reopen(table, kept.digest)
        for snapshot in snapshots:
            assert snapshot.arrow() == expected(PINNED)
            assert (snapshot.digest, snapshot.version) == (kept.digest, PINNED)
        assert snapshots[0] == snapshots[1]
        return snapshots[0].opened_by

    assert way() is OpenedBy.DELTA
    drop_log(table, PINNED + 5)
    with pytest.raises(GoneError):
        open_snapshot(table, PINNED)
    assert way() is OpenedBy.CHECKPOINT
    (folder / "checkpoint.parquet").unlink()
    assert way() is OpenedBy.MANIFEST
    shutil.rmtree(table.folder / "_delta_log")
    assert way() is OpenedBy.MANIFEST


def test_a_log_that_tells_another_story_is_not_believed(table: SliceTable) -> None:
    kept = keep(table, PINNED)
    for version in (10, PINNED):
        path = table.folder / "_delta_log" / f"{version:020d}.json"
        path.write_text(path.read_text().replace('"size":', '"size":1'))
    for checkpoint in (table.folder / "_delta_log").glob("*.checkpoint.parquet"):
        checkpoint.unlink()

    snapshot = reopen(table, PINNED)

    assert snapshot.opened_by is OpenedBy.CHECKPOINT
    assert (snapshot.digest, snapshot.arrow()) == (kept.digest, expected(PINNED))


def test_a_damaged_manifest_leaves_the_log_and_the_checkpoint_as_witnesses(
    table: SliceTable,
) -> None:
    kept = keep(table, PINNED)
    manifest = pins_folder(table) / kept.digest / "manifest"
    manifest.write_bytes(manifest.read_bytes().replace(b"version 13", b"version 12"))
    assert reopen(table, kept.digest).opened_by is OpenedBy.DELTA
    drop_log(table, PINNED)
    assert reopen(table, kept.digest).opened_by is OpenedBy.CHECKPOINT
    assert reopen(table, kept.digest).arrow() == expected(PINNED)
    (manifest.parent / "checkpoint.parquet").unlink()
    with pytest.raises(IntegrityError, match="manifest"):
        reopen(table, kept.digest)


def test_reopening_writes_nothing_and_the_table_goes_on(table: SliceTable) -> None:
    keep(table, PINNED)
    drop_log(table, PINNED)
    before = sorted(table.folder.rglob("*"))
    assert reopen(table, PINNED).opened_by is OpenedBy.CHECKPOINT
    assert sorted(table.folder.rglob("*")) == before
    append(table, rows(3), offset=COMMITS)
    assert open_snapshot(table).version == COMMITS + 1


def test_pinning_writes_only_under_the_pins(table: SliceTable, theirs: LinkedTable) -> None:
    for pinned in (table, theirs):
        before = {
            path: path.stat().st_mtime_ns for path in pinned.folder.rglob("*") if not path.is_dir()
        }
        keep(pinned)
        release(pinned, "pin-1")
        after = {path: path.stat().st_mtime_ns for path in before}
        assert after == before
        assert list(pins_folder(pinned).iterdir()) == [pins_folder(pinned) / ".lock"]


def test_unpinned_versions_open_by_the_log(table: SliceTable) -> None:
    keep(table, PINNED)
    assert reopen(table, 7).arrow() == expected(7)
    with pytest.raises(NotFoundError):
        reopen(table, 99)
    with pytest.raises(NotFoundError):
        reopen(table, "f" * 64)
    drop_log(table, PINNED)
    with pytest.raises(GoneError):
        reopen(table, 7)


def test_a_pin_survives_a_copy_of_the_lake_and_the_touch_of_every_file(
    table: SliceTable, tmp_path: Path
) -> None:
    kept = keep(table, PINNED)
    shutil.copytree(table.folder.parent, tmp_path / "copy")
    for number, path in enumerate(sorted((tmp_path / "copy").rglob("*"), reverse=True)):
        os.utime(path, (number, number))
    copy = SliceTable.open(tmp_path / "copy", "thumbs/en")

    assert pins_of(copy) == [kept]
    drop_log(copy, 18)  # as a cleanup does, up to a checkpoint
    assert reopen(copy, PINNED).arrow() == expected(PINNED)
    assert verify_table(copy).findings == ()


def test_pinning_what_we_wrote_opens_no_data_file(table: SliceTable) -> None:
    data = list(table.folder.glob("*.parquet"))
    hidden = table.folder.parent / "hidden"
    hidden.mkdir()
    for path in data:
        path.rename(hidden / path.name)
        path.write_bytes(b"nothing to read")
    kept = keep(table)
    for path in data:
        (hidden / path.name).rename(path)
    assert reopen(table, kept.digest).arrow() == expected(COMMITS)
    assert verify_table(table).findings == ()


def test_a_copy_outlives_its_table(table: SliceTable) -> None:
    kept = keep(table, PINNED, strength=Strength.COPIED)
    for path in table.folder.glob("*.parquet"):
        path.unlink()
    snapshot = reopen(table, PINNED)
    assert snapshot.opened_by is OpenedBy.COPY
    assert (snapshot.digest, snapshot.arrow()) == (kept.digest, expected(PINNED))


def test_a_held_snapshot_can_be_copied_too(table: SliceTable) -> None:
    held = keep(table, PINNED)
    copied = keep(table, PINNED, pin_id="pin-2", strength=Strength.COPIED)
    assert copied.digest == held.digest
    assert [kept.strength for kept in pins_of(table)] == [Strength.HELD, Strength.COPIED]
    assert reopen(table, PINNED).opened_by is OpenedBy.COPY


def test_copying_notices_bytes_that_are_not_what_the_name_says(table: SliceTable) -> None:
    path = sorted(table.folder.glob("*.parquet"))[2]
    path.write_bytes(path.read_bytes().replace(b"PAR1", b"PAR2"))
    with pytest.raises(IntegrityError, match="is not what its digest says"):
        keep(table, strength=Strength.COPIED)
    assert pins_of(table) == []
    assert [path.name for path in pins_folder(table).iterdir()] == [".lock"]


def test_watching_hashes_every_file_once(theirs: LinkedTable) -> None:
    kept = keep(theirs)
    assert kept.strength is Strength.WATCHED
    assert reopen(theirs, 1).digest == kept.digest != open_snapshot(theirs).digest
    assert all(len(file.sha256) == 64 for file in reopen(theirs, 1).manifest.files)
    first = next(theirs.folder.glob("*.parquet"))
    data = first.read_bytes()
    first.write_bytes(b"x" * len(data))  # nobody looks at it again, so nobody is misled by it

    again = keep(theirs, pin_id="pin-2")

    assert again.digest == kept.digest
    assert [finding.path for finding in verify_table(theirs).findings] == [str(first)]
    first.unlink()
    assert [finding.problem for finding in verify_table(theirs).findings] == ["missing"]
    with pytest.raises(GoneError):
        reopen(theirs, 1).arrow()


def test_a_copy_of_others_outlives_them(theirs: LinkedTable) -> None:
    before = open_snapshot(theirs).arrow()
    kept = keep(theirs, strength=Strength.COPIED)
    shutil.rmtree(theirs.folder)
    snapshot = reopen(theirs, kept.version)
    assert (snapshot.opened_by, snapshot.arrow()) == (OpenedBy.COPY, before)
    assert not kept.rewritten
    assert verify_table(theirs).findings == ()


@pytest.mark.parametrize(
    "make", [foreign.with_deletion_vector, foreign.with_mapped_columns, foreign.partitioned]
)
def test_what_the_files_alone_do_not_say_is_kept_as_rewritten_rows(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    table = link(tmp_path / "lake", "clicks", str(make(tmp_path / "theirs")), at=NOW)
    snapshot = open_snapshot(table)
    before = snapshot.arrow()

    kept = keep(table, strength=Strength.COPIED)

    assert kept.rewritten == snapshot.needs_engine
    assert keep(table, pin_id="pin-2", strength=Strength.COPIED).digest == kept.digest
    shutil.rmtree(table.folder)
    again = reopen(table, snapshot.version)
    assert (again.opened_by, again.arrow(), again.rows) == (OpenedBy.COPY, before, snapshot.rows)
    assert not again.needs_engine
    assert again.count("n > 4") == sum(n > 4 for n in before["n"].to_pylist())
    assert pin(table, again, pin_id="pin-3", holder="h", reason="r", at=NOW).digest == kept.digest
    assert verify_table(table).findings == ()


@pytest.mark.parametrize("strength", [Strength.WATCHED, Strength.COPIED])
def test_files_that_went_or_shrank_before_the_pin_are_told(
    theirs: LinkedTable, strength: Strength
) -> None:
    snapshot = open_snapshot(theirs)
    path = theirs.folder / snapshot.manifest.files[1].path
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(IntegrityError, match="bytes instead of"):
        keep(theirs, strength=strength)
    path.unlink()
    with pytest.raises(GoneError, match=path.name):
        keep(theirs, strength=strength)
    assert [path.name for path in pins_folder(theirs).iterdir()] == [".lock"]


def test_rewritten_rows_lie_in_files_of_bounded_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backstory.lake.copying.ROWS_PER_REWRITTEN_FILE", 3)
    monkeypatch.setattr("backstory.lake.snapshot.BATCH_ROWS", 2)
    folder = foreign.with_deletion_vector(tmp_path / "theirs")
    table = link(tmp_path / "lake", "clicks", str(folder), at=NOW)
    before = open_snapshot(table).arrow()

    again = reopen(table, keep(table).digest)

    assert again.arrow() == before
    assert len(again.manifest.files) > 1


def test_strengths_that_cannot_be_promised_are_refused(
    table: SliceTable, theirs: LinkedTable, tmp_path: Path
) -> None:
    with pytest.raises(RefusedError, match="nobody here can hold"):
        keep(theirs, strength=Strength.HELD)
    with pytest.raises(RefusedError, match="is ours"):
        keep(table, strength=Strength.WATCHED)
    folder = foreign.with_deletion_vector(tmp_path / "vectors")
    vectors = link(tmp_path / "lake", "vectors", str(folder), at=NOW)
    for strength in (Strength.WATCHED, Strength.HELD):
        with pytest.raises(RefusedError, match="only be pinned as a copy"):
            keep(vectors, strength=strength)
    assert keep(vectors).strength is Strength.COPIED


@pytest.mark.parametrize(
    "fields",
    [
        {"pin_id": "a/b"},
        {"pin_id": ""},
        {"at": datetime(2026, 1, 1)},  # noqa: DTZ001 - naive on purpose
        {"until": datetime(2026, 1, 1)},  # noqa: DTZ001
    ],
)
def test_ids_and_times_must_be_proper(table: SliceTable, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidError):
        keep(table, **fields)
    assert pins_of(table) == []


def test_a_snapshot_whose_log_changed_meanwhile_is_not_pinned(theirs: LinkedTable) -> None:
    snapshot = open_snapshot(theirs)
    foreign.rewrite_entry(theirs.folder, 1, lambda action: {} if "add" in action else action)
    with pytest.raises(IntegrityError, match="something else by now"):
        pin(theirs, snapshot, pin_id="p", holder="h", reason="r", at=NOW)
    assert pins_of(theirs) == []


def test_a_damaged_holder_is_named(table: SliceTable) -> None:
    kept = keep(table, PINNED)
    path = pins_folder(table) / kept.digest / "holders" / "pin-1"
    path.write_text(path.read_text().replace("training", "tracking"))
    with pytest.raises(IntegrityError, match="pin-1"):
        pins_of(table)


def test_a_full_or_locked_folder_is_told(table: SliceTable) -> None:
    pins_folder(table).write_text("in the way")
    with pytest.raises(BackstoryError, match="pinning thumbs/en"):
        keep(table)


def test_a_revived_checkpoint_is_a_delta_table(table: SliceTable, tmp_path: Path) -> None:
    kept = keep(table, PINNED)
    (tmp_path / "t" / "_delta_log").mkdir(parents=True)
    shutil.copy(
        pins_folder(table) / kept.digest / "checkpoint.parquet",
        tmp_path / "t" / "_delta_log" / f"{PINNED:020d}.checkpoint.parquet",
    )
    for path in table.folder.glob("*.parquet"):
        os.link(path, tmp_path / "t" / path.name)
    found = pa.table(DeltaTable(tmp_path / "t").scan(columns=["event_id"]))
    assert sorted(found["event_id"].to_pylist()) == sorted(expected(PINNED)["event_id"].to_pylist())


def test_pins_survive_a_power_cut(
    table: SliceTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nested = link(
        tmp_path / "lake", "nested", str(foreign.partitioned(tmp_path / "nested")), at=NOW
    )
    lost = watch_syncs(monkeypatch, tmp_path)
    wanted: list[tuple[Table, str]] = [
        (table, "held"),
        (table, "copied"),
        (nested, "watched"),
        (nested, "copied"),
    ]
    for number, (one, strength) in enumerate(wanted):
        keep(one, pin_id=f"pin-{number}", strength=Strength(strength))
    assert [name for name in lost() if not name.endswith(".lock")] == []


def test_a_released_pin_has_lost_its_name_before_it_loses_its_files(
    table: SliceTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(table)
    lost, seen = watch_syncs(monkeypatch, tmp_path), []
    monkeypatch.setattr(shutil, "rmtree", lambda path, **_: seen.append((path, lost())))
    release(table, "pin-1")
    assert [(path.exists(), gone) for path, gone in seen] == [(True, [])]
