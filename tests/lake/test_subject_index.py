import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backstory.lake import subject_index
from backstory.lake.contract import Contract
from backstory.lake.errors import GoneError, IntegrityError, UnavailableError
from backstory.lake.files import hash_file
from backstory.lake.snapshot import open_snapshot
from backstory.lake.subject_index import (
    JOIN_AT,
    SUBJECTS_FOLDER,
    add_missing,
    digest_of,
    discard_set,
    join_sets,
    look_up,
    set_files,
)
from backstory.lake.table import SliceTable
from tests.lake.disk import watch_syncs
from tests.lake.subject_writing import PEOPLE, counted, named, number, people_of
from tests.lake.thumbs import NOW, append, create


@pytest.fixture
def table(tmp_path: Path) -> SliceTable:
    return create(tmp_path / "lake")


def rows_of(table: SliceTable, who: str) -> int:
    """What the index says of a person, over the files of the newest version."""
    files = {file.path for file in open_snapshot(table).manifest.files}
    held = look_up(table.folder, [number(who)])
    assert files <= held.known.keys()
    return sum(rows for file, rows in held.files.items() if file in files)


def check(table: SliceTable, batches: list[list[str | None]]) -> None:
    expected = counted(batches)
    assert {who: rows_of(table, who) for who in PEOPLE} == {who: expected[who] for who in PEOPLE}
    for path in set_files(table.folder):
        assert hash_file(path)[0] == digest_of(path)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batches=st.lists(
        st.lists(st.sampled_from([None, *PEOPLE]), min_size=1, max_size=6), max_size=40
    )
)
def test_every_person_is_found_in_every_batch(
    batches: list[list[str | None]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    table = create(tmp_path_factory.mktemp("model") / "lake")
    for place, people in enumerate(batches):
        append(table, named(people, place * 10), offset=place)
        held = look_up(table.folder, [number(PEOPLE[0])])
        assert sum(held.files.values()) == counted(batches[: place + 1])[PEOPLE[0]]
    check(table, batches)
    assert rows_of(table, "nobody") == 0
    assert len(set_files(table.folder)) < 2 * JOIN_AT


def test_a_set_survives_a_power_cut_before_its_commit_is_acknowledged(
    table: SliceTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = watch_syncs(monkeypatch, table.folder)
    for offset in range(JOIN_AT):
        append(table, named(["ann"]), offset=offset)
        assert [path for path in lost() if path.endswith(".arrow")] == []
        assert SUBJECTS_FOLDER not in lost()


def test_a_batch_that_was_there_leaves_no_set(table: SliceTable, tmp_path: Path) -> None:
    append(table, named(["ann", "bob"]), offset=1)
    append(table, named(["ann", "bob"]), offset=1)
    rival = SliceTable.open(tmp_path / "lake", "thumbs/en")
    assert rows_of(rival, "ann") == 1
    [kept] = set_files(table.folder)
    discard_set(table.folder, "part-0-0.parquet")
    assert set_files(table.folder) == [kept]
    discard_set(table.folder, open_snapshot(table).manifest.files[0].path)
    assert set_files(table.folder) == []


def test_a_slice_without_people_has_no_index(tmp_path: Path) -> None:
    plain = Contract.from_yaml("{slice: plain, purpose: p, columns: {label: {type: int64}}}")
    table = SliceTable.create(tmp_path / "lake", plain, at=NOW)
    append(table, named(["ann"]).select(["label"]), offset=1)
    assert not (table.folder / SUBJECTS_FOLDER).exists()
    assert look_up(table.folder, [number("ann")]).known == {}


def test_what_was_joined_is_found_and_the_rest_goes(table: SliceTable) -> None:
    batches = [people_of("app", n) for n in range(JOIN_AT + 1)]
    for n, people in enumerate(batches):
        append(table, named(people), offset=n)
    assert len(set_files(table.folder)) == 2
    check(table, batches)
    assert join_sets(table.folder) == 0


def test_larger_sets_are_joined_again_and_few_remain(
    table: SliceTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject_index, "JOIN_AT", 3)
    monkeypatch.setattr(subject_index, "_SIZE_BITS", 1)
    batches = [people_of("app", n) for n in range(60)]
    for n, people in enumerate(batches):
        append(table, named(people), offset=n)
    check(table, batches)
    assert len(set_files(table.folder)) <= 10


def write(
    root: Path, source: str, numbers: range, at: str | None = None
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.lake.subject_writing", root, source, *map(str, numbers)],
        env={**os.environ, **({"BACKSTORY_CRASH_AT": at} if at else {})},
        stdout=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("place", ["subjects.written", "subjects.joined", "subjects.cleared"])
def test_whoever_dies_loses_no_entry_and_the_next_one_goes_on(
    table: SliceTable, tmp_path: Path, place: str
) -> None:
    before = range(JOIN_AT) if place != "subjects.written" else range(1)
    died = write(tmp_path / "lake", "app", before, place)
    assert died.wait() == -signal.SIGKILL
    stored = table.version  # one version a batch: the last may not have been acknowledged
    batches = [people_of("app", n) for n in range(stored)]
    check(table, batches)
    for n in range(stored, 2 * JOIN_AT):
        batches.append(people_of("app", n))
        append(table, named(batches[-1]), offset=n)
        check(table, batches)
    assert len(set_files(table.folder)) <= JOIN_AT


@pytest.mark.parametrize("bits", [14, 1])  # the joined set is of the size of the others, or not
def test_what_a_killed_join_left_goes_and_nothing_else(
    table: SliceTable, tmp_path: Path, bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject_index, "_SMALL_BITS", 8)
    monkeypatch.setattr(subject_index, "_SIZE_BITS", bits)
    killed = write(tmp_path / "lake", "app", range(JOIN_AT), "subjects.joined")
    assert killed.wait() == -signal.SIGKILL
    assert len(set_files(table.folder)) == JOIN_AT + 1
    assert join_sets(table.folder) == JOIN_AT
    [joined] = set_files(table.folder)
    assert joined.name.startswith("joined-")
    check(table, [people_of("app", n) for n in range(JOIN_AT)])


def test_a_damaged_set_speaks_for_no_other(table: SliceTable, tmp_path: Path) -> None:
    killed = write(tmp_path / "lake", "app", range(JOIN_AT), "subjects.joined")
    assert killed.wait() == -signal.SIGKILL
    joined = next(p for p in set_files(table.folder) if p.name.startswith("joined-"))
    body = bytearray(joined.read_bytes())
    body[len(body) // 2] ^= 1
    joined.write_bytes(body)
    join_sets(table.folder)
    batches = [people_of("app", n) for n in range(JOIN_AT)]
    expected, held = counted(batches), look_up(table.folder, [number("ann")])
    assert sum(held.files.values()) == expected["ann"]


def test_processes_that_append_at_once_lose_no_entry(table: SliceTable, tmp_path: Path) -> None:
    count = JOIN_AT
    going = [write(tmp_path / "lake", source, range(count)) for source in ("one", "two", "three")]
    while any(process.poll() is None for process in going):
        look_up(table.folder, [number("ann")])  # while sets come and go
    assert [process.wait() for process in going] == [0, 0, 0]
    sources = ("one", "two", "three")
    check(table, [people_of(source, n) for source in sources for n in range(count)])


def test_nobody_waits_for_a_join(table: SliceTable) -> None:
    for n in range(JOIN_AT - 1):
        append(table, named(["ann"]), offset=n)
    with (table.folder / SUBJECTS_FOLDER / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for n in range(JOIN_AT - 1, JOIN_AT + 2):
            append(table, named(["ann"]), offset=n)
        assert len(set_files(table.folder)) == JOIN_AT + 2
    append(table, named(["ann"]), offset=JOIN_AT + 2)
    assert len(set_files(table.folder)) == 1
    assert rows_of(table, "ann") == JOIN_AT + 3


def test_an_index_that_is_gone_is_made_from_the_data(table: SliceTable) -> None:
    batches: list[list[str | None]] = [["ann", None, "bob"], ["ann"], [None]]
    for n, people in enumerate(batches):
        append(table, named(people), offset=n)
    files = [file.path for file in open_snapshot(table).manifest.files]
    before = [path.name for path in set_files(table.folder)]
    for path in set_files(table.folder):
        path.unlink()
    assert look_up(table.folder, [number("ann")]).known == {}
    for file in files:
        add_missing(table.folder, file, table.contract)
    assert [path.name for path in set_files(table.folder)] == before
    check(table, batches)


def test_an_index_is_made_of_proved_files_only(table: SliceTable) -> None:
    append(table, named(["ann"]), offset=1)
    [file] = open_snapshot(table).manifest.files
    data = bytearray((table.folder / file.path).read_bytes())
    data[100] ^= 1
    (table.folder / file.path).write_bytes(data)
    with pytest.raises(IntegrityError, match="not what was written"):
        add_missing(table.folder, file.path, table.contract)
    (table.folder / file.path).unlink()
    with pytest.raises(GoneError, match="no longer there"):
        add_missing(table.folder, file.path, table.contract)


@pytest.mark.parametrize("damage", [b"", b"nonsense", b"\0" * 5000])
def test_a_damaged_set_is_told_and_hides_no_other(table: SliceTable, damage: bytes) -> None:
    for n in range(2):
        append(table, named(["ann"]), offset=n)
    broken, _ = set_files(table.folder)
    broken.write_bytes(damage)
    held = look_up(table.folder, [number("ann")])
    assert held.unreadable == (broken,)
    assert (len(held.files), len(held.known)) == (1, 1)


def test_a_disk_that_is_full_at_the_index_refuses_the_batch(
    table: SliceTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(subject_index, "write_durably", full)
    with pytest.raises(UnavailableError, match="No space left"):
        append(table, named(["ann"]), offset=1)
    assert list(table.folder.glob("*.parquet")) == []
    monkeypatch.undo()
    assert append(table, named(["ann"]), offset=1).accepted == 1
    check(table, [["ann"]])


def test_rows_under_several_keys_are_one_persons(table: SliceTable) -> None:
    append(table, named(["ann", "bob", "ann"]), offset=1)
    held = look_up(table.folder, [number("ann"), number("bob"), number("eve")])
    assert list(held.files.values()) == [3]
    assert [Counter(keys) for keys in held.known.values()] == [Counter({"k1": 3})]
