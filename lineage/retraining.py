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
and goes on. A lost process leaves a run that has started and made nothing.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from backstory.lake.blobs import Artifact
from backstory.lake.crash import crashpoint
from backstory.lake.errors import BackstoryError, RefusedError
from backstory.lake.location import check_name
from backstory.lake.reading import Reading
from backstory.lake.rows import digest_frame
from backstory.lineage import triggering
from backstory.lineage.capturing import capture_code, capture_environment
from backstory.lineage.graph import (
    EntityKind,
    model_key,
    run_key,
)
from backstory.lineage.metrics import check_metrics, check_params
from backstory.lineage.model import ComponentUse
from backstory.lineage.openlineage import events, receive, transport
from backstory.lineage.parts import Parts
from backstory.lineage.reading import Selection, record_read
from backstory.lineage.redaction import redact_text
from backstory.lineage.registering import Registration, add_artifact, add_version
from backstory.lineage.resolving import resolve_slice_at
from backstory.lineage.run import training_job
from backstory.lineage.store import writes
from backstory.lineage.trigger import Manual, Trigger

MAX_MESSAGE = 2000

_log = logging.getLogger(__name__)


class Retraining:
    """A training run under way; use it as a context manager."""

    def __init__(
        self,
        parts: Parts,
        model: str,
        *,
        trigger: Trigger | None = None,
        job: str | None = None,
        code: Path | None = None,
    ) -> None:
        self._parts = parts
        self._trigger = trigger or Manual()
        self._folder = code or Path.cwd()
        self._run: int | None = None
        self._registration: Registration | None = None
        self._components: list[ComponentUse] = []
        self._kept = list[Artifact]()
        self._described = events.RunDescription(
            run_id=parts.new_id(),
            namespace=parts.settings.namespace,
            job=job or training_job(check_name(model)),
            model=model,
        )

    @property
    def run_id(self) -> str:
        """The run's id, a UUIDv7: also its OpenLineage run id."""
        return self._described.run_id

    def __enter__(self) -> Self:
        """Evaluate the trigger and record START.

        Raises:
            TriggerNotDue: the trigger's condition is not met; nothing is recorded.
            ConflictError: the model's name belongs to a slice.
        """
        evaluated = triggering.evaluate(self._parts, self.model, self._trigger)
        triggering.require_due(evaluated)
        code, environment = capture_code(self._folder), capture_environment(self._folder)
        if code.dirty and code.patch:
            patch = self._parts.lake.blobs.put_bytes(code.patch, "uncommitted.patch")
            self._kept.append(patch)
        self._described = replace(
            self._described, trigger=evaluated, code=code, environment=environment
        )
        with self._parts.unit("run.start", run_key(self.run_id)) as unit:
            model = writes.add_entity(unit, EntityKind.MODEL, model_key(self.model), self.model)
            writes.claim_name(unit, self.model, model)
            event = self._event("START", unit.at)
            self._run = receive.record_event(
                unit,
                events.to_json(event),
                model=self.model,
                trigger=evaluated.to_json(),
            )
            unit.note(model=self.model, trigger=evaluated.kind.value)
        crashpoint("run.started")
        transport.emit([event], self._parts.settings.transport)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Record COMPLETE, or FAIL where an exception came."""
        if exc is None:
            try:
                self._complete()
            except BaseException as failure:
                self._fail(failure)
                raise
        else:
            self._fail(exc)

    @property
    def model(self) -> str:
        """The model that is trained."""
        return self._described.model

    def read(
        self,
        ref: str,
        *,
        role: str = "train",
        columns: Sequence[str] | None = None,
        where: str | None = None,
    ) -> Reading:
        """Pin a snapshot and read it.

        Args:
            ref: a slice, at a version or time, or as it is now.
            role: what it is for: train, validate, test …
            columns: the columns to read; all where nothing is said.
            where: an SQL condition on the rows; `_source`, `_offset` and `_ingested_at` may be
                used too.

        Raises:
            InvalidError: the condition is not one scalar expression on the slice's columns.
        """
        run = self._started()
        found = resolve_slice_at(self._parts, ref)
        with self._parts.unit("run.read", run_key(self.run_id)) as unit:
            reading, given = record_read(
                self._parts,
                unit,
                run,
                found,
                selection=Selection(role=role, columns=columns, where=where),
                holder=run_key(self.run_id),
                cause=self._described.trigger.range if self._described.trigger else None,
            )
            self._described = replace(self._described, inputs=(*self._described.inputs, given))
            receive.record_event(unit, events.to_json(self._event("RUNNING", unit.at)))
        return reading

    def log_params(self, params: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        """Record hyperparameters; secrets by name or shape are redacted."""
        logged = check_params({**(params or {}), **more}, self._described.params)
        self._described = replace(self._described, params=logged)

    def log_metrics(self, metrics: Mapping[str, float] | None = None, /, **more: float) -> None:
        """Record metrics: finite numbers by name.

        Raises:
            InvalidError: a value is no finite number; none of them is recorded.
        """
        logged = check_metrics({**(metrics or {}), **more}, self._described.metrics)
        self._described = replace(self._described, metrics=logged)

    def log_seed(self, seed: int) -> None:
        """Record the seed of the run's randomness."""
        self._described = replace(self._described, seed=seed)

    def log_dataset(self, rows: Any) -> str:
        """Record the final training set by its count and digest; its rows are not kept.

        Args:
            rows: an Arrow table, a pandas or Polars data frame.

        Returns:
            The digest of the rows, in their order.
        """
        count, digest = digest_frame(rows)
        self._described = replace(self._described, dataset_rows=count, dataset_digest=digest)
        return digest

    def use_component(
        self, kind: str, name: str, version: str, *, path: str | Path | None = None
    ) -> ComponentUse:
        """Say what the version is composed with: a base model, a prompt, a reranker.

        Args:
            kind: an open word: base_model, prompt, reranker, adapter, knowledge_base, features …
            version: its version where it lives.
            path: its file or folder, kept as an artifact; None for what lives elsewhere.
        """
        digest = None
        if path is not None:
            artifact = self._parts.lake.blobs.put(Path(path))
            self._kept.append(artifact)
            digest = artifact.digest
        component = ComponentUse(kind=kind, name=name, version=version, digest=digest)
        self._components.append(component)
        return component

    def register(self, path: str | Path, *, replay: Sequence[str] | None = None) -> Registration:
        """Keep the trained artifact; the model version exists once the block has ended well.

        Args:
            path: a file or a folder.
            replay: the command that answers one request with this artifact.

        Raises:
            RefusedError: this run has registered a version already.
            NotFoundError: the path does not exist.
        """
        self._started()
        if self._registration is not None:
            raise RefusedError("a run registers one model version", hint="start another run")
        self._registration = Registration(self._parts.lake.blobs.put(Path(path)), replay)
        crashpoint("run.artifacts")
        return self._registration

    def _started(self) -> int:
        if self._run is None:
            raise RefusedError(
                "this retraining has not started", hint="use it in a `with` statement"
            )
        return self._run

    def _event(self, kind: str, at: datetime) -> Any:
        return events.run_event(self._described, kind, at)

    def _complete(self) -> None:
        run, registration = self._started(), self._registration
        record = None
        with self._parts.unit("run.complete", run_key(self.run_id)) as unit:
            for artifact in self._kept:
                add_artifact(unit, artifact)
            if registration is not None:
                record = add_version(unit, run, self.model, registration, self._components)
                self._described = replace(
                    self._described,
                    output=events.OutputDescription(
                        number=record.number,
                        artifact=registration.artifact,
                        uri=self._parts.lake.blobs.uri(registration.artifact.digest),
                        components=tuple(self._components),
                    ),
                )
            event = self._event("COMPLETE", unit.at)
            receive.record_event(unit, events.to_json(event))
            if record is not None:
                unit.note(version=record.ref, artifact=record.digest)
        if registration is not None and record is not None:
            registration.complete(record)
        crashpoint("run.completed")
        transport.emit([event], self._parts.settings.transport)

    def _fail(self, exc: BaseException) -> None:
        """Record FAIL; where even that fails, say so on the exception that is under way."""
        message = redact_text(f"{type(exc).__name__}: {exc}")[:MAX_MESSAGE]
        self._described = replace(self._described, error=message)
        try:
            with self._parts.unit("run.fail", run_key(self.run_id)) as unit:
                event = self._event("FAIL", unit.at)
                receive.record_event(unit, events.to_json(event))
            transport.emit([event], self._parts.settings.transport)
        except BackstoryError as failure:
            exc.add_note(f"the failure of run:{self.run_id} could not be recorded: {failure}")
            _log.exception("the failure of run:%s could not be recorded", self.run_id)


def retraining(
    parts: Parts,
    model: str,
    *,
    trigger: Trigger | None = None,
    job: str | None = None,
    code: Path | None = None,
) -> Retraining:
    """A retraining of a model, to be used in a `with` statement.

    Args:
        model: the model's name.
        trigger: why it runs; by hand where nothing is said.
        job: the OpenLineage job; `retrain.<model>` where nothing is said.
        code: the folder of the training code; the current one where nothing is said.
    """
    return Retraining(parts, model, trigger=trigger, job=job, code=code)
