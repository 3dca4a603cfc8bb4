"""A lake on an object store does what one in a folder does; moto's server stands for the store."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from backstory.lake.blobs import Blobs
from backstory.lake.compaction import compact, small_files
from backstory.lake.contract_files import CONTRACT_FOLDER
from backstory.lake.errors import (
    ConflictError,
    GoneError,
    InvalidError,
    OffsetConflict,
    RefusedError,
    UnavailableError,
)
from backstory.lake.lakehouse import Lake
from backstory.lake.linked import link
from backstory.lake.object_path import ObjectPath
from backstory.lake.pinned import FILES_FOLDER, Strength, pins_of, reopen
from backstory.lake.pins import pin, release
from backstory.lake.receipt import Outcome
from backstory.lake.row_diff import diff_rows
from backstory.lake.segments import log_files
from backstory.lake.snapshot import OpenedBy, open_snapshot
from backstory.lake.subject_index import look_up
from backstory.lake.subject_sets import number_of
from backstory.lake.table import SliceTable
from backstory.lake.verify import verify_table
from tests.lake.thumbs import KEY, NOW, append, contract, create, new_id, rows
from tests.object_store import make_bucket, served


@pytest.fixture(scope="module")
def bucket() -> Iterator[ObjectPath]:
    with served():
        yield make_bucket()


@pytest.fixture
def root(bucket: ObjectPath, request: pytest.FixtureRequest) -> ObjectPath:
    """A lake of its own for each test."""
    name: str = request.node.name
    return bucket / name.replace("[", "-").rstrip("]")


@pytest.fixture
def table(root: ObjectPath) -> SliceTable:
    return create(root)


def test_a_batch_lands_once(root: ObjectPath, table: SliceTable) -> None:
    assert append(table, rows(3), offset=1).version == 1
    other = SliceTable.open(root, "thumbs/en")
    assert append(other, rows(3), offset=1).outcome is Outcome.DUPLICATE
    assert append(other, rows(2, first=3), offset=2).version == 2
    with pytest.raises(OffsetConflict):
        append(table, rows(1, first=9), offset=2)
    assert append(table, rows(1, first=9), offset=3).version == 3
    ids = open_snapshot(table).arrow(["event_id"])["event_id"].to_pylist()
    assert ids == ["app-0", "app-1", "app-2", "app-3", "app-4", "app-9"]
    assert len([path for path in table.folder.iterdir() if path.suffix == ".parquet"]) == 3


def test_of_rivals_at_one_offset_one_is_refused(root: ObjectPath, table: SliceTable) -> None:
    """The rival commits between our look at the log and our commit, which the store refuses."""
    rival = SliceTable.open(root, "thumbs/en")
    attempt = table._try

    def beaten(ours: object) -> None:
        with patch.object(table, "_try", attempt):
            append(rival, rows(2, source="rival"), offset=1)
            attempt(ours)  # type: ignore[arg-type]

    with patch.object(table, "_try", beaten), pytest.raises(OffsetConflict):
        append(table, rows(3), offset=1)
    assert open_snapshot(table).rows == 2
    assert len([path for path in table.folder.iterdir() if path.suffix == ".parquet"]) == 1


def test_a_table_is_made_once(root: ObjectPath, table: SliceTable) -> None:
    with pytest.raises(ConflictError, match="exists already"):
        create(root)
    lake = Lake(root, root / "artifacts")
    assert lake.names() == ["thumbs/en"]
    assert lake.slice("thumbs/en").table_id == table.table_id


def test_a_table_that_was_half_made_is_made_whole(root: ObjectPath) -> None:
    made = create(root)
    (made.folder / "_delta_log" / f"{0:020d}.json").unlink()
    assert Lake(root, root).names() == []
    assert append(create(root), rows(1), offset=1).version == 1
    (made.folder / "_delta_log" / f"{0:020d}.json").unlink()
    (made.folder / "_delta_log" / f"{1:020d}.json").unlink()
    with pytest.raises(ConflictError):
        SliceTable.create(root, replace(contract(), purpose="another"), at=NOW)


def test_the_same_rows_are_read_as_from_a_folder(table: SliceTable, tmp_path: Path) -> None:
    near = create(tmp_path)
    for one in (table, near):
        for offset in (1, 2, 3):
            append(one, rows(40, first=40 * offset), offset=offset)
    here, there = open_snapshot(near), open_snapshot(table)
    for columns, where in (
        (None, None),
        (["label", "event_id"], None),
        (["event_id"], "label between 3 and 5 and score > 10"),
        (["event_id"], "\"user\" is not null and at > timestamp '2026-11-24 09:42:30Z'"),
        (["tags"], "list_contains(tags, 'a')"),
    ):
        assert there.arrow(columns, where).equals(here.arrow(columns, where))
        assert there.count(where) == here.count(where)
    hidden = ["_source", "_offset"] if "_offset" in here.full_schema.names else ["_source"]
    assert there.arrow(hidden).equals(here.arrow(hidden))
    assert there.head(5) == here.head(5)
    assert pa.Table.from_batches(there.batches()).equals(here.arrow())
    assert (
        there.duckdb(["label"]).sum("label").fetchall()
        == here.duckdb(["label"]).sum("label").fetchall()
    )
    with pytest.raises(InvalidError):
        there.arrow(["none"])


def test_files_that_are_gone_are_told(table: SliceTable) -> None:
    append(table, rows(3), offset=1)
    snapshot = open_snapshot(table)
    (table.folder / snapshot.manifest.files[0].path).unlink()
    with pytest.raises(GoneError, match="no longer there"):
        snapshot.arrow()


def test_a_checkpoint_shortens_the_log(root: ObjectPath, table: SliceTable) -> None:
    for offset in range(1, 11):
        append(table, rows(1, first=offset), offset=offset)
    assert [file.version for file in log_files(table.folder) if file.parts] == [9]
    again = SliceTable.open(root, "thumbs/en")
    assert append(again, rows(1, first=11), offset=11).version == 11
    assert open_snapshot(again, 4).rows == 4
    assert verify_table(again).findings == ()


def test_what_is_pinned_reopens_when_its_log_is_gone(table: SliceTable) -> None:
    append(table, rows(3), offset=1)
    snapshot = open_snapshot(table)
    first = pin(table, snapshot, pin_id="one", holder="h", reason="r", at=NOW)
    append(table, rows(3, first=3), offset=2)
    again = pin(table, snapshot, pin_id="two", holder="h", reason="r", at=NOW)
    assert [one.pin_id for one in pins_of(table)] == ["one", "two"]
    assert first.digest == again.digest == snapshot.digest
    assert verify_table(table).findings == ()
    for entry in (table.folder / "_delta_log").iterdir():
        entry.unlink()
    kept = reopen(table, 1)
    assert (kept.opened_by, kept.digest) == (OpenedBy.CHECKPOINT, snapshot.digest)
    assert kept.arrow().equals(snapshot.arrow())
    (table.folder / "_pins" / kept.digest / "checkpoint.parquet").unlink()
    assert reopen(table, kept.digest).opened_by is OpenedBy.MANIFEST
    release(table, "one")
    release(table, "two")
    assert pins_of(table) == []


def test_a_copy_counts_when_all_of_it_is_there(table: SliceTable) -> None:
    append(table, rows(3), offset=1)
    snapshot = open_snapshot(table)
    held = pin(table, snapshot, pin_id="held", holder="h", reason="r", at=NOW)
    copies = table.folder / "_pins" / held.digest / FILES_FOLDER
    (copies / "half").write_bytes(b"of a copy that was killed")
    assert reopen(table, 1).opened_by is OpenedBy.DELTA
    (copies / "half").unlink()
    copied = pin(
        table, snapshot, pin_id="two", holder="h", reason="r", strength=Strength.COPIED, at=NOW
    )
    assert copied.digest == held.digest
    (table.folder / snapshot.manifest.files[0].path).unlink()
    kept = reopen(table, 1)
    assert (kept.opened_by, kept.rows) == (OpenedBy.COPY, 3)
    assert kept.arrow().num_rows == 3


def test_a_pin_that_fails_leaves_nothing_on_this_machine(
    table: SliceTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(table, rows(3), offset=1)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    copied = partial(
        pin, table, open_snapshot(table), holder="h", reason="r", strength=Strength.COPIED, at=NOW
    )
    with monkeypatch.context() as patch:
        patch.setattr(ObjectPath, "upload", _unavailable)
        with pytest.raises(UnavailableError):
            copied(pin_id="one")
    assert list(tmp_path.iterdir()) == []
    assert pins_of(table) == []
    assert copied(pin_id="one").strength is Strength.COPIED
    assert list(tmp_path.iterdir()) == []


def _unavailable(self: ObjectPath, source: Path) -> None:
    raise UnavailableError(f"{self} cannot be reached")


def test_damage_is_found(table: SliceTable) -> None:
    append(table, rows(3), offset=1)
    pin(table, open_snapshot(table), pin_id="one", holder="h", reason="r", at=NOW)
    assert verify_table(table).findings == ()
    data = table.folder / open_snapshot(table).manifest.files[0].path
    for path in (data, table.folder / CONTRACT_FOLDER / "v1.json"):
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        assert verify_table(table).findings
        path.write_bytes(whole)
    assert verify_table(table).findings == ()


def test_small_files_are_joined_and_the_diff_stays(table: SliceTable) -> None:
    for offset in range(1, 10):
        append(table, rows(5, first=5 * offset), offset=offset)
    before = open_snapshot(table)
    (group,) = small_files(before)
    done = compact(table, group, at=NOW, new_id=new_id)
    after = open_snapshot(table)
    assert (done.before, done.rows, len(after.manifest.files)) == (9, 45, 1)
    assert sorted(after.arrow(["event_id"]).to_pylist(), key=str) == sorted(
        before.arrow(["event_id"]).to_pylist(), key=str
    )
    append(table, rows(2, first=100), offset=10)
    newest = open_snapshot(table)
    with diff_rows(before, newest, key="event_id") as found:
        assert (found.counts.added, found.counts.removed) == (2, 0)
    assert verify_table(table).findings == ()


def test_a_person_is_found(table: SliceTable) -> None:
    append(table, rows(14), offset=1)
    append(table, rows(1), offset=2)
    held = look_up(table.folder, [number_of(KEY.pseudonym("user-0"))])
    first, second = open_snapshot(table).manifest.files
    assert held.files == {first.path: 2, second.path: 1}


def test_a_table_of_others_is_read_with_its_partitions(root: ObjectPath) -> None:
    theirs = root / "theirs"
    for language in ("de", "en"):
        data = pa.table({"n": [1, 2], "score": [0.5, float("nan")], "language": [language] * 2})
        write_deltalake(str(theirs), data, partition_by=["language"], mode="append")
    linked = link(root / "lake", "theirs", str(theirs), at=NOW)
    snapshot = open_snapshot(linked)
    assert sorted(snapshot.arrow(["language", "n"]).to_pylist(), key=str) == [
        {"language": language, "n": n} for language in ("de", "en") for n in (1, 2)
    ]
    assert snapshot.count("language = 'de'") == 2
    assert snapshot.count("score > 1") == 2  # to DuckDB, NaN is larger than any number
    kept = pin(linked, snapshot, pin_id="one", holder="h", reason="r", at=NOW)
    assert kept.strength is Strength.WATCHED
    assert all(file.sha256 for file in reopen(linked, 1).manifest.files)
    with pytest.raises(RefusedError):
        link(root, "own", str(root / "lake"), at=NOW)


def test_deleted_rows_stay_deleted(root: ObjectPath) -> None:
    theirs = str(root / "theirs")
    write_deltalake(
        theirs,
        pa.table({"n": [1, 2, 3]}),
        configuration={"delta.enableDeletionVectors": "true"},
    )
    DeltaTable(theirs).delete("n = 2")
    linked = link(root / "lake", "theirs", theirs, at=NOW)
    assert sorted(open_snapshot(linked).arrow()["n"].to_pylist()) == [1, 3]


def test_artifacts_are_kept_and_used(root: ObjectPath, tmp_path: Path) -> None:
    blobs = Blobs(root / "artifacts", tmp_path / "laid")
    model = tmp_path / "model"
    (model / "layers").mkdir(parents=True)
    (model / "layers" / "1.bin").write_bytes(b"weights")
    (model / "run.sh").write_bytes(b"echo")
    kept = blobs.put(model)
    assert blobs.put(model) == kept
    single = blobs.put_bytes(b"alone", "one.bin")
    assert {kept.digest, single.digest} <= set(blobs.digests())
    assert (blobs.place(kept.digest) / "layers" / "1.bin").read_bytes() == b"weights"
    assert blobs.place(single.digest).read_bytes() == b"alone"
    blobs.write_to(kept.digest, tmp_path / "out")
    assert blobs.digest_of(tmp_path / "out") == kept.digest
    assert list(blobs.verify(kept.digest)) == []
    path = root / "artifacts" / "sha256" / single.digest[:2] / single.digest
    path.write_bytes(b"other")
    (finding,) = blobs.verify(single.digest)
    assert finding.problem == "changed"


KILLED = {
    "file.renamed": ("append", 0),
    "commit.after": ("append", 1),
    "pin.holder": ("pin", 0),
}


@pytest.mark.parametrize("place", KILLED)
def test_killed_anywhere_it_goes_on(root: ObjectPath, table: SliceTable, place: str) -> None:
    work, landed = KILLED[place]
    append(table, rows(2, source="before"), source="before", offset=1)
    module = {"append": "writing", "pin": "pinning"}[work]
    command = [sys.executable, "-m", f"tests.lake.{module}", str(root)]
    command += {"append": ["app", "", "1"], "pin": ["one"]}[work]
    killed = subprocess.run(command, env={**os.environ, "BACKSTORY_CRASH_AT": place}, check=False)
    assert killed.returncode < 0
    again = SliceTable.open(root, "thumbs/en")
    assert again.last_offset("app") == (1 if landed else -1)
    assert pins_of(again) == []
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert verify_table(again).findings == ()
    assert open_snapshot(again).rows == (7 if work == "append" else 2)
