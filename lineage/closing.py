"""A lost run closed: that its processes are gone is recorded, as an ABORT that says so.

It is our conclusion and releases nothing: whatever the run itself tells of its end later beats it.
"""

from dataclasses import replace

from backstory.lake.errors import InvalidError, RefusedError
from backstory.lake.process import runs_here
from backstory.lineage import abandoning, forwarding
from backstory.lineage.graph import run_key
from backstory.lineage.parts import Parts
from backstory.lineage.resolving import resolve
from backstory.lineage.resuming import refuse_ended, restored
from backstory.lineage.running import TrainingRun
from backstory.lineage.store import runs

LOST = "its processes were lost"


def close_run(parts: Parts, ref: str, *, reason: str = LOST) -> runs.RunRecord:
    """Record that a run was abandoned.

    Args:
        ref: the run.
        reason: how that is known.

    Raises:
        NotFoundError: there is no such run.
        RefusedError: it has ended, or one of its processes runs on this host.
        InvalidError: the ref names no run.
    """
    found = resolve(parts, ref if ref.startswith("run:") else f"run:{ref}")
    if not isinstance(found, runs.RunRecord):
        raise InvalidError(f"{ref!r} is not a run", hint="write it like run:019a8f")
    return _LostRun(parts, restored(parts, found)).close(found.id, reason)


class _LostRun(TrainingRun):
    """A run that nobody runs any more."""

    def close(self, run: int, reason: str) -> runs.RunRecord:
        """Record ABORT, unless somebody runs it after all."""
        self._described = replace(self._described, abandoned=reason)
        with self._parts.unit("run.close", run_key(self.run_id), reason=reason) as unit:
            refuse_ended(runs.runs_by_id(unit.connection, [run])[run])
            known = runs.processes_of(unit.connection, [run]).get(run, ())
            if alive := next(filter(runs_here, known), None):
                raise RefusedError(
                    f"{run_key(self.run_id)} is run by process {alive.pid} of this host",
                    hint="end that process first",
                )
            self._record(unit, "ABORT")
        forwarding.send_now(self._parts)
        with self._parts.store.reader() as conn:
            return abandoning.runs_by_id(conn, [run])[run]
