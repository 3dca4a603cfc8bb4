"""An event that comes again is counted, not stored, whoever sends it and how many at once."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from backstory.lake.attempt import Attempt
from backstory.lake.batch import Batch
from backstory.lake.commits import read_commit
from backstory.lake.contract import Contract
from backstory.lake.receipt import Outcome
from backstory.lake.table import SliceTable
from tests.lake.thumbs import NOW, append, contract, rows

REPOSITORY = Path(__file__).resolve().parents[2]
PROCESSES = 8
BATCHES = 6


def compared(window: int = 1_000) -> Contract:
    text = contract().to_yaml().replace("duplicate_window: 0", f"duplicate_window: {window}")
    return Contract.from_yaml(text)


def create(root: Path, window: int = 1_000) -> SliceTable:
    return SliceTable.create(root, compared(window), at=NOW)


def stored(table: SliceTable) -> Counter[str]:
    found = pa.table(DeltaTable(table.folder).scan(columns=["event_id"]))
    return Counter(found["event_id"].to_pylist())


def test_events_of_a_batch_and_of_earlier_ones_are_dropped(tmp_path: Path) -> None:
    table = create(tmp_path)
    append(table, rows(4), offset=1)
    twice = pa.concat_tables([rows(3, first=2), rows(2, first=3)])

    receipt = append(table, twice, source="other", offset=7)

    assert (receipt.outcome, receipt.accepted, receipt.duplicate) == (Outcome.ACCEPTED, 1, 4)
    assert stored(table) == Counter(rows(5)["event_id"].to_pylist())
    commit = read_commit(table.folder, 2)
    assert (commit.rows, commit.gate) == (1, {"duplicate": 4})


def test_a_batch_of_known_events_moves_its_source_on(tmp_path: Path) -> None:
    table = create(tmp_path)
    append(table, rows(4), offset=1)

    receipt = append(table, rows(4), source="other", offset=7)
    again = append(table, rows(4), source="other", offset=7)

    assert (receipt.outcome, receipt.accepted, receipt.duplicate) == (Outcome.ACCEPTED, 0, 4)
    assert (again.outcome, again.version, again.duplicate) == (Outcome.DUPLICATE, 2, 4)
    assert len(list(table.folder.glob("*.parquet"))) == 1


def test_what_another_process_added_is_known(tmp_path: Path) -> None:
    table = create(tmp_path)
    append(table, rows(2), offset=1)
    append(SliceTable.open(tmp_path, "thumbs/en"), rows(2, first=2), source="b", offset=1)

    receipt = append(table, rows(5), source="c", offset=1)

    assert (receipt.accepted, receipt.duplicate) == (1, 4)
    cold = SliceTable.open(tmp_path, "thumbs/en")
    assert append(cold, rows(5), source="d", offset=1).duplicate == 5


def test_the_window_is_of_the_newest_rows(tmp_path: Path) -> None:
    table = create(tmp_path, window=10)
    for offset in range(12):
        append(table, rows(5, first=5 * offset), offset=offset)
    cold = SliceTable.open(tmp_path, "thumbs/en")

    assert append(table, rows(10, first=50), source="b", offset=1).duplicate == 10
    assert append(cold, rows(10, first=50), source="c", offset=1).duplicate == 10
    assert append(table, rows(5), source="d", offset=1).accepted == 5
    assert append(cold, rows(5), source="e", offset=1).duplicate == 5


def test_nothing_is_compared_where_the_contract_says_so(tmp_path: Path) -> None:
    table = create(tmp_path, window=0)
    append(table, rows(2), offset=1)
    assert append(table, rows(2), source="b", offset=1).accepted == 2


def test_events_without_id_are_never_the_same(tmp_path: Path) -> None:
    text = compared().to_yaml().replace(", nullable: false", "")
    table = SliceTable.create(tmp_path, Contract.from_yaml(text), at=NOW)
    nameless = rows(2).set_column(0, "event_id", pa.nulls(2, pa.string()))
    append(table, nameless, offset=1)
    assert append(table, nameless, source="b", offset=1).accepted == 2


def test_a_damaged_file_keeps_no_feedback_out(tmp_path: Path) -> None:
    table = create(tmp_path)
    append(table, rows(2), offset=1)
    (file,) = table.folder.glob("*.parquet")
    file.write_bytes(b"damaged")
    cold = SliceTable.open(tmp_path, "thumbs/en")
    assert append(cold, rows(2), source="b", offset=1).accepted == 2


def test_an_event_that_lands_while_its_twin_is_written_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = create(tmp_path)
    rival = SliceTable.open(tmp_path, "thumbs/en")

    def overtaken(point: str) -> None:
        if point == "commit.before":
            monkeypatch.undo()
            append(rival, rows(2), source="rival", offset=1)

    monkeypatch.setattr("backstory.lake.table.crashpoint", overtaken)
    receipt = append(table, rows(3), offset=1)

    assert (receipt.accepted, receipt.duplicate, receipt.version) == (1, 2, 2)
    assert stored(table) == Counter(rows(3)["event_id"].to_pylist())
    assert len(list(table.folder.glob("*.parquet"))) == 2


SENDS = """
import sys
from pathlib import Path
from backstory.lake.table import SliceTable
from tests.lake.thumbs import append, rows
table = SliceTable.open(Path(sys.argv[1]), "thumbs/en")
for offset in range(int(sys.argv[3])):
    receipt = append(table, rows(7, first=5 * offset), source=sys.argv[2], offset=offset)
    print(receipt.accepted, receipt.duplicate, flush=True)
