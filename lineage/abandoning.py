"""Runs whose processes were lost: they have started, they will not end, and nobody said so.

Found out on reading, because who is killed records nothing. Of a process on another host nothing
can be told from here, so its run stays as it is; so does a run as it was known earlier, because a
process that is gone now says nothing of then.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from backstory.lake.process import all_gone
from backstory.lineage.run import OPEN, RunState
from backstory.lineage.store import runs
from backstory.lineage.store.horizon import is_now


def runs_by_id(conn: Any, ids: Sequence[int]) -> dict[int, runs.RunRecord]:
    """Runs by id, newest first, abandoned ones told as such."""
    return {run.id: run for run in told(conn, runs.runs_by_id(conn, ids).values())}


def told(conn: Any, found: Iterable[runs.RunRecord]) -> list[runs.RunRecord]:
    """Runs, abandoned where one has not ended and every process that ran it is gone."""
    records = list(found)
    if not is_now(conn):
        return records
    going = [run.id for run in records if run.state in OPEN]
    lost = {run for run, by in runs.processes_of(conn, going).items() if all_gone(by)}
    state = RunState.ABANDONED.value
    return [replace(run, state=state) if run.id in lost else run for run in records]
