"""A process that maintains the thumbs slice: compacts, collects as of days later, and trims.

    python -m tests.lake.upkeep ROOT ROUNDS DAYS

It goes on where a rival was first, and says so.
"""

import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from backstory.lake.commits import latest_version
from backstory.lake.compaction import Compacted, compact, small_files
from backstory.lake.errors import ConflictError
from backstory.lake.garbage import Collection, collect
from backstory.lake.grace import MIN_GRACE
from backstory.lake.snapshot import open_snapshot
from backstory.lake.table import SliceTable
from backstory.lake.trimming import Trim, plan_trim, trim
from tests.lake.thumbs import NOW, new_id

BY = "backstory maintain thumbs/en"


def compact_all(table: SliceTable, at: datetime = NOW) -> list[Compacted]:
    groups = small_files(open_snapshot(table))
    return [compact(table, group, at=at, new_id=new_id) for group in groups]


def collected(table: SliceTable, days: float) -> Collection:
    return collect(table, NOW + timedelta(days=days), MIN_GRACE, by=BY)


def trimmed(table: SliceTable, days: float) -> Trim:
    now = NOW + timedelta(days=days)
    head = latest_version(table.folder)
    plan = plan_trim(table, registered=head, now=now, grace=MIN_GRACE)
    return trim(table, plan, now=now, by=BY)


def upkeep(table: SliceTable, days: float, said: Callable[[str], None]) -> None:
    try:
        for done in compact_all(table):
            said(f"compacted {done.before} to {done.after}")
    except ConflictError:
        said("refused")
    collected(table, days)
    trimmed(table, days)


def main(root: str, rounds: str, days: str) -> None:
    """Maintain so often, each round so many days later than the one before."""
    table = SliceTable.open(Path(root), "thumbs/en")
    for number in range(int(rounds)):
        upkeep(table, number * float(days), lambda text: print(text, flush=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
