"""A retraining, recorded while it happens: what it read, why it ran, what it made.

    with retraining(home, "ranker", trigger=Threshold("thumbs", rows=10_000)) as run:
        data = run.read("thumbs", where="age_days < 90").pandas()
        ...
        run.log_metrics({"ndcg": 0.41})
        version = run.register("model/")
    version.ref  # "ranker@7"

START is recorded on entry, each read when it happens (its snapshot is pinned first, so that the
training reads exactly what is kept), and COMPLETE on exit, in one transaction with the model
version: either all of it is recorded or nothing. An exception is recorded as FAIL with its message,
and goes on. A lost process leaves a run that has started and made nothing; `resuming` takes it up.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

from backstory.lake.crash import crashpoint
from backstory.lake.location import check_name
from backstory.lake.process import this_process
from backstory.lineage import forwarding, triggering
from backstory.lineage.capturing import capture_code, capture_environment
from backstory.lineage.graph import run_key
from backstory.lineage.openlineage import events
from backstory.lineage.parts import Parts
from backstory.lineage.registering import add_artifact, claim_model
from backstory.lineage.retaining import give_at_start
from backstory.lineage.run import training_job
from backstory.lineage.running import TrainingRun
from backstory.lineage.trigger import Manual, Trigger


class Retraining(TrainingRun):
    """A training run that starts when its block is entered."""

    def __init__(
        self,
        parts: Parts,
        model: str,
        *,
        trigger: Trigger | None = None,
        job: str | None = None,
        code: Path | None = None,
        command: Sequence[str] | None = None,
        retention: str | None = None,
    ) -> None:
        described = events.RunDescription(
            run_id=parts.new_id(),
            namespace=parts.settings.namespace,
            job=job or training_job(check_name(model)),
            model=model,
            command=events.CommandDescription.of(command) if command is not None else None,
        )
        super().__init__(parts, described)
        self._trigger = trigger or Manual()
        self._folder = code or Path.cwd()
        self._command = command
        self._retention = retention

    def __enter__(self) -> Self:
        """Evaluate the trigger and record START.

        Raises:
            TriggerNotDue: the trigger's condition is not met; nothing is recorded.
            ConflictError: the model's name belongs to a slice.
            NotFoundError: the settings have no such retention class.
        """
        if self._retention is not None:
            self._parts.settings.retention.check(self._retention)
        evaluated = triggering.evaluate(self._parts, self.model, self._trigger)
        triggering.require_due(evaluated)
        code = capture_code(self._folder, self._command)
        environment = capture_environment(self._folder)
        patch = None
        if code.dirty and code.patch:
            patch = self._parts.lake.blobs.put_bytes(code.patch, "uncommitted.patch")
        self._described = replace(
            self._described, trigger=evaluated, code=code, environment=environment
        )
        with self._parts.unit("run.start", run_key(self.run_id)) as unit:
            claim_model(unit, self.model)
            if patch is not None:
                add_artifact(unit, patch)
            self._run = self._record(unit, "START", model=self.model, trigger=evaluated.to_json())
            self._taken_up_by(unit, self._started(), this_process())
            if self._retention is not None:
                give_at_start(unit, self._started(), self._retention)
            unit.note(model=self.model, trigger=evaluated.kind.value)
        crashpoint("run.started")
        forwarding.send_now(self._parts)
        return self


def retraining(
    parts: Parts,
    model: str,
    *,
    trigger: Trigger | None = None,
    job: str | None = None,
    code: Path | None = None,
    retention: str | None = None,
) -> Retraining:
    """A retraining of a model, to be used in a `with` statement.

    Args:
        model: the model's name.
        trigger: why it runs; by hand where nothing is said.
        job: the OpenLineage job; `retrain.<model>` where nothing is said.
        code: the folder of the training code; the current one where nothing is said.
        retention: the class that says how long its snapshots are kept; the settings' class of
            versions where nothing is said.
    """
    return Retraining(parts, model, trigger=trigger, job=job, code=code, retention=retention)
