"""What every thing of the lineage graph has: an opaque id for programs, a key for people.

The id is base64url of a format and the key; `node(id:)` undoes it. The objects behind the types
are the store's records themselves, so that nothing is copied on the way out.

>>> key_in(id_of("run:019a8f3c"))
'run:019a8f3c'
"""

import base64
import binascii
from typing import Any

import graphene

from backstory.api.context import Info
from backstory.api.schema.fields import enum, one
from backstory.lake.errors import InvalidError
from backstory.lineage.entities import key_of
from backstory.lineage.graph import EdgeKind as EdgeKinds
from backstory.lineage.graph import EntityKind as EntityKinds
from backstory.lineage.graph import Evidence
from backstory.lineage.graph import Node as GraphNode
from backstory.lineage.observing import Served
from backstory.lineage.store import deployments, models, runs, slices

EntityKind = enum(EntityKinds, name="EntityKind")
EdgeKind = enum(
    EdgeKinds,
    name="EdgeKind",
    values={
        EdgeKinds.READ: "From a snapshot or data set to the run that read it.",
        EdgeKinds.TRIGGERED: "From a snapshot to the run that it started.",
        EdgeKinds.PRODUCED: "From a run to the model version or data set that it made.",
        EdgeKinds.COMPONENT_OF: "From a component to the model version composed with it.",
        EdgeKinds.TRAINED_ON: "From a snapshot to a version that is said to be trained on it.",
        EdgeKinds.DEPLOYED_AS: "From a model version to a deployment of it.",
        EdgeKinds.FEEDBACK_ON: "From a model version to a snapshot with feedback on its answers.",
    },
)
EvidenceLevel = enum(
    Evidence,
    name="EvidenceLevel",
    values={
        Evidence.OBSERVED: "We saw it happen.",
        Evidence.DECLARED: "Somebody said so.",
        Evidence.IMPORTED: "Another system recorded it.",
        Evidence.INFERRED: "Concluded from something else.",
    },
)

_TYPES = {
    slices.SliceRecord: "Slice",
    slices.SnapshotRecord: "Snapshot",
    runs.RunRecord: "Run",
    models.VersionRecord: "ModelVersion",
    models.ComponentRecord: "Component",
    deployments.IntervalRecord: "Deployment",
    Served: "Deployment",
}
_TYPES_OF_NODES = {
    EntityKinds.MODEL: "Model",
    EntityKinds.DATASET: "Dataset",
    EntityKinds.JOB: "Job",
}


class Node(graphene.Interface):
    """A thing with an id, by which `node` finds it again."""

    id = one(graphene.ID, "Opaque and stable.")

    @classmethod
    def resolve_type(cls, instance: Any, info: Info) -> Any:
        """The type of a record."""
        return _type_of(instance, info)

    @staticmethod
    def resolve_id(root: Any, _info: Info) -> str:
        """The id of a record."""
        return id_of(key_of(root))


class Entity(graphene.Interface):
    """A thing of the lineage graph."""

    class Meta:
        interfaces = (Node,)

    id = one(graphene.ID, "Opaque and stable.")
    key = one(graphene.String, "Readable, stable and unique; a ref wherever one is asked for.")

    @classmethod
    def resolve_type(cls, instance: Any, info: Info) -> Any:
        """The type of a record."""
        return _type_of(instance, info)

    @staticmethod
    def resolve_key(root: Any, _info: Info) -> str:
        """The key of a record."""
        return key_of(root)


class Dataset(graphene.ObjectType):
    """A data set of somebody else, as OpenLineage events named it."""

    class Meta:
        interfaces = (Node, Entity)

    label = one(graphene.String, "Its name.")


class Job(graphene.ObjectType):
    """A job of somebody else, as OpenLineage events named it."""

    class Meta:
        interfaces = (Node, Entity)

    label = one(graphene.String, "Its name.")


def id_of(key: str) -> str:
    """The opaque id of the thing with that key."""
    return base64.urlsafe_b64encode(f"{_ID_FORMAT}{key}".encode()).decode().rstrip("=")


def key_in(opaque: str) -> str:
    """The key that an id stands for.

    Raises:
        InvalidError: it is no id of ours.
    """
    try:
        text = base64.b64decode(opaque + "=" * (-len(opaque) % 4), b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError) as exc:
        raise InvalidError(f"{opaque[:80]!r} is not an id", hint=_ID_HINT) from exc
    if not text.startswith(_ID_FORMAT):
        raise InvalidError(f"{opaque[:80]!r} is not an id of this API", hint=_ID_HINT)
    return text.removeprefix(_ID_FORMAT)


_ID_FORMAT = "v1:"
_ID_HINT = "ids come from the field `id`; `entity` takes readable refs"


def _type_of(record: Any, info: Any) -> Any:
    name = _TYPES_OF_NODES[record.kind] if isinstance(record, GraphNode) else _TYPES[type(record)]
    return info.schema.get_type(name).graphene_type
