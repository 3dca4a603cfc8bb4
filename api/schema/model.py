"""Models, their immutable versions, and the components that versions are composed with."""

from collections.abc import Awaitable
from typing import Any

import graphene

from backstory.api.context import Info
from backstory.api.schema.entity import Entity, Node
from backstory.api.schema.fields import DEPLOYMENT, RUN, many, maybe, one
from backstory.api.schema.paging import Keyset, Page, check_first, connection, page_arguments
from backstory.api.schema.scalars import DateTime, Digest, Long
from backstory.lineage import deploying
from backstory.lineage.graph import Node as GraphNode
from backstory.lineage.store.models import VersionRecord


class Component(graphene.ObjectType):
    """A versioned thing that a model version is composed with: a prompt, a base model."""

    class Meta:
        interfaces = (Node, Entity)

    kind = one(graphene.String, "An open word: prompt, reranker, adapter, base_model …")
    name = one(graphene.String, "What it is called.")
    version = one(graphene.String, "Which of its versions.")
    digest = maybe(Digest, "The digest of its bytes; null where they are out of reach.")


class Artifact(graphene.ObjectType):
    """The bytes of a model version."""

    digest = one(Digest, "SHA-256 of the file, or of the folder's listing.", source="artifact")
    kind = one(graphene.String, "file or tree.", source="artifact_kind")
    name = one(
        graphene.String, "What it was called when it was registered.", source="artifact_name"
    )
    bytes = one(Long, "Its size.", source="artifact_size")


class ModelVersion(graphene.ObjectType):
    """One immutable version of a model."""

    class Meta:
        interfaces = (Node, Entity)

    model = one(graphene.String, "The model's name.")
    version = one(Long, "Its number.", source="number")
    artifact = one(Artifact, "Its bytes.")
    aliases = many(graphene.String, "The aliases that name it now.")
    replay = maybe(
        graphene.List(graphene.NonNull(graphene.String)),
        "The command that replays an interaction; it never runs in this server.",
    )
    registered_at = one(DateTime, "When it was registered.", source="at")
    trained_by = maybe(RUN, "The run that made it; null where it was registered without one.")
    components = many(Component, "What it is composed with.")
    deployments = many(DEPLOYMENT, "Where it was ever deployed.")

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

    @staticmethod
    def resolve_name(root: GraphNode, _info: Info) -> str:
        """The key without its kind."""
        return root.key.removeprefix("model:")

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
        )
        return keyset.page(rows, first=first, after=after)
