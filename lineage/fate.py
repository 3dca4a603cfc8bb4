"""What became of the run behind a model version, and what of its training nobody recorded.

A version of ours is there only when its run has completed, but more may be told of a run later; and
a version that was added by hand may name a run that failed, or whose processes were lost before it
could register anything. That determined no answer, and belongs to what stood behind it.
"""

from collections.abc import Iterator
from typing import Any

from backstory.lineage import abandoning
from backstory.lineage.graph import run_key
from backstory.lineage.run import RunState, not_captured
from backstory.lineage.store import reads
from backstory.lineage.store.models import VersionRecord
from backstory.lineage.store.runs import RunRecord
from backstory.lineage.times import time_text

_ALL_READS = not_captured(by_command=False, has_reads=False)  # a part that is missing says it

_LOST = "its processes were lost"
_ENDS: dict[str, str] = {
    RunState.FAILED: "failed",
    RunState.ABORTED: "was aborted",
    RunState.ABANDONED: "was abandoned",
}


def fate_of(conn: Any, version: VersionRecord) -> Iterator[str]:
    """What is to be known of a version's run, in words; nothing where it went well and was seen."""
    run = _run(conn, version)
    if run is None:
        return
    ended = _ended(run)
    if ended is not None:
        yield f"{run_key(run.run_id)}, which made {version.ref}, {ended}"
    if run.not_captured not in (None, _ALL_READS):
        yield f"{run_key(run.run_id)}: {run.not_captured} was not captured"


def _run(conn: Any, version: VersionRecord) -> RunRecord | None:
    """The run that made it, or that it is said to be made by where that is known here."""
    number = version.run
    if number is None:
        named = (version.training or {}).get("run", "")
        node = reads.entity_by_key(conn, run_key(named.removeprefix("run:")))
        number = node.id if node is not None else None
    return abandoning.runs_by_id(conn, [number])[number] if number is not None else None


def _ended(run: RunRecord) -> str | None:
    """How it ended, where that was not well."""
    if run.state == RunState.COMPLETED:
        return None
    if run.state not in _ENDS:
        return "has not ended"
    at = f" at {time_text(run.ended)}" if run.ended else ""
    why = _LOST if run.state == RunState.ABANDONED else run.message
    return f"{_ENDS[run.state]}{at}{f': {why}' if why else ''}"
