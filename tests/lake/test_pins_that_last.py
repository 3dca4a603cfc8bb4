"""Years of commits, compacted, collected and trimmed: what was pinned is what it was."""

from datetime import timedelta
from pathlib import Path

import pytest

from backstory.lake.compaction import compact, small_files
from backstory.lake.errors import GoneError
from backstory.lake.garbage import collect
from backstory.lake.grace import MIN_GRACE
from backstory.lake.pinned import reopen
from backstory.lake.pins import pin
from backstory.lake.segments import log_files
from backstory.lake.snapshot import open_snapshot
from backstory.lake.trimming import plan_trim, trim
from backstory.lake.verify import verify_snapshot, verify_table
from tests.lake.test_compaction import summed
from tests.lake.thumbs import NOW, create, new_id, rows
from tests.lake.upkeep import BY

TWO_HOURS = timedelta(hours=2)


@pytest.mark.parametrize(
    ("commits", "pins"), [(120, 6), pytest.param(10_000, 50, marks=pytest.mark.soak)]
)
def test_pinned_snapshots_outlive_all_maintenance(tmp_path: Path, commits: int, pins: int) -> None:
    table = create(tmp_path)
    expected: dict[str, tuple[int, str]] = {}
    for number in range(commits):
        now = NOW + number * TWO_HOURS
        batch = rows(2, first=2 * number)
        table.append(batch, source="app", offset=number, at=now, new_id=new_id)
        if number % (commits // pins) == commits // pins - 1:
            snapshot = open_snapshot(table)
            pin(table, snapshot, pin_id=f"p{number}", holder="h", reason="r", at=now)
            expected[snapshot.digest] = summed(snapshot)
        if number % 24 == 23:
            for group in small_files(open_snapshot(table)):
                compact(table, group, at=now, new_id=new_id)
            collect(table, now, MIN_GRACE, by=BY)
            registered = open_snapshot(table).version
            plan = plan_trim(table, registered=registered, now=now, grace=MIN_GRACE)
            trim(table, plan, now=now, by=BY)

    assert len(expected) == pins
    for digest, known in expected.items():
        again = reopen(table, digest)
        assert summed(again) == known
        assert verify_snapshot(table, again).findings == ()
    assert open_snapshot(table).rows == 2 * commits
    assert verify_table(table).findings == ()
    assert len(log_files(table.folder)) < 60
    assert len(open_snapshot(table).manifest.files) < 60
    with pytest.raises(GoneError, match="trimmed to version"):
        open_snapshot(table, 3)
