"""Nothing that somebody needs is collected, and what nobody needs goes in two steps."""

from datetime import timedelta
from typing import Any

import pytest

from backstory.lake.errors import GoneError, IntegrityError, RefusedError
from backstory.lake.garbage import Fate, collect, fate, look
from backstory.lake.grace import MIN_GRACE
from backstory.lake.kept_sums import kept_sums
from backstory.lake.leases import Reader
from backstory.lake.pinned import MANIFEST_FILE, pins_folder, reopen
from backstory.lake.pins import pin, release
from backstory.lake.snapshot import open_snapshot
from backstory.lake.table import SliceTable
from backstory.lake.verify import verify_table
from tests.lake.test_compaction import FILES, summed
from tests.lake.test_compaction import table as table  # noqa: PLC0414 - a fixture
from tests.lake.thumbs import NOW, append, rows
from tests.lake.upkeep import BY, collected, compact_all

DAY = timedelta(days=1)


def data(table: SliceTable) -> set[str]:
    return {path.name for path in table.folder.glob("part-*")}


def test_what_compaction_replaced_goes_when_its_grace_is_over(table: SliceTable) -> None:
    old = data(table)
    before = summed(open_snapshot(table))
    compact_all(table)
    assert set(collected(table, 0).condemned) == old
    early = collected(table, 0.99)
    assert (set(early.waiting), early.removed, early.condemned) == (old, (), ())
    done = collected(table, 1)
    assert set(done.removed) == old
    assert done.freed > 0
    assert not data(table) & old
    assert kept_sums(table.folder).keys() == data(table)
    assert summed(open_snapshot(table)) == before
    assert verify_table(table).findings == ()
    assert collected(table, 3) == look(table, NOW + 3 * DAY, MIN_GRACE)
    with pytest.raises(GoneError, match="collected on 2026-11-25T09:41:00Z by `backstory maintain"):
        open_snapshot(table, FILES).arrow()


def test_a_look_tells_exactly_what_is_done(table: SliceTable) -> None:
    files = {file.path for file in open_snapshot(table).manifest.files}
    ahead = look(table, NOW, MIN_GRACE, replaced=files)
    compact_all(table)
    assert look(table, NOW, MIN_GRACE) == ahead == collected(table, 0)
    later = NOW + 2 * DAY
    assert look(table, later, MIN_GRACE) == collect(table, later, MIN_GRACE, by=BY)


def test_what_is_pinned_stays_and_is_what_it_was(table: SliceTable) -> None:
    snapshot = open_snapshot(table, 5)
    kept = pin(table, snapshot, pin_id="p1", holder="h", reason="r", at=NOW)
    needed = {file.path for file in snapshot.manifest.files}
    expected = summed(snapshot)
    compact_all(table)
    collected(table, 0)
    assert not set(collected(table, 9).removed) & needed
    assert needed <= data(table)
    assert summed(reopen(table, kept.digest)) == expected
    assert verify_table(table).findings == ()
    release(table, "p1")
    assert set(collected(table, 10).condemned) == needed
    assert set(collected(table, 11).removed) == needed


def test_what_a_live_reader_holds_stays(table: SliceTable) -> None:
    reader = Reader(
        folder=table.folder, slice=table.name, version=4, size=9, user="mary", clock=lambda: NOW
    )
    reader.renew()
    needed = {file.path for file in open_snapshot(table, 4).manifest.files}
    compact_all(table)
    collected(table, 0)
    collected(table, 9)
    assert needed <= data(table)
    found = fate(table, min(needed), NOW, MIN_GRACE)
    assert found is not None
    assert found.reasons[0].startswith("leased at version 4 by mary@")


def test_a_pin_rescues_what_was_condemned_and_comes_too_late_for_what_went(
    table: SliceTable,
) -> None:
    snapshot, late = open_snapshot(table, 5), open_snapshot(table, 7)
    compact_all(table)
    collected(table, 0)
    pin(table, snapshot, pin_id="p1", holder="h", reason="r", at=NOW)
    done = collected(table, 2)
    assert set(done.rescued) == {file.path for file in snapshot.manifest.files}
    with pytest.raises(GoneError, match="collected on"):
        pin(table, late, pin_id="p2", holder="h", reason="r", at=NOW)
    assert pin(table, snapshot, pin_id="p3", holder="h", reason="r", at=NOW).version == 5


