"""Models, their immutable versions, and the components that versions are composed with."""

from collections.abc import Awaitable
from datetime import datetime
from typing import Any

import graphene

from backstory.api.context import Info
from backstory.api.schema.amendment import AMENDMENTS, Amendment
from backstory.api.schema.entity import Entity, EvidenceLevel, Node
from backstory.api.schema.fields import (
    DEPLOYMENT,
    MODEL_VERSION,
    RUN,
    SNAPSHOT,
    many,
    maybe,
    one,
    seconds,
)
from backstory.api.schema.paging import Keyset, Page, check_first, connection, page_arguments
from backstory.api.schema.scalars import JSON, DateTime, Digest, Long
from backstory.lineage import deploying, inspecting, loading
from backstory.lineage.graph import Node as GraphNode
from backstory.lineage.lateness import lateness
from backstory.lineage.store.loads import LoadRecord
from backstory.lineage.store.models import VersionRecord
from backstory.lineage.tracing import training_unknown_before


class Component(graphene.ObjectType):
    """A versioned thing that a model version is composed with: a prompt, a base model."""

    class Meta:
        interfaces = (Node, Entity)

    kind = one(graphene.String, "An open word: prompt, reranker, adapter, base_model …")
    name = one(graphene.String, "What it is called.")
    version = one(graphene.String, "Which of its versions.")
    digest = maybe(Digest, "The digest of its bytes; null where they are out of reach.")


class Artifact(graphene.ObjectType):
    """The bytes of a model version: kept here, or said to lie elsewhere."""

    kept = one(graphene.Boolean, "They are kept here, and can be verified.")
    digest = maybe(
        Digest,
        "SHA-256 of the file, or of the folder's listing; as declared where it is not kept here.",
    )
    kind = maybe(graphene.String, "file or tree.", source="artifact_kind")
    name = maybe(
        graphene.String, "What it was called when it was registered.", source="artifact_name"
    )
    bytes = maybe(Long, "Its size.", source="artifact_size")
    uri = maybe(graphene.String, "Where it is said to lie.", source="artifact_uri")

    @staticmethod
    def resolve_kept(root: VersionRecord, _info: Info) -> bool:
        """Whether the bytes are in this home."""
        return root.artifact is not None


class Load(graphene.ObjectType):
    """A process that really loaded a model version, whatever was declared."""

    model_version = one(MODEL_VERSION, "What it loaded.")
    at = one(DateTime, "When.")
    host = one(graphene.String, "On which host.")
    process = one(graphene.String, "The process's number there.")
    environment = maybe(graphene.String, "Where it serves; null where it did not say.")
    asked = one(graphene.String, "The ref or the path that it loaded.")
    digest = one(Digest, "Of the bytes that it loaded.")

    @staticmethod
    def resolve_model_version(root: LoadRecord, info: Info) -> Awaitable[Any]:
        """The version's record."""
        return info.context.loaders.versions.load(root.model_version)


LoadConnection = connection(Load)


