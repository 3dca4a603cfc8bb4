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
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from backstory.lake import lookup
from backstory.lake.blobs import Artifact
from backstory.lake.contract import Role
from backstory.lake.crash import crashpoint
from backstory.lake.errors import BackstoryError, InvalidError, RefusedError
from backstory.lake.location import check_name
from backstory.lake.rows import digest_frame
from backstory.lake.snapshot import Snapshot, open_snapshot
from backstory.lineage import triggering
from backstory.lineage.capturing import capture_code, capture_environment
from backstory.lineage.graph import (
    EdgeKind,
    EntityKind,
    Evidence,
    model_key,
    run_key,
    version_key,
)
from backstory.lineage.model import ComponentUse
from backstory.lineage.openlineage import events, receive, transport
from backstory.lineage.parts import Parts
from backstory.lineage.pinning import hold, open_at
from backstory.lineage.redaction import redact_mapping, redact_text
from backstory.lineage.resolving import SliceAt, resolve_slice_at
from backstory.lineage.run import training_job
from backstory.lineage.store import models, slices, tables, writes
from backstory.lineage.store.unit_of_work import Unit
from backstory.lineage.trigger import Manual, Trigger

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

MAX_MESSAGE = 2000
MAX_PARAMS = 1000
MAX_METRICS = 1000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Rows that a run reads: a pinned snapshot and the selection applied to it.

    Attributes:
        snapshot: what is read.
        columns: the columns that are read; None for all.
        where: the condition that rows meet; None for all.
        rows: how many rows are read.
    """

    snapshot: Snapshot
    columns: Sequence[str] | None
    where: str | None
    rows: int

    def arrow(self) -> "pa.Table":
        """The rows as an Arrow table."""
        return self.snapshot.arrow(self.columns, self.where)

    def pandas(self) -> "pd.DataFrame":
        """The rows as a pandas data frame."""
        return self.snapshot.pandas(self.columns, self.where)

    def polars(self) -> "pl.DataFrame":
        """The rows as a Polars data frame."""
        return self.snapshot.polars(self.columns, self.where)

    def duckdb(self, con: "DuckDBPyConnection | None" = None) -> "DuckDBPyRelation":
        """The rows as a DuckDB relation."""
        return self.snapshot.duckdb(con, self.columns, self.where)


class Registration:
    """A model version that exists once its run has completed."""

    def __init__(self, artifact: Artifact, replay: Sequence[str] | None) -> None:
        self.artifact = artifact
        self.replay = list(replay) if replay is not None else None
        self._record: models.VersionRecord | None = None

    @property
    def record(self) -> models.VersionRecord:
        """The version as recorded.

        Raises:
            RefusedError: its run has not completed.
        """
        if self._record is None:
            raise RefusedError(
                "this model version is not recorded: its run has not completed",
                hint="use it after the `with home.retraining(...)` block",
            )
        return self._record

    @property
    def ref(self) -> str:
        """`ranker@7`."""
        return self.record.ref

    def __str__(self) -> str:
        return self.ref

    def complete(self, record: models.VersionRecord) -> None:
        """Called by the run that made it."""
        self._record = record


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
            self._parts.lake.blobs.put_bytes(code.patch, "uncommitted.patch")
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
        snapshot = open_at(self._parts, found)
        reading = Reading(
            snapshot=snapshot, columns=columns, where=where, rows=snapshot.count(where)
        )
        given = events.InputDescription(
            slice=found.slice.name,
            uri=self._parts.lake.table(found.slice.name).uri,
            snapshot=snapshot,
            at=found.commit.at if found.commit else None,
            role=role,
            columns=columns,
            filter=where,
            rows_read=reading.rows,
        )
        shares = _loop_shares(self._parts, found, snapshot, where)
        self._described = replace(self._described, inputs=(*self._described.inputs, given))
        with self._parts.unit("run.read", run_key(self.run_id)) as unit:
            pinned = hold(
                self._parts,
                unit,
                found,
                snapshot,
                holder=run_key(self.run_id),
                reason=f"read by a retraining of {self.model}",
            )
            writes.insert(
                unit,
                tables.run_read,
                run=run,
                snapshot=pinned.snapshot.id,
                role=role,
                columns=list(columns) if columns is not None else None,
                filter=where,
                rows=reading.rows,
            )
            _add_loop_edges(unit, run, pinned.snapshot.id, shares, reading.rows)
            self._add_trigger_edge(unit, run, found, pinned.snapshot.id)
            receive.record_event(unit, events.to_json(self._event("RUNNING", unit.at)))
            unit.note(snapshot=found.ref, digest=snapshot.digest, rows=reading.rows)
        return reading

    def log_params(self, params: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        """Record hyperparameters; secrets by name or shape are redacted."""
        params = redact_mapping({**(params or {}), **more})
        self._described = replace(self._described, params={**self._described.params, **params})
        if len(self._described.params) > MAX_PARAMS:
            raise InvalidError(f"a run has at most {MAX_PARAMS} parameters")

    def log_metrics(self, metrics: Mapping[str, float] | None = None, /, **more: float) -> None:
        """Record metrics: finite numbers by name."""
        given = {name: float(value) for name, value in {**(metrics or {}), **more}.items()}
        self._described = replace(self._described, metrics={**self._described.metrics, **given})
        if len(self._described.metrics) > MAX_METRICS:
            raise InvalidError(f"a run has at most {MAX_METRICS} metrics")

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
        digest = self._parts.lake.blobs.put(Path(path)).digest if path is not None else None
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

    def _add_trigger_edge(self, unit: Unit, run: int, found: SliceAt, snapshot: int) -> None:
        cause = self._described.trigger.range if self._described.trigger else None
        if cause is not None and cause.slice == found.slice.name and cause.last <= found.version:
            writes.add_edge(
                unit,
                snapshot,
                run,
                EdgeKind.TRIGGERED,
                Evidence.OBSERVED,
                run=run,
                rows=cause.rows,
            )

    def _complete(self) -> None:
        run, registration = self._started(), self._registration
        record = None
        with self._parts.unit("run.complete", run_key(self.run_id)) as unit:
            if registration is not None:
                record = self._add_version(unit, run, registration)
            event = self._event("COMPLETE", unit.at)
            receive.record_event(unit, events.to_json(event))
            if record is not None:
                unit.note(version=record.ref, artifact=record.artifact)
        if registration is not None and record is not None:
            registration.complete(record)
        crashpoint("run.completed")
        transport.emit([event], self._parts.settings.transport)

    def _add_version(
        self, unit: Unit, run: int, registration: Registration
    ) -> models.VersionRecord:
        artifact = registration.artifact
        number = models.last_number(unit.connection, self.model) + 1
        ref = version_key(self.model, number)
        version = writes.add_entity(unit, EntityKind.MODEL_VERSION, ref, ref)
        if not models.has_artifact(unit.connection, artifact.digest):
            writes.insert(
                unit,
                tables.artifact,
                digest=artifact.digest,
                kind=artifact.kind,
                name=artifact.name,
                size=artifact.size,
                files=artifact.files,
            )
        writes.insert(
            unit,
            tables.model_version,
            id=version,
            model=self.model,
            number=number,
            run=run,
            artifact=artifact.digest,
            replay=registration.replay,
            at=unit.at,
        )
        for component in self._components:
            _add_component(unit, component, version)
        self._described = replace(
            self._described,
            output=events.OutputDescription(
                number=number,
                artifact=artifact,
                uri=self._parts.lake.blobs.uri(artifact.digest),
                components=tuple(self._components),
            ),
        )
        return models.versions(unit.connection, [version])[version]

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


def _add_component(unit: Unit, component: ComponentUse, version: int) -> None:
    entity = writes.add_entity(unit, EntityKind.COMPONENT, component.key, component.key)
    known = models.components(unit.connection, [entity])
    if not known:
        writes.insert(
            unit,
            tables.component,
            id=entity,
            kind=component.kind,
            name=component.name,
            version=component.version,
            digest=component.digest,
        )
    elif known[entity].digest != component.digest:
        raise RefusedError(
            f"{component.key} was recorded with other bytes before",
            hint="a component's version is immutable; give it another version",
        )
    writes.add_edge(unit, entity, version, EdgeKind.COMPONENT_OF, Evidence.OBSERVED)


def _loop_shares(
    parts: Parts, found: SliceAt, snapshot: Snapshot, where: str | None
) -> dict[tuple[str, int], int]:
    """How many of the rows read were given on answers of each earlier model version."""
    column = parts.lake.table(found.slice.name).contract.column_with(Role.INTERACTION)
    if column is None:
        return {}
    answering = [n for n in parts.lake.names() if n.startswith(slices.INTERACTIONS_PREFIX)]
    return {
        (name.removeprefix(slices.INTERACTIONS_PREFIX), version): rows
        for name in answering
        for version, rows in lookup.count_answers(
            snapshot, column.name, open_snapshot(parts.lake.table(name)), where=where
        ).items()
        if version is not None
    }


def _add_loop_edges(
    unit: Unit, run: int, snapshot: int, shares: Mapping[tuple[str, int], int], total: int
) -> None:
    for (model, number), rows in shares.items():
        version = models.version(unit.connection, model, number)
        if version is not None:
            writes.add_edge(
                unit,
                version.id,
                snapshot,
                EdgeKind.FEEDBACK_ON,
                Evidence.INFERRED,
                run=run,
                rows=rows,
                share=rows / total,
            )
