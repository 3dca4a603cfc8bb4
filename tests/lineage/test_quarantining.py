"""Rows that did not fit are listed, mended and sent again, once; on both kinds of store."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from backstory.lake.errors import BatchRejectedError, InvalidError, NotFoundError
from backstory.lake.receipt import Outcome
from backstory.lineage import home as homes
from backstory.lineage.backup.restoring import restore
from backstory.lineage.home import Home

CONTRACT = """
slice: thumbs
purpose: improve the ranker
max_rejected_share: 1
expectations:
- {column: label, range: [0, 9]}
columns:
  event_id: {type: string, role: event_id, nullable: false}
  user: {type: string, role: subject}
  age: {type: int64, personal: indirect}
  label: {type: int64}
"""
ROWS: list[dict[str, Any]] = [
    {"event_id": "a", "user": "ada", "label": 1},
    {"event_id": "b", "user": "bob", "label": "x"},
    {"event_id": "c", "user": "eve", "age": "old", "label": 3},
    {"event_id": "d", "user": "ada", "label": 11},
]
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def small(tmp_path: Path) -> Any:
    with homes.init(tmp_path / ".backstory") as home:
        home.create_slice(CONTRACT)
        yield home


def stored(home: Home) -> Counter[str]:
    return Counter(home.slice("thumbs").at().arrow()["event_id"].to_pylist())


def exported(home: Home) -> list[dict[str, Any]]:
    return [row.to_json() for row in home.quarantined_rows("thumbs")]


def mended(home: Home, **changes: Any) -> list[str]:
    """The rows that wait, with labels put in by event id."""
    rows = exported(home)
    for row in rows:
        if row["event_id"] in changes:
            row["label"] = changes[row["event_id"]]
    return [json.dumps(row) for row in rows]


def files(home: Home) -> list[Path]:
    return sorted((home.lake.folder("thumbs") / "_quarantine").glob("*"))


def test_rows_wait_with_reason_source_and_position(small: Home) -> None:
    receipt = small.slice("thumbs").append(ROWS, source="app", offset=4)
    assert (receipt.accepted, receipt.duplicate, receipt.rejected) == (1, 0, 3)
    (batch,) = small.quarantined("thumbs")
    assert (batch.version, batch.source, batch.rows, batch.waiting) == (1, "app", 3, 3)
    assert batch.reasons == {"age: int64": 1, "label: between 0 and 9": 1, "label: int64": 1}
    rows = exported(small)
    assert [row["_quarantine"] for row in rows] == ["1:2", "1:3", "1:4"]
    assert rows[1]["_left_out"] == ["age"]
    assert rows[0]["user"].startswith("k1:")


def test_the_same_batch_again_rejects_nothing_again(small: Home) -> None:
    small.slice("thumbs").append(ROWS, source="app", offset=4)
    again = small.slice("thumbs").append(ROWS, source="app", offset=4)
    assert (again.outcome, again.accepted + again.duplicate + again.rejected) == (
        Outcome.DUPLICATE,
        4,
    )
    assert len(files(small)) == 1
    counted = small.slice("thumbs").append(ROWS, source="counted")
    assert small.slice("thumbs").append(ROWS, source="counted").version == counted.version


def test_a_batch_of_which_nothing_fits_is_one_all_the_same(small: Home) -> None:
    bad = [{"event_id": "b", "label": "x"}]
    receipt = small.slice("thumbs").append(bad, source="app")
    assert (receipt.outcome, receipt.accepted, receipt.rejected) == (Outcome.ACCEPTED, 0, 1)
    again = small.slice("thumbs").append(bad, source="app")
    assert (again.outcome, again.version) == (Outcome.DUPLICATE, receipt.version)
    assert small.slice("thumbs").append([*bad, ROWS[0]], source="app").offset == 3


def test_strict_refuses_and_keeps_nothing(small: Home) -> None:
    with pytest.raises(BatchRejectedError):
        small.slice("thumbs").append(ROWS, strict=True)
    assert files(small) == []


def test_mended_rows_land_once(small: Home) -> None:
    small.slice("thumbs").append(ROWS, source="app", offset=4)
    lines = mended(small, b=2)

    done = small.replay_quarantine("thumbs", lines)
    assert (done.accepted, done.rejected, done.versions) == (1, 2, (2,))
    assert done.faults == {
        "1:3": "left out: age",
        "1:4": "column label: expected between 0 and 9, found 11",
    }
    again = small.replay_quarantine("thumbs", lines)
    assert (again.accepted, again.duplicate, again.rejected) == (0, 1, 2)
    assert stored(small) == Counter("ab")
    found = small.slice("thumbs").at().arrow().to_pylist()
    assert found[1]["user"] == small.key.pseudonym("bob")
    (batch,) = small.quarantined("thumbs")
    assert (batch.replayed, batch.waiting) == ({2: 2}, 2)


def test_what_is_expected_of_subjects_was_asked_before_they_were_hidden(tmp_path: Path) -> None:
    with homes.init(tmp_path / ".backstory") as home:
        home.create_slice(
            CONTRACT.replace("columns:", '- {column: user, regex: "[a-z]{3}"}\ncolumns:')
        )
        wrong = {"event_id": "e", "user": "Eve 1", "label": 1}
        home.slice("thumbs").append([*ROWS, wrong], source="app", offset=5)
        replayed = home.replay_quarantine("thumbs", mended(home, b=2, d=4))
        assert (replayed.accepted, set(replayed.faults)) == (2, {"1:3", "1:5"})
        assert "user: expected a text like" in replayed.faults["1:5"]
        assert stored(home) == Counter("abd")


def test_what_was_left_out_is_filled_in(small: Home) -> None:
    small.slice("thumbs").append(ROWS, source="app", offset=4)
    (row,) = [row for row in exported(small) if "_left_out" in row]
    del row["_left_out"]
    row |= {"age": 70, "user": "somebody else"}
    assert small.replay_quarantine("thumbs", [json.dumps(row)]).accepted == 1
    found = small.slice("thumbs").at().arrow().to_pylist()[1]
    assert (found["age"], found["user"]) == (70, small.key.pseudonym("somebody else"))


def test_a_replayed_event_that_came_meanwhile_is_a_duplicate(small: Home) -> None:
    small.slice("thumbs").append(ROWS, source="app", offset=4)
    small.slice("thumbs").append([ROWS[1] | {"label": 5}], source="app", offset=5)
    done = small.replay_quarantine("thumbs", mended(small, b=5))
    assert (done.accepted, done.duplicate, done.rejected) == (0, 1, 2)
    assert stored(small) == Counter("ab")


def test_rows_are_dropped_and_their_file_goes_with_the_last(small: Home) -> None:
    small.slice("thumbs").append(ROWS, source="app", offset=4)
    assert small.drop_quarantine("thumbs", ["1:2"], reason="a test") == 1
    assert small.drop_quarantine("thumbs", ["1:2"], reason="a test") == 0
    assert len(files(small)) == 1
    assert small.drop_quarantine("thumbs", reason="the rest") == 2
    assert files(small) == []
    (batch,) = small.quarantined("thumbs")
    assert (batch.waiting, sorted(batch.dropped)) == (0, [2, 3, 4])
    assert exported(small) == []
    assert small.replay_quarantine("thumbs").accepted == 0


@pytest.mark.parametrize(
    "line", ["", "7", "{}", "[", '{"_quarantine": 7}', '{"_quarantine": "x:1"}']
)
def test_lines_that_name_no_row(small: Home, line: str) -> None:
    small.slice("thumbs").append(ROWS, source="app", offset=4)
    if not line:
        assert small.replay_quarantine("thumbs", [line]).accepted == 0
        return
    with pytest.raises(InvalidError, match=r"line 1|names no row"):
        small.replay_quarantine("thumbs", [line])


def test_rows_that_are_not_there(small: Home) -> None:
    small.slice("thumbs").append(ROWS, source="app", offset=4)
    with pytest.raises(InvalidError, match="1:9 is no row"):
        small.replay_quarantine("thumbs", ['{"_quarantine": "1:9", "event_id": "z"}'])
    with pytest.raises(NotFoundError, match="thumbs@7 put no row"):
        small.replay_quarantine("thumbs", version=7)
    with pytest.raises(NotFoundError):
        small.quarantined("thumbz")


def test_a_backup_has_the_rows_that_wait(small: Home, tmp_path: Path) -> None:
    small.slice("thumbs").append(ROWS, source="app", offset=4)
    small.backup(tmp_path / "kept")
    with restore(tmp_path / "kept", tmp_path / "again") as again:
        assert exported(again) == exported(small)
        assert again.replay_quarantine("thumbs", mended(again, b=2)).accepted == 1


REPLAYS = """
import sys
from pathlib import Path
from backstory.lineage.home import open_home
with open_home(Path(sys.argv[1])) as home:
    done = home.replay_quarantine("thumbs", sys.argv[2:])
    print(done.accepted, done.duplicate, done.rejected)