"""


def test_processes_that_send_the_same_events_store_each_once(tmp_path: Path) -> None:
    table = create(tmp_path)
    senders = [
        subprocess.Popen(
            [sys.executable, "-c", SENDS, str(tmp_path), f"source-{n}", str(BATCHES)],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(PROCESSES)
    ]
    told = [sender.communicate(timeout=300)[0] for sender in senders]

    assert [sender.returncode for sender in senders] == [0] * PROCESSES
    counts = [tuple(map(int, line.split())) for text in told for line in text.splitlines()]
    every = 5 * (BATCHES - 1) + 7
    assert stored(table) == Counter(rows(every)["event_id"].to_pylist())
    assert sum(accepted for accepted, _ in counts) == every
    assert all(accepted + duplicate == 7 for accepted, duplicate in counts)


DIES = """
import sys
from pathlib import Path
from backstory.lake.table import SliceTable
from tests.lake.test_recent_events import mixed
from tests.lake.thumbs import append
append(SliceTable.open(Path(sys.argv[1]), "thumbs/en"), mixed(), offset=1)
"""


def mixed() -> Batch:
    """Two good rows and two that are rejected."""
    from tests.lake.test_quarantine import PERSONAL, passed

    rejected = passed([7, {"event_id": None}, {"event_id": "a"}], PERSONAL).rejected
    return Batch(rows=rows(2), untyped=("7",), rejected=rejected)


@pytest.mark.parametrize(
    "point",
    ["quarantine.written", "file.written", "file.renamed", "commit.before", "commit.after"],
)
def test_whoever_dies_leaves_good_and_rejected_rows_once(tmp_path: Path, point: str) -> None:
    table = create(tmp_path)
    died = subprocess.run(
        [sys.executable, "-c", DIES, str(tmp_path)],
        cwd=REPOSITORY,
        env={**os.environ, "BACKSTORY_CRASH_AT": point},
        check=False,
    )
    assert died.returncode == -signal.SIGKILL

    receipt = append(table, mixed(), offset=1)

    assert receipt.outcome is (Outcome.DUPLICATE if point == "commit.after" else Outcome.ACCEPTED)
    assert receipt.accepted + receipt.duplicate + receipt.rejected == 4
    assert stored(table) == Counter(rows(2)["event_id"].to_pylist())
    assert table.version == 1
    gate = read_commit(table.folder, 1).gate
    assert (gate["rejected"], gate["reasons"]) == (
        2, {"event_id: a value": 1, "row: one object": 1}
    )  # fmt: skip
    assert (table.folder / gate["quarantine"]).exists()


def many(count: int, first: int = 0) -> pa.Table:
    """Rows enough to be looked up by their keys."""
    few = rows(1)
    ids = pa.array([f"event-{n}" for n in range(first, first + count)])
    return pa.concat_tables([few] * count).combine_chunks().set_column(0, few.schema.field(0), ids)


def test_events_of_large_batches_are_dropped_too(tmp_path: Path) -> None:
    table = create(tmp_path, window=50_000)
    append(table, many(5_000), offset=1)
    for offset in range(2, 5):  # files that are looked at together
        append(table, many(10, first=10_000 + 10 * offset), offset=offset)
    again = [many(5_000, first=4_000), many(2, first=10_031), many(2, first=4_999)]

    receipt = append(table, pa.concat_tables(again), source="other", offset=7)

    assert (receipt.accepted, receipt.duplicate) == (4_000, 1_004)
    assert set(stored(table).values()) == {1}
    cold = SliceTable.open(tmp_path, "thumbs/en")
    assert append(cold, many(9_000), source="third", offset=7).duplicate == 9_000


def test_a_source_is_not_written_twice_for_events_of_its_last_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = create(tmp_path)
    append(table, rows(4), offset=1)
    written: list[int] = []
    write = SliceTable._write_rows

    def counted(self: SliceTable, attempt: Attempt) -> None:
        written.append(attempt.rows.num_rows)
        write(self, attempt)

    monkeypatch.setattr(SliceTable, "_write_rows", counted)
    assert append(table, rows(4, first=2), offset=2).accepted == 2
    assert written == [2]
