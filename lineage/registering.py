"""A model version recorded: its artifact by digest, its number, the components it is composed with.

Everything happens in the unit of work of the caller: a version of a run is there with the run's end
or not at all.
"""

from collections.abc import Sequence
from typing import Any

from backstory.lake.blobs import Artifact
from backstory.lake.errors import RefusedError
from backstory.lineage.graph import EdgeKind, EntityKind, Evidence, model_key, version_key
from backstory.lineage.model import ComponentUse
from backstory.lineage.store import models, reads, tables, writes
from backstory.lineage.store.unit_of_work import Unit


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


def add_version(
    unit: Unit,
    run: int,
    model: str,
    registration: Registration,
    components: Sequence[ComponentUse],
) -> models.VersionRecord:
    """Record the next version of a model.

    Raises:
        RefusedError: a component was recorded with other bytes before.
    """
    version = insert_version(
        unit,
        model,
        models.last_number(unit.connection, model) + 1,
        registration.artifact,
        run=run,
        replay=registration.replay,
        at=unit.at,
    )
    for component in components:
        _add_component(unit, component, version)
    return models.versions(unit.connection, [version])[version]


def claim_model(unit: Unit, model: str) -> None:
    """Take a name for a model, the first time.

    Raises:
        ConflictError: the name belongs to a slice.
    """
    entity = writes.add_entity(unit, EntityKind.MODEL, model_key(model), model)
    writes.claim_name(unit, model, entity)


def insert_version(
    unit: Unit, model: str, number: int, artifact: Artifact | None, **columns: Any
) -> int:
    """Write a version and what is kept of its artifact.

    Args:
        artifact: its bytes; None where they are not ours.
        columns: what else its row says.

    Returns:
        The version's node.
    """
    ref = version_key(model, number)
    version = writes.add_entity(unit, EntityKind.MODEL_VERSION, ref, ref)
    if artifact is not None:
        add_artifact(unit, artifact)
    writes.insert(
        unit,
        tables.model_version,
        id=version,
        model=model,
        number=number,
        artifact=artifact.digest if artifact else None,
        **columns,
    )
    return version


def add_artifact(unit: Unit, artifact: Artifact) -> None:
    """Record that an artifact is kept, so that its loss is noticed."""
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


def check_component(conn: Any, component: ComponentUse) -> None:
    """Refuse a component that was recorded with other bytes.

    Raises:
        RefusedError: it was.
    """
    node = reads.entity_by_key(conn, component.key)
    known = models.components(conn, [node.id]) if node is not None else {}
    if any(other.digest != component.digest for other in known.values()):
        raise RefusedError(
            f"{component.key} was recorded with other bytes before",
            hint="a component's version is immutable; give it another version",
        )


def _add_component(unit: Unit, component: ComponentUse, version: int) -> None:
    check_component(unit.connection, component)
    entity = writes.add_entity(unit, EntityKind.COMPONENT, component.key, component.key)
    if not models.components(unit.connection, [entity]):
        writes.insert(
            unit,
            tables.component,
            id=entity,
            kind=component.kind,
            name=component.name,
            version=component.version,
            digest=component.digest,
        )
    writes.add_edge(unit, entity, version, EdgeKind.COMPONENT_OF, Evidence.OBSERVED)