def test_what_crashes_left_goes_too_and_what_is_not_ours_stays(table: SliceTable) -> None:
    orphan = f"part-00000000-0000-7000-8000-000000000000-{'0' * 64}.parquet"
    for name in (orphan, ".tmp-x", "notes.json", "part-00000-c000.snappy.parquet"):
        (table.folder / name).write_text("x")
    (table.folder / ".tmp-folder" / "_delta_log").mkdir(parents=True)
    (table.folder / "_leases").mkdir()
    (table.folder / "_leases" / ".tmp-lease").write_text("x")
    gone = {orphan, ".tmp-x", ".tmp-folder", "_leases/.tmp-lease"}
    assert set(collected(table, 0).condemned) == gone
    assert set(collected(table, 1).removed) == gone
    left = {path.name for path in table.folder.iterdir()}
    assert {"notes.json", "part-00000-c000.snappy.parquet"} <= left
    assert not left & {orphan, ".tmp-x", ".tmp-folder"}


def test_an_append_whose_file_was_collected_meanwhile_fails_and_can_be_repeated(
    table: SliceTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*args: Any) -> Any:
        written = write(*args)
        collected(table, 0)
        collected(table, 9)
        return written

    write = SliceTable._write
    monkeypatch.setattr(SliceTable, "_write", slow)
    with pytest.raises(Exception, match="appending"):
        append(table, rows(3, first=900), offset=900)
    monkeypatch.undo()
    assert append(table, rows(3, first=900), offset=900).accepted == 3
    assert open_snapshot(table).arrow().num_rows == 3 * FILES + 3


def test_it_refuses_where_it_cannot_know_all(table: SliceTable) -> None:
    kept = pin(table, open_snapshot(table, 5), pin_id="p1", holder="h", reason="r", at=NOW)
    manifest = pins_folder(table) / kept.digest / MANIFEST_FILE
    text = manifest.read_bytes()
    compact_all(table)
    collected(table, 0)
    before = data(table)
    for damaged in (text[:-9], text.replace(b"v1", b"v2", 1), b""):
        manifest.write_bytes(damaged)
        with pytest.raises(IntegrityError, match="which files it pins"):
            collected(table, 9)
    manifest.unlink()
    with pytest.raises(IntegrityError, match="which files it pins"):
        collected(table, 9)
    manifest.write_bytes(text)
    for name, match in (("_pins/other", "no pin"), ("sub/_delta_log", "inside thumbs/en")):
        (table.folder / name).mkdir(parents=True)
        with pytest.raises(RefusedError, match=match):
            collected(table, 9)
        (table.folder / name).rmdir()
    (table.folder / "_leases").mkdir()
    (table.folder / "_leases" / "3-x.json").write_text("{}")
    with pytest.raises(RefusedError, match="does not parse"):
        collected(table, 9)
    (table.folder / "_leases" / "3-x.json").unlink()
    (table.folder / "_maintenance" / "condemned").write_text("{}")
    with pytest.raises(IntegrityError, match="not what was written"):
        collected(table, 9)
    with pytest.raises(RefusedError, match="too short"):
        collect(table, NOW, DAY / 2, by=BY)
    assert data(table) == before


def test_a_clock_that_went_back_ends_no_grace_early(table: SliceTable) -> None:
    compact_all(table)
    collected(table, 100)
    assert collected(table, 0).removed == ()
    assert collected(table, 0.9).removed == ()
    assert len(collected(table, 1).removed) == FILES


def test_every_file_is_explained(table: SliceTable) -> None:
    def said(name: str, days: float = 0) -> tuple[Fate, str]:
        found = fate(table, name, NOW + days * DAY, MIN_GRACE)
        assert found is not None
        return found.fate, "; ".join(found.reasons)

    first = min(data(table))
    assert said(first) == (Fate.NEEDED, f"live at version {FILES}")
    pin(table, open_snapshot(table, 1), pin_id="p1", holder="h", reason="r", at=NOW)
    assert said(first)[1] == f"live at version {FILES}; pinned at version 1 by p1"
    last = max(data(table))
    compact_all(table)
    assert said(last) == (
        Fate.CONDEMNED,
        "no version, pin or lease needs it; the next `backstory maintain` condemns it",
    )
    collected(table, 0)
    assert "condemned since 2026-11-24T09:41:00Z; grace until 2026-11-25T09:41:00Z" in said(last)[1]
    assert said(last, 2)[0] is Fate.DUE
    collected(table, 2)
    assert said(last)[1].startswith("gone: it was collected on 2026-11-26")
    (table.folder / "notes.json").write_text("x")
    assert said("notes.json")[0] is Fate.NOT_OURS
    assert fate(table, "never.parquet", NOW, MIN_GRACE) is None
