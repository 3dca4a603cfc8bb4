"""The things of the lineage graph as the records that describe them, by ref or by key.

A key is the readable and stable name of a thing (`thumbs/en@58`, `run:019a…`, `env:prod-eu#3`); a
ref is what people write, and every key of a thing that we made is a ref. What only others' events
told of (a dataset, a job) has a key and no ref.

>>> key_of(Node(id=1, kind=EntityKind.DATASET, key="dataset:s3://lake|thumbs", label="thumbs"))
'dataset:s3://lake|thumbs'
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeAlias, assert_never

from backstory.lake.errors import NotFoundError
from backstory.lineage.graph import (
    EntityKind,
    Node,
    component_key,
    deployment_key,
    run_key,
    slice_key,
    snapshot_key,
    version_key,
)
from backstory.lineage.observing import Served
from backstory.lineage.parts import Parts
from backstory.lineage.refs import NameRef, Ref, parse_ref
from backstory.lineage.resolving import (
    DeploymentNamed,
    EnvironmentNamed,
    ModelNamed,
    Resolved,
    SliceAt,
    clock_of,
    resolve_ref,
)
from backstory.lineage.store import deployments, models, reads, runs, slices

Entity: TypeAlias = (
    slices.SliceRecord
    | slices.SnapshotRecord
    | runs.RunRecord
    | models.VersionRecord
    | models.ComponentRecord
    | deployments.IntervalRecord
    | Node
)

_OF_OTHERS = ("dataset:", "job:")


def entity(parts: Parts, ref: str, *, as_of: datetime | None = None) -> Entity:
    """The thing that a ref or a key names; a deployment is told by its last interval.

    Args:
        ref: a ref, or the key of a thing that only others' events told of.
        as_of: as it was known then; as it is known now where nothing is said.

    Raises:
        InvalidError: the text is no ref, or names no thing of the graph.
        NotFoundError: nothing has that name, or nobody has used that version of a slice.
    """
    with parts.store.reader(as_of) as conn:
        if ref.startswith(_OF_OTHERS):
            return _node(conn, ref)
        parsed = parse_ref(ref)
        return _record(conn, resolve_ref(conn, parsed, clock_of(parts, as_of)), parsed)


def models_known(parts: Parts, *, as_of: datetime | None = None) -> list[Node]:
    """Every model, by name; as they were known at a time, where one is given."""
    with parts.store.reader(as_of) as conn:
        return reads.of_kind(conn, EntityKind.MODEL)


def key_of(found: Entity) -> str:
    """The key of a thing."""
    return _KEYS[type(found)](found)


_KEYS: Mapping[type[Any], Callable[[Any], str]] = {
    slices.SliceRecord: lambda found: slice_key(found.name),
    slices.SnapshotRecord: lambda found: snapshot_key(found.slice_name, found.version),
    runs.RunRecord: lambda found: run_key(found.run_id),
    models.VersionRecord: lambda found: version_key(found.model, found.number),
    models.ComponentRecord: lambda found: component_key(found.kind, found.name, found.version),
    deployments.IntervalRecord: lambda found: deployment_key(found.environment, found.number),
    Served: lambda found: deployment_key(found.environment, found.number),
    Node: lambda found: found.key,
}


def _record(conn: Any, found: Resolved, ref: Ref) -> Entity:
    match found:
        case SliceAt(slice=whole) if isinstance(ref, NameRef) and ref.at is None:
            return whole
        case SliceAt(snapshot=snapshot) if snapshot is not None:
            return snapshot
        case DeploymentNamed(id=number):
            return deployments.intervals_of(conn, [number])[number][-1]
        case ModelNamed(name=name):
            return _node(conn, f"{EntityKind.MODEL.value}:{name}")
        case models.VersionRecord() | runs.RunRecord() | models.ComponentRecord():
            return found
        case SliceAt() | EnvironmentNamed():
            raise NotFoundError(
                f"{ref} is no thing of the lineage graph",
                hint="name a slice, model, run, component or deployment",
            )
        case _:
            assert_never(found)


def _node(conn: Any, key: str) -> Node:
    node = reads.entity_by_key(conn, key)
    if node is None:
        raise NotFoundError(f"nothing is called {key}")
    return node
