"""A run being recorded: what it reads, logs and makes, whoever began it and in whichever process.

START is somebody else's (`retraining`); every event told here tells all that is known so far again.
COMPLETE is one transaction with the model version: either all of it is recorded or nothing. A block
that has said `leave()` tells what it knows and lets another process end the run (`resuming`).
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from backstory.lake.blobs import Artifact
from backstory.lake.crash import crashpoint
from backstory.lake.errors import BackstoryError, RefusedError
from backstory.lake.process import Process
from backstory.lake.reading import Reading
from backstory.lake.rows import digest_frame
from backstory.lineage import forwarding
from backstory.lineage.graph import run_key
from backstory.lineage.metrics import check_metrics, check_params
from backstory.lineage.model import ComponentUse
from backstory.lineage.openlineage import events, receive
from backstory.lineage.parts import Parts
from backstory.lineage.quality import with_quality
from backstory.lineage.reading import Selection, record_read
from backstory.lineage.redaction import redact_text
from backstory.lineage.registering import Registration, add_artifact, add_version, check_component
from backstory.lineage.resolving import resolve_slice_at
from backstory.lineage.store import tables, writes
from backstory.lineage.store.unit_of_work import Unit

MAX_MESSAGE = 2000

_log = logging.getLogger(__name__)


class TrainingRun:
    """A training run under way; use it as a context manager."""

    def __init__(self, parts: Parts, described: events.RunDescription) -> None:
        self._parts = parts
        self._described = described
        self._run: int | None = None
        self._left = False
        self._registration: Registration | None = None
        self._components: list[ComponentUse] = []
        self._kept = list[Artifact]()

    @property
    def run_id(self) -> str:
        """The run's id, a UUIDv7: also its OpenLineage run id."""
        return self._described.run_id

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Record COMPLETE, or FAIL where an exception came; a run that is left goes on."""
        if exc is None:
            try:
                (self._tell_all if self._left else self._complete)()
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
            self._record(unit, "RUNNING")
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

        Raises:
            RefusedError: that version of it was recorded with other bytes before.
        """
        self._refuse_when_left()
        digest = None
        if path is not None:
            artifact = self._parts.lake.blobs.put(Path(path))
            self._kept.append(artifact)
            digest = artifact.digest
        component = ComponentUse(kind=kind, name=name, version=version, digest=digest)
        with self._parts.store.reader() as conn:
            check_component(conn, component)  # now, not when a long training has ended
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
        self._refuse_when_left()
        if self._registration is not None:
            raise RefusedError("a run registers one model version", hint="start another run")
        self._registration = Registration(self._parts.lake.blobs.put(Path(path)), replay)
        crashpoint("run.artifacts")
        return self._registration

    def leave(self) -> None:
        """Leave the run open when the block ends well: another process will end it.

        Raises:
            RefusedError: a version or a component is registered, which only the end records.
        """
        self._started()
        if self._registration is not None or self._components:
            raise RefusedError(
                "this run registers a model version, which only its end records",
                hint="register in the process that ends the run",
            )
        self._left = True

    def _tell_all(self) -> None:
        """Record what is known so far; the run goes on."""
        with self._parts.unit("run.leave", run_key(self.run_id)) as unit:
            self._record(unit, "RUNNING")

    def _refuse_when_left(self) -> None:
        if self._left:
            raise RefusedError(
                "this run is ended by another process, which registers its version",
                hint="inside `backstory run` name the artifact with --artifact",
            )

    def _taken_up_by(self, unit: Unit, run: int, found: Process) -> None:
        """Record which process runs the run: when all of them are gone, so is the run."""
        writes.insert(
            unit, tables.run_process, run=run, host=found.host, pid=found.pid, started=found.started
        )

    def _started(self) -> int:
        if self._run is None:
            raise RefusedError(
                "this retraining has not started", hint="use it in a `with` statement"
            )
        return self._run

    def _record(self, unit: Unit, kind: str, **first: Any) -> int | None:
        """Record an event that tells all that is known; it is sent on where somebody wants it."""
        event = events.run_event(self._described, kind, unit.at)
        names = [receiver.name for receiver in self._parts.settings.receivers]
        return receive.record_event(unit, events.to_json(event), receivers=names, **first)

    def _complete(self) -> None:
        run, registration = self._started(), self._registration
        self._described = with_quality(self._parts, self._described)
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
            self._record(unit, "COMPLETE")
            if record is not None:
                unit.note(version=record.ref, artifact=record.digest)
        if registration is not None and record is not None:
            registration.complete(record)
        crashpoint("run.completed")
        forwarding.send_now(self._parts)

    def _fail(self, exc: BaseException) -> None:
        """Record FAIL; where even that fails, say so on the exception that is under way."""
        message = redact_text(f"{type(exc).__name__}: {exc}")[:MAX_MESSAGE]
        self._described = replace(self._described, error=message)
        try:
            with self._parts.unit("run.fail", run_key(self.run_id)) as unit:
                self._record(unit, "FAIL")
            forwarding.send_now(self._parts)
        except BackstoryError as failure:
            exc.add_note(f"the failure of run:{self.run_id} could not be recorded: {failure}")
            _log.exception("the failure of run:%s could not be recorded", self.run_id)
