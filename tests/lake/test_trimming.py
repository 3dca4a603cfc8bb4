"""A log is cut before a checkpoint; what is left opens, what was cut is archived and told of."""

from datetime import timedelta
from pathlib import Path

import pytest

from backstory.lake import checkpoints, trimming
from backstory.lake.belongings import table_files
from backstory.lake.checkpoints import add_checkpoint, checkpoint_records
from backstory.lake.commits import ARCHIVE_FOLDER, log_entry, read_commit, read_commits
from backstory.lake.errors import GoneError, IntegrityError, OffsetConflict
from backstory.lake.grace import MIN_GRACE
from backstory.lake.leases import Reader
from backstory.lake.pinned import reopen
from backstory.lake.pins import pin
from backstory.lake.receipt import Outcome
from backstory.lake.segments import LogFile, log_files
from backstory.lake.snapshot import OpenedBy, open_snapshot
from backstory.lake.table import SliceTable
from backstory.lake.trimming import Trim, plan_trim, trim
from backstory.lake.verify import log_entry_digest, verify_table
from tests.lake.thumbs import NOW, append, create, rows
from tests.lake.upkeep import trimmed

COMMITS = 24
NOTHING = Trim(begin=None, entries=0, checkpoints=0)


@pytest.fixture
def table(tmp_path: Path) -> SliceTable:
    table = create(tmp_path)
    for number in range(COMMITS):
        append(table, rows(2, first=2 * number), offset=number)
    return table


def test_a_log_begins_with_a_checkpoint_and_says_the_same(table: SliceTable) -> None:
    digests = {v: log_entry_digest(table.folder, v) for v in range(COMMITS + 1)}
    commits = read_commits(table.folder)
    before = open_snapshot(table)
    kept = open_snapshot(table, 20)
    assert trimmed(table, 1) == Trim(begin=19, entries=19, checkpoints=1)
    assert trimmed(table, 2) == NOTHING
    assert [f.version for f in log_files(table.folder)] == [19, *range(19, COMMITS + 1)]
    assert open_snapshot(table).manifest == before.manifest
    assert open_snapshot(table, 20).manifest == kept.manifest
    assert [read_commit(table.folder, v) for v in range(COMMITS + 1)] == [
        read_commit(table.folder, c.version) for c in commits
    ]
    assert verify_table(table, log_digests=digests).findings == ()
    with pytest.raises(GoneError, match="trimmed to version 19 on 2026-11-25T09:41:00Z by"):
        open_snapshot(table, 7)


def test_old_batches_are_duplicates_for_ever_and_appends_go_on(table: SliceTable) -> None:
    other = SliceTable.open(table.folder.parent, table.name)
    assert append(other, rows(2, first=900), source="b", offset=1).outcome is Outcome.ACCEPTED
    trimmed(table, 1)
    assert append(table, rows(2, first=4), offset=2).outcome is Outcome.DUPLICATE
    with pytest.raises(OffsetConflict):
        append(table, rows(2, first=5), offset=2)
    for opened in (table, other, SliceTable.open(table.folder.parent, table.name)):
        version = append(opened, rows(2, first=990), source="c", offset=opened.version).version
        assert version == opened.version


def test_a_writer_that_slept_while_its_log_was_cut_goes_on(table: SliceTable) -> None:
    other = SliceTable.open(table.folder.parent, table.name)
    for number in range(COMMITS, 2 * COMMITS):
        append(other, rows(2, first=2 * number), offset=number)
    trimmed(other, 1)
    assert not log_entry(table.folder, COMMITS).exists()
    assert append(table, rows(2, first=4), offset=2).outcome is Outcome.DUPLICATE
    assert append(table, rows(2, first=4 * COMMITS), offset=99).outcome is Outcome.ACCEPTED
    assert open_snapshot(table).rows == 4 * COMMITS + 2


def test_a_checkpoint_that_is_trimmed_while_it_is_recorded_is_passed_over(
    table: SliceTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def listed(folder: Path) -> list[LogFile]:
        found = log_files(folder)
        next(file for file in found if file.parts).path.unlink(missing_ok=True)
        return found

    for record in checkpoint_records(table.folder):
        record.unlink()
    monkeypatch.setattr(checkpoints, "log_files", listed)
    add_checkpoint(table.folder, COMMITS, name=table.name)
    assert [path.name for path in checkpoint_records(table.folder)] == [
        f"{version:020d}.checkpoint.parquet" for version in (19, COMMITS)
    ]


def test_a_changed_archived_entry_is_found(table: SliceTable) -> None:
    digests = {v: log_entry_digest(table.folder, v) for v in range(COMMITS + 1)}
    trimmed(table, 1)
    path = table.folder / ARCHIVE_FOLDER / f"{3:020d}.json"
    path.write_text(path.read_text().replace("app", "APP", 1))
    [finding] = verify_table(table, log_digests=digests).findings
    assert (finding.problem, finding.path.endswith(path.name)) == ("changed", True)
    path.unlink()
    assert verify_table(table, log_digests=digests).findings != ()


def test_pins_need_no_log(table: SliceTable) -> None:
    snapshot = open_snapshot(table, 5)
    kept = pin(table, snapshot, pin_id="p1", holder="h", reason="r", at=NOW)
    rows_then = snapshot.arrow(system=True)
    trimmed(table, 1)
    again = reopen(table, kept.digest)
    assert again.opened_by is OpenedBy.CHECKPOINT
    assert again.arrow(system=True).equals(rows_then)
    assert reopen(table, 5).digest == kept.digest
    assert verify_table(table).findings == ()
    assert pin(table, again, pin_id="p2", holder="i", reason="r", at=NOW).digest == kept.digest


def test_what_is_young_leased_or_unregistered_is_not_cut(
    table: SliceTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert trimmed(table, 0.9) == NOTHING
    later = NOW + timedelta(days=2)
    plan = plan_trim(table, registered=15, now=later, grace=MIN_GRACE)
    assert plan == Trim(begin=9, entries=9, checkpoints=0)
    Reader(
        folder=table.folder, slice=table.name, version=12, size=9, user="mary", clock=lambda: NOW
    ).renew()
    assert plan_trim(table, registered=99, now=later, grace=MIN_GRACE) == plan
    monkeypatch.setattr(trimming, "MAX_LOG_COMMITS", 5)
    assert plan_trim(table, registered=99, now=NOW, grace=MIN_GRACE) == plan


def test_a_checkpoint_that_says_something_else_cuts_nothing(table: SliceTable) -> None:
    log = table.folder / "_delta_log"
    (log / f"{19:020d}.checkpoint.parquet").write_bytes(
        (log / f"{9:020d}.checkpoint.parquet").read_bytes()
    )
    entries = log_files(table.folder)
    with pytest.raises(IntegrityError):
        trimmed(table, 1)
    assert log_files(table.folder) == entries


def test_the_archive_belongs_to_the_table(table: SliceTable) -> None:
    trimmed(table, 1)
    names = {path.name for path in table_files(table, COMMITS, [1])}
    assert {f"{v:020d}.json" for v in range(COMMITS + 1)} <= names


def test_trimming_nothing_writes_nothing(table: SliceTable) -> None:
    assert trim(table, NOTHING, now=NOW, by="x") == NOTHING
    assert not (table.folder / ARCHIVE_FOLDER).exists()
