"""A lease lives as long as its reader, and never stands in the way of a read."""

import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backstory.lake.belongings import pin_files, table_files
from backstory.lake.leases import (
    LEASE_LENGTH,
    LEASES_FOLDER,
    RENEWED_AFTER,
    Lease,
    Reader,
    leases_in,
    sweep,
)
from backstory.lake.pinned import Strength
from backstory.lake.pins import pin
from backstory.lake.process import this_process
from backstory.lake.snapshot import open_snapshot
from backstory.lake.table import SliceTable
from backstory.lake.verify import verify_table
from tests.lake.disk import files_of_at_most
from tests.lake.thumbs import NOW, append, create, rows

READS = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from backstory.lake.leases import Reader
Reader(
    folder=Path(sys.argv[1]), slice="thumbs/en", version=1, size=9, user="mary",
    clock=lambda: datetime(2026, 11, 24, 9, 41, tzinfo=UTC),
).renew()
print("reads", flush=True)
input()
"""


class Clock:
    """Tells the time that it was set to."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def table(tmp_path: Path) -> SliceTable:
    made = create(tmp_path)
    append(made, rows(), offset=1)
    return made


def utc_now() -> datetime:
    return datetime.now(UTC)


def reader(table: SliceTable, clock: Clock | None = None, version: int = 1) -> Reader:
    return Reader(
        folder=table.folder,
        slice=table.name,
        version=version,
        size=9,
        user="mary",
        clock=clock or Clock(),
    )


def files(table: SliceTable) -> list[str]:
    return [path.name for path in (table.folder / LEASES_FOLDER).glob("*")]


def elsewhere(lease: Lease) -> Lease:
    return replace(lease, process=replace(lease.process, host="elsewhere"))


@contextmanager
def another_reader(table: SliceTable) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", READS, str(table.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout
        assert child.stdout.readline() == "reads\n"
        try:
            yield child
        finally:
            child.kill()


def test_a_lease_says_who_reads_what_and_until_when(table: SliceTable) -> None:
    reader(table).renew()
    [lease] = leases_in(table.folder)
    assert (lease.slice, lease.version, lease.size) == ("thumbs/en", 1, 9)
    assert (lease.process, lease.user) == (this_process(), "mary")
    assert lease.holder == f"mary@{lease.process.host} {lease.process.pid}"
    assert (lease.began, lease.until) == (NOW, NOW + LEASE_LENGTH)


def test_a_reader_in_another_process_holds_one_until_it_is_killed(table: SliceTable) -> None:
    with another_reader(table) as child:
        [lease] = leases_in(table.folder)
        assert lease.process.pid == child.pid
        assert lease.is_live(NOW)
        assert lease.is_live(NOW + timedelta(days=30))  # it lives: it may still read
        child.kill()
        child.wait()
        assert not lease.is_live(NOW)


def test_a_reader_that_ends_in_its_own_time_leaves_nothing(table: SliceTable) -> None:
    with another_reader(table) as child:
        child.communicate("\n")
        assert child.returncode == 0
    assert files(table) == []


def test_the_lease_of_a_reader_on_another_host_ends_in_time(table: SliceTable) -> None:
    reader(table).renew()
    [lease] = map(elsewhere, leases_in(table.folder))
    assert lease.is_live(NOW + LEASE_LENGTH - timedelta(seconds=1))
    assert not lease.is_live(NOW + LEASE_LENGTH)


def test_reading_again_makes_no_file_and_moves_the_end_on_now_and_then(table: SliceTable) -> None:
    clock = Clock()
    snapshot = replace(open_snapshot(table), reader=reader(table, clock))
    snapshot.arrow()
    [path] = (table.folder / LEASES_FOLDER).iterdir()
    written = path.stat().st_ino
    clock.now += RENEWED_AFTER - timedelta(seconds=1)
    snapshot.pandas()
    reader(table, clock).renew()
    assert path.stat().st_ino == written
    clock.now += timedelta(seconds=1)
    snapshot.head(1)
    [lease] = leases_in(table.folder)
    assert (lease.began, lease.until) == (NOW, clock.now + LEASE_LENGTH)
    assert files(table) == [path.name]


def test_each_version_that_is_read_has_its_own(table: SliceTable) -> None:
    for version in (10, 9):
        reader(table, version=version).renew()
    assert [lease.version for lease in leases_in(table.folder)] == [9, 10]


def test_a_new_reader_sweeps_after_those_that_are_gone(table: SliceTable) -> None:
    with another_reader(table):
        reader(table).renew()
        assert len(files(table)) == 2
    reader(table, version=0).renew()
    assert [lease.process for lease in leases_in(table.folder)] == [this_process()] * 2
    assert sweep(table.folder, NOW + timedelta(days=30)) == 0


def test_what_cannot_be_read_is_no_lease_and_stays(table: SliceTable) -> None:
    reader(table).renew()
    [path] = (table.folder / LEASES_FOLDER).iterdir()
    path.write_bytes(path.read_bytes().replace(b"mary", b"mark"))
    assert leases_in(table.folder) == []
    assert sweep(table.folder, NOW) == 0
    assert files(table) == [path.name]


@pytest.mark.parametrize("obstacle", ["a file in the way", "a folder that nobody may write"])
def test_a_read_goes_on_where_no_lease_can_be_written(table: SliceTable, obstacle: str) -> None:
    leases = table.folder / LEASES_FOLDER
    if obstacle == "a file in the way":
        leases.write_text("")
    else:
        leases.symlink_to("/proc/self")  # root may write everywhere else
    snapshot = replace(open_snapshot(table), reader=reader(table))
    assert snapshot.arrow().num_rows == 3
    assert leases_in(table.folder) == []


def test_a_read_goes_on_on_a_full_disk(table: SliceTable) -> None:
    with files_of_at_most(10):
        snapshot = replace(open_snapshot(table), reader=reader(table))
        assert snapshot.arrow().num_rows == 3
    assert files(table) == []


def test_a_snapshot_that_goes_to_another_process_takes_its_reader_along(
    table: SliceTable,
) -> None:
    wanted = replace(reader(table), clock=utc_now)
    snapshot = pickle.loads(pickle.dumps(replace(open_snapshot(table), reader=wanted)))  # noqa: S301
    assert snapshot.arrow().num_rows == 3
    assert len(leases_in(table.folder)) == 1


def test_pins_and_their_proofs_know_nothing_of_leases(table: SliceTable) -> None:
    before = open_snapshot(table)
    reader(table).renew()
    kept = pin(table, before, pin_id="p", holder="h", reason="r", strength=Strength.COPIED, at=NOW)
    assert kept.digest == before.digest == open_snapshot(table).digest
    assert not verify_table(table).findings
    taken = [*table_files(table, 1, [1]), *pin_files(table, kept.digest, ["p"])]
    assert taken
    assert not [path for path in taken if LEASES_FOLDER in path.parts]
