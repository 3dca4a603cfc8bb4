"""A run taken up again: in another process, in a task of a workflow, in a child of `backstory run`.

    with home.resume(run_id) as run:          # ends the run, as `home.retraining` would
        run.log_metrics(ndcg=0.41)
        run.register("model/")

    with home.resume() as run:                # in a child of `backstory run`: leaves the end to it
        run.log_metrics(ndcg=0.41)

What is known of the run is restored from the store, so that later events tell all of it again.
"""

import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from backstory.lake.errors import InvalidError, NotFoundError, RefusedError
from backstory.lake.pinned import reopen
from backstory.lake.process import this_process
from backstory.lineage.capturing import Code, Environment
from backstory.lineage.graph import run_key
from backstory.lineage.openlineage import events
from backstory.lineage.parts import Parts
from backstory.lineage.resolving import resolve
from backstory.lineage.run import OPEN
from backstory.lineage.running import TrainingRun
from backstory.lineage.store import runs, slices
from backstory.lineage.trigger import Evaluated

RUN_VARIABLE = "BACKSTORY_RUN_ID"


class ResumedRun(TrainingRun):
    """A training run that goes on in this process when its block is entered."""

    def __init__(self, parts: Parts, run: runs.RunRecord, *, leave: bool) -> None:
        super().__init__(parts, restored(parts, run))
        self._number = run.id
        self._ends = not leave

    def __enter__(self) -> Self:
        """Record that this process runs the run from now on.

        Raises:
            RefusedError: the run has ended.
        """
        with self._parts.unit("run.resume", run_key(self.run_id)) as unit:
            record = runs.runs_by_id(unit.connection, [self._number])[self._number]
            refuse_ended(record)
            self._taken_up_by(unit, record.id, this_process())
            unit.note(model=self.model)
        self._described = restored(self._parts, record)
        self._run = record.id
        if not self._ends:
            self.leave()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the run; where another process ends it, record what is known, after a failure too."""
        super().__exit__(kind, exc if self._ends else None, trace)


def resume(parts: Parts, run_id: str | None = None) -> ResumedRun:
    """Go on with a run that has started, to be used in a `with` statement.

    Args:
        run_id: the run; inside `backstory run` the one that it has started, whose end it keeps.

    Raises:
        NotFoundError: there is no such run.
        RefusedError: the run has ended.
        InvalidError: no run is named, or it is none of Backstory's trainings.
    """
    named = run_id or os.environ.get(RUN_VARIABLE)
    if not named:
        raise InvalidError(
            "no run is named, and this process is none of `backstory run`",
            hint=f"give the run's id, or set {RUN_VARIABLE}",
        )
    whole = named.removeprefix("run:")
    found = resolve(parts, run_key(whole))
    if not isinstance(found, runs.RunRecord) or found.run_id != whole:
        raise NotFoundError(f"no run has the id {named!r}", hint="give the whole id")
    refuse_ended(found)
    return ResumedRun(parts, found, leave=run_id is None)


def restored(parts: Parts, run: runs.RunRecord) -> events.RunDescription:
    """What the store knows of a run, as its next event tells it.

    Raises:
        InvalidError: another system recorded the run, which trains no model known here.
    """
    if run.model is None:
        raise InvalidError(
            f"{run_key(run.run_id)} was recorded by others and trains no model of this home",
            hint="go on with it where it was started",
        )
    with parts.store.reader() as conn:
        facets = runs.run_facets(conn, run.id)
        reads = runs.reads_of(conn, [run.id])
        snapshots = slices.snapshots(conn, [read.snapshot for read in reads])
    training = facets.get("backstory_training", {})
    code, environment = training.get("code"), training.get("environment")
    command = facets.get("backstory_command")
    dataset = training.get("dataset") or {}
    return events.RunDescription(
        run_id=run.run_id,
        namespace=run.namespace,
        job=run.job,
        model=run.model,
        trigger=Evaluated.from_json(run.trigger) if run.trigger else None,
        code=_code(code) if code else None,
        environment=_environment(environment) if environment else None,
        inputs=tuple(_input(parts, read, snapshots[read.snapshot]) for read in reads),
        params=training.get("params", {}),
        metrics=training.get("metrics", {}),
        seed=training.get("seed"),
        dataset_rows=dataset.get("rows"),
        dataset_digest=dataset.get("digest"),
        command=_command(command) if command else None,
    )


def refuse_ended(run: runs.RunRecord) -> None:
    """Refuse a run of which nothing more is to be told.

    Raises:
        RefusedError: it has ended, or was closed.
    """
    if run.state not in OPEN:
        raise RefusedError(
            f"{run_key(run.run_id)} has ended: it is {run.state}", hint="start another run"
        )


def _input(
    parts: Parts, read: runs.ReadRecord, snapshot: slices.SnapshotRecord
) -> events.InputDescription:
    table = parts.lake.table(snapshot.slice_name)
    return events.InputDescription(
        slice=snapshot.slice_name,
        uri=table.uri,
        snapshot=reopen(table, snapshot.digest),
        at=snapshot.at,
        role=read.role,
        columns=read.columns,
        filter=read.filter,
        rows_read=read.rows,
    )


def _code(facet: Mapping[str, Any]) -> Code:
    return Code(
        commit=facet.get("commit"),
        repository=facet.get("repository"),
        dirty=facet["dirty"],
        command=tuple(facet.get("command", ())),
        patch_digest=facet.get("patchDigest"),
    )


def _environment(facet: Mapping[str, Any]) -> Environment:
    return Environment(
        python=facet["python"],
        platform=facet.get("platform", ""),
        lock_file=facet.get("lockFile"),
        lock_digest=facet.get("lockDigest"),
    )


def _command(facet: Mapping[str, Any]) -> events.CommandDescription:
    return events.CommandDescription(
        argv=tuple(facet["command"]),
        exit_code=facet.get("exitCode"),
        signal=facet.get("signal"),
    )