class ModelVersion(graphene.ObjectType):
    """One immutable version of a model."""

    class Meta:
        interfaces = (Node, Entity)

    model = one(graphene.String, "The model's name.")
    version = one(Long, "Its number.", source="number")
    artifact = one(Artifact, "Its bytes.")
    evidence = one(EvidenceLevel, "How it is known: observed where a run of ours made it.")
    aliases = many(graphene.String, "The aliases that name it.")
    replay = maybe(
        graphene.List(graphene.NonNull(graphene.String)),
        "The command that replays an interaction; it never runs in this server.",
    )
    registered_at = one(DateTime, "When it was registered.", source="at")
    recorded_at = one(DateTime, "When it was recorded here.")
    late_seconds = maybe(
        graphene.Float, "How long after it was made that was; null where it was recorded in time."
    )
    trained_by = maybe(RUN, "The run that made it; null where it was registered without one.")
    components = many(Component, "What it is composed with.")
    trained_on = many(SNAPSHOT, "What it is said to be trained on, where no run of ours was there.")
    training = maybe(JSON, "What was said of such a training: metrics, params and run.")
    training_unknown_before = maybe(
        DateTime, "Its training was not recorded before this moment; null where it is known."
    )
    deployments = many(DEPLOYMENT, "Where it was ever deployed.")
    amendments = many(Amendment, AMENDMENTS)
    loads = one(
        LoadConnection, "Processes that loaded it, last recorded first.", args=page_arguments()
    )

    @staticmethod
    async def resolve_recorded_at(root: VersionRecord, info: Info) -> datetime | None:
        """When it was recorded."""
        return root.recorded_at or await info.context.loaders.version_times.load(root.id)

    @staticmethod
    async def resolve_late_seconds(root: VersionRecord, info: Info) -> float | None:
        """How late it was recorded."""
        return seconds(lateness(root.at, await ModelVersion.resolve_recorded_at(root, info)))

    @staticmethod
    async def resolve_trained_on(root: VersionRecord, info: Info) -> list[Any]:
        """The snapshots of its declared training."""
        said = await info.context.loaders.trained_on.load(root.id)
        return await info.context.loaders.snapshots.load_many(said)

    @staticmethod
    async def resolve_training_unknown_before(root: VersionRecord, info: Info) -> datetime | None:
        """When recording began, where that is later than its training."""
        if root.run is not None:
            return None
        said = await info.context.loaders.trained_on.load(root.id)
        home = await info.context.call(inspecting.home_summary)
        return training_unknown_before(root, home.known_since, trained=bool(said))

    @staticmethod
    async def resolve_loads(
        root: VersionRecord, info: Info, first: int, after: str | None = None
    ) -> Page:
        """A page of loads."""
        keyset = Keyset(
            name=f"loads of {root.ref}",
            key=lambda load: load.id,
            secret=info.context.cursor_secret,
        )
        limit, before = check_first(first) + 1, keyset.after(after)
        rows = await info.context.call(
            loading.loads, root.ref, limit=limit, before=before, as_of=info.context.as_of
        )
        return keyset.page(rows, first=first, after=after)

    @staticmethod
    def resolve_amendments(root: VersionRecord, info: Info) -> Awaitable[Any]:
        """Its amendments."""
        return info.context.loaders.amendments.load(root.id)

    @staticmethod
    def resolve_artifact(root: VersionRecord, _info: Info) -> VersionRecord:
        """The version itself holds what is known of its bytes."""
        return root

    @staticmethod
    def resolve_trained_by(root: VersionRecord, info: Info) -> Awaitable[Any] | None:
        """Its run."""
        return None if root.run is None else info.context.loaders.runs.load(root.run)

    @staticmethod
    def resolve_components(root: VersionRecord, info: Info) -> Awaitable[Any]:
        """Its components."""
        return info.context.loaders.components.load(root.id)

    @staticmethod
    def resolve_deployments(root: VersionRecord, info: Info) -> Awaitable[Any]:
        """Its deployments."""
        return info.context.loaders.deployments.load(root.id)


ModelVersionConnection = connection(ModelVersion)


class Model(graphene.ObjectType):
    """A model, whatever its version."""

    class Meta:
        interfaces = (Node, Entity)

    name = one(graphene.String, "Its name, in one namespace with slices.")
    versions = one(ModelVersionConnection, "Its versions, newest first.", args=page_arguments())
    amendments = many(Amendment, "What was amended of its aliases' moves, newest first.")

    @staticmethod
    def resolve_name(root: GraphNode, _info: Info) -> str:
        """The key without its kind."""
        return root.key.removeprefix("model:")

    @staticmethod
    def resolve_amendments(root: GraphNode, info: Info) -> Awaitable[Any]:
        """Its amendments."""
        return info.context.loaders.amendments.load(root.id)

    @staticmethod
    async def resolve_versions(
        root: GraphNode, info: Info, first: int, after: str | None = None
    ) -> Page:
        """A page of versions."""
        keyset = Keyset(
            name=f"versions of {root.key}",
            key=lambda version: version.number,
            secret=info.context.cursor_secret,
        )
        rows = await info.context.call(
            deploying.model_versions,
            root.key,
            limit=check_first(first) + 1,
            before=keyset.after(after),
            as_of=info.context.as_of,
        )
        return keyset.page(rows, first=first, after=after)
