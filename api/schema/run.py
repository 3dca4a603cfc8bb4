"""Training runs: what started them, what they read, what they made."""

from collections.abc import Awaitable, Mapping
from typing import Any

import graphene

from backstory.api.context import Info
from backstory.api.schema.entity import Entity, Node
from backstory.api.schema.fields import MODEL_VERSION, RUN, SNAPSHOT, many, maybe, one
from backstory.api.schema.paging import connection
from backstory.api.schema.scalars import JSON, DateTime, Long
from backstory.lineage.store.runs import ReadRecord, RunRecord


class CommitRange(graphene.ObjectType):
    """Commits of a slice that together caused something."""

    slice = one(graphene.String, "The slice's name.")
    first = one(Long, "The first version, included.")
    last = one(Long, "The last version, included.")
    rows = one(Long, "Rows that they added.")


class Trigger(graphene.ObjectType):
    """Why a run started, with what was seen."""

    kind = one(graphene.String, "manual, schedule, threshold, drift or erasure.")
    reason = one(graphene.String, "The whole in words.")
    value = maybe(graphene.Float, "The number that was compared: rows, seconds or the metric.")
    limit = maybe(graphene.Float, "What it was compared with.")
    range = maybe(CommitRange, "The commits that caused it.")
    condition = maybe(JSON, "The trigger's own settings.")


class Read(graphene.ObjectType):
    """A run's read of a snapshot, with the selection that it applied."""

    run = one(RUN, "Who read.")
    snapshot = one(SNAPSHOT, "What was read.")
    role = one(graphene.String, "What for: training, evaluation …")
    columns = maybe(graphene.List(graphene.NonNull(graphene.String)), "Which; null means all.")
    filter = maybe(graphene.String, "The condition; null means every row.")
    rows = maybe(Long, "Rows read; null where nobody counted.")

    @staticmethod
    def resolve_run(root: ReadRecord, info: Info) -> Awaitable[Any]:
        """The reader."""
        return info.context.loaders.runs.load(root.run)

    @staticmethod
    def resolve_snapshot(root: ReadRecord, info: Info) -> Awaitable[Any]:
        """The snapshot."""
        return info.context.loaders.snapshots.load(root.snapshot)


class Facet(graphene.ObjectType):
    """An OpenLineage facet of a run."""

    key = one(graphene.String, "Its name.")
    body = one(JSON, "What it says, as it was sent.")


class Run(graphene.ObjectType):
    """An OpenLineage run: of ours, or told by somebody else's events."""

    class Meta:
        interfaces = (Node, Entity)

    run_id = one(graphene.ID, "The OpenLineage run id.")
    namespace = one(graphene.String, "The job's OpenLineage namespace.")
    job = one(graphene.String, "The job's name.")
    model = maybe(graphene.String, "The model that it trains, where it trains one.")
    state = one(graphene.String, "started, completed, failed, aborted, abandoned or unknown.")
    started_at = maybe(
        DateTime, "When it began; null where only later events came.", source="started"
    )
    ended_at = maybe(DateTime, "When it ended; null while it runs.", source="ended")
    message = maybe(graphene.String, "Why it failed.")
    trigger = maybe(Trigger, "Why it started; null where nobody said.")
    reads = many(Read, "What it read, in the order of reading.")
    not_captured = maybe(graphene.String, "What it read that nobody saw; null where all is known.")
    made = many(MODEL_VERSION, "The model versions that it made.")
    facets = many(Facet, "Its current OpenLineage facets by key.")

    @staticmethod
    def resolve_reads(root: RunRecord, info: Info) -> Awaitable[Any]:
        """Its reads."""
        return info.context.loaders.reads.load(root.id)

    @staticmethod
    def resolve_made(root: RunRecord, info: Info) -> Awaitable[Any]:
        """Its versions."""
        return info.context.loaders.made.load(root.id)

    @staticmethod
    async def resolve_facets(root: RunRecord, info: Info) -> list[Mapping[str, Any]]:
        """Its facets."""
        found = await info.context.loaders.facets.load(root.id)
        return [{"key": key, "body": body} for key, body in found.items()]


RunConnection = connection(Run)