"""


def replaying(home: Home, lines: list[str], *, crash_at: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", REPLAYS, str(home.settings.home), *lines],
        cwd=REPOSITORY,
        env={**os.environ, "BACKSTORY_CRASH_AT": crash_at},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_processes_that_replay_the_same_rows_land_each_once(small: Home) -> None:
    small.slice("thumbs").append(ROWS, source="app", offset=4)
    lines = mended(small, b=2, d=4)
    rivals = [replaying(small, lines) for _ in range(3)]
    told = [tuple(map(int, rival.communicate(timeout=200)[0].split())) for rival in rivals]
    assert sum(accepted for accepted, _, _ in told) == 2
    assert {rejected for _, _, rejected in told} == {1}
    assert stored(small) == Counter("abd")


@pytest.mark.parametrize("point", ["commit.before", "commit.after"])
def test_a_replay_that_dies_is_repeated(small: Home, point: str) -> None:
    small.slice("thumbs").append(ROWS, source="app", offset=4)
    lines = mended(small, b=2)
    died = replaying(small, lines, crash_at=point)
    died.communicate(timeout=200)
    assert died.returncode == -signal.SIGKILL
    done = small.replay_quarantine("thumbs", lines)
    assert done.accepted + done.duplicate == 1
    assert stored(small) == Counter("ab")
    (batch,) = small.quarantined("thumbs")
    assert batch.replayed == {2: 2}
