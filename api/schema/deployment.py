"""Deployments: which version served where, over which intervals of valid time, with what share."""

from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import Any

import graphene

from backstory.api.context import Info
from backstory.api.schema.amendment import AMENDMENTS, Amendment
from backstory.api.schema.entity import Entity, Node
from backstory.api.schema.fields import (
    DEPLOYMENT,
    LOAD,
    MODEL_VERSION,
    enum,
    many,
    maybe,
    one,
    seconds,
)
from backstory.api.schema.paging import connection
from backstory.api.schema.scalars import DateTime
from backstory.lineage.deployment import Mode
from backstory.lineage.observing import Served
from backstory.lineage.store.deployments import IntervalRecord
from backstory.lineage.store.loads import LoadRecord

DeploymentMode = enum(
    Mode,
    name="DeploymentMode",
    values={
        Mode.LIVE: "It answers users.",
        Mode.CANARY: "It answers a share of users that it takes from the live versions.",
        Mode.SHADOW: "It answers nobody; it is only compared.",
        Mode.HOLDOUT: "It is kept from users on purpose, to measure against.",
    },
)


class Interval(graphene.ObjectType):
    """A stretch of valid time in which a deployment's share did not change."""

    deployment = one(DEPLOYMENT, "The deployment.")
    share = one(graphene.Float, "Its share of the traffic, 0 to 1.")
    served_from = one(DateTime, "Since when, included.", source="from_at")
    served_until = maybe(DateTime, "Until when, excluded; null while it lasts.", source="until_at")

    recorded_at = maybe(DateTime, "When its begin was first told.")
    late_seconds = maybe(
        graphene.Float, "How long after its begin that was; null where it was told in time."
    )
    end_recorded_at = maybe(DateTime, "When its end was first told; null while it lasts.")
    end_late_seconds = maybe(
        graphene.Float, "How long after its end that was; null where it was told in time."
    )
    loads = many(
        LOAD,
        "The last load of its version on each host there; only in `deployments`, and only while "
        "it serves at the instant that was asked for.",
    )
    disagreements = many(
        graphene.String, "Which hosts had loaded what is not declared there, in words; likewise."
    )

    @staticmethod
    async def resolve_recorded_at(root: IntervalRecord, info: Info) -> datetime | None:
        """When its begin was told."""
        return (await _told(root, info)).recorded_at

    @staticmethod
    async def resolve_late_seconds(root: IntervalRecord, info: Info) -> float | None:
        """How late its begin was told."""
        return seconds((await _told(root, info)).late)

    @staticmethod
    async def resolve_end_recorded_at(root: IntervalRecord, info: Info) -> datetime | None:
        """When its end was told."""
        return (await _told(root, info)).end_recorded_at

    @staticmethod
    async def resolve_end_late_seconds(root: IntervalRecord, info: Info) -> float | None:
        """How late its end was told."""
        return seconds((await _told(root, info)).end_late)

    @staticmethod
    def resolve_loads(root: IntervalRecord, _info: Info) -> Sequence[LoadRecord]:
        """What was observed, where the question looked."""
        return root.loads if isinstance(root, Served) else ()

    @staticmethod
    def resolve_disagreements(root: IntervalRecord, _info: Info) -> Sequence[str]:
        """Where that is not what was declared."""
        return root.disagreements if isinstance(root, Served) else ()

    @staticmethod
    def resolve_deployment(root: IntervalRecord, _info: Info) -> IntervalRecord:
        """An interval's record says which deployment it is of."""
        return root


async def _told(interval: IntervalRecord, info: Info) -> IntervalRecord:
    """The interval with when it was told, which only `deployments` has asked already."""
    if interval.recorded_at is not None:
        return interval
    return (await info.context.loaders.told.load(interval.deployment)).of(interval)


IntervalConnection = connection(Interval)


class Deployment(graphene.ObjectType):
    """A model version serving in an environment."""

    class Meta:
        interfaces = (Node, Entity)

    environment = one(graphene.String, "Where.")
    number = one(graphene.Int, "Which of the environment's deployments.")
    mode = one(DeploymentMode, "What it is for.")
    model_version = one(MODEL_VERSION, "What serves.")
    intervals = many(Interval, "Its shares over time, oldest first.")
    amendments = many(Amendment, AMENDMENTS)

    @staticmethod
    def resolve_model_version(root: IntervalRecord, info: Info) -> Awaitable[Any]:
        """Its version."""
        return info.context.loaders.versions.load(root.model_version)

    @staticmethod
    def resolve_amendments(root: IntervalRecord, info: Info) -> Awaitable[Any]:
        """Its amendments."""
        return info.context.loaders.amendments.load(root.deployment)

    @staticmethod
    def resolve_intervals(root: IntervalRecord, info: Info) -> Awaitable[Any]:
        """Its intervals."""
        return info.context.loaders.intervals.load(root.deployment)
