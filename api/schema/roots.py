"""Where queries begin. Each field calls one use case of `lineage`, the same as the command line.

What does not exist is null where it is asked for by name; a question about it (`trace`, `diff`,
`history`) is answered by an error with the hint that the command line gives. A field that asks what
was recorded takes `asOf`, and a time at which nothing was known is an error to each of them.
"""

from dataclasses import asdict
from datetime import datetime
from typing import Any

import graphene

from backstory import __version__
from backstory.api.context import Info
from backstory.api.schema.deployment import IntervalConnection
from backstory.api.schema.diff import SnapshotDiff
from backstory.api.schema.entity import Entity, Node, key_in
from backstory.api.schema.fields import argument, as_of_argument, many, maybe, one
from backstory.api.schema.lineage import LineageGraph
from backstory.api.schema.model import Model, ModelVersion
from backstory.api.schema.paging import Keyset, Page, check_first, page_arguments
from backstory.api.schema.profile import Drift
from backstory.api.schema.row_diff import RowDiff
from backstory.api.schema.run import Run, RunConnection
from backstory.api.schema.scalars import DateTime
from backstory.api.schema.slice import HistoryConnection, Slice, SliceVersion, history_page
from backstory.api.schema.snapshot import PinConnection, Snapshot
from backstory.api.schema.state import Absence, Near, StateResult
from backstory.lake.errors import NotFoundError
from backstory.lineage import (
    comparing,
    comparing_rows,
    deploying,
    entities,
    inspecting,
    pinning,
    profiling,
    seeking,
    tracing,
)
from backstory.lineage.graph import Node as GraphNode
from backstory.lineage.resolving import SliceAt, resolve_slice_at, resolve_version
from backstory.lineage.state import ModelState
from backstory.lineage.store.models import VersionRecord
from backstory.lineage.store.runs import RunRecord
from backstory.lineage.store.slices import SliceRecord, SnapshotRecord
from backstory.lineage.times import time_text

DEFAULT_NODES = 200  # fewer than the command line gives: each may be asked for its details


def _text(description: str) -> Any:
    return argument(graphene.NonNull(graphene.String), description)


def _flag(description: str) -> Any:
    return argument(graphene.NonNull(graphene.Boolean), description, default_value=False)


def _depth() -> Any:
    return argument(
        graphene.NonNull(graphene.Int),
        f"How many edges to go at most, up to {tracing.MAX_DEPTH}.",
        default_value=tracing.DEFAULT_DEPTH,
    )


def _walk() -> dict[str, Any]:
    return {
        "ref": _text("A model version, snapshot, run, component or deployment."),
        "depth": _depth(),
        "limit": argument(
            graphene.NonNull(graphene.Int),
            f"How many nodes to give at most, up to {tracing.MAX_LIMIT}; a query's cost counts it.",
            default_value=DEFAULT_NODES,
        ),
        **as_of_argument(),
    }


class Home(graphene.ObjectType):
    """The installation that answers."""

    known_since = maybe(DateTime, "When recording began: what lies before is unknown, not absent.")
    revision = maybe(graphene.String, "The revision of its store.")
    version = one(graphene.String, "The version of Backstory that answers.")


class Things:
    """Anything by id or ref, and the home itself."""

    home = one(Home, "The installation that answers.")
    node = maybe(
        Node,
        "A thing by its id.",
        args={"id": argument(graphene.NonNull(graphene.ID), "What the field `id` said.")}
        | as_of_argument(),
    )
    entity = maybe(
        Entity,
        "A thing by its key or any other ref.",
        args={"ref": _text("The ref.")} | as_of_argument(),
    )

    @staticmethod
    async def resolve_home(_root: None, info: Info) -> dict[str, Any]:
        """The home and the program."""
        found = await info.context.call(inspecting.home_summary)
        return asdict(found) | {"version": __version__}

    @staticmethod
    async def resolve_node(
        _root: None, info: Info, as_of: datetime | None = None, **wanted: str
    ) -> entities.Entity | None:
        """By opaque id."""
        return await info.context.find(entities.entity, key_in(wanted["id"]), as_of=as_of)

    @staticmethod
    async def resolve_entity(
        _root: None, info: Info, ref: str, as_of: datetime | None = None
    ) -> entities.Entity | None:
        """By ref."""
        return await info.context.find(entities.entity, ref, as_of=as_of)


class Data:
    """Slices, their versions and what lies between two of them."""

    slices = many(
        Slice,
        "Every slice by name.",
        args={"interactions": _flag("Whether to list the interaction tables of models too.")}
        | as_of_argument(),
    )
    slice = maybe(Slice, "A slice.", args={"name": _text("Its name.")} | as_of_argument())
    slice_version = maybe(
        SliceVersion,
        "A slice at a version or a time.",
        args={"ref": _text("Such as thumbs/en@58.")} | as_of_argument(),
    )
    snapshot = maybe(
        Snapshot,
        "A slice at a version; null where nobody has used that version.",
        args={"ref": _text("Such as thumbs/en@58, or with a time.")} | as_of_argument(),
    )
    pins = one(
        PinConnection,
        "The pins that hold now, by slice and version.",
        args={"slice": argument(graphene.String, "Only those of this slice.")}
        | page_arguments()
        | as_of_argument(),
    )
    history = one(
        HistoryConnection,
        "A slice's commits up to a version, newest first.",
        args={"ref": _text("A slice, at its newest version where none is named.")}
        | page_arguments()
        | as_of_argument(),
    )
    diff = maybe(
        SnapshotDiff,
        "What lies between two versions of a slice.",
        args={"base": _text("What to compare with."), "head": _text("What to compare.")}
        | as_of_argument(),
    )
    row_diff = maybe(
        RowDiff,
        "How many rows differ between two versions of a slice.",
        args={"base": _text("What to compare with."), "head": _text("What to compare.")}
        | as_of_argument(),
    )

    drift = one(
        Drift,
        "How far the values of one slice, version or range lie from those of another.",
        args={
            "base": _text("A slice, SLICE@M..N, or a model version: what it was trained on."),
            "head": _text("What is compared, likewise."),
        }
        | as_of_argument(),
    )

    @staticmethod
    async def resolve_drift(
        _root: None, info: Info, base: str, head: str, as_of: datetime | None = None
    ) -> profiling.DriftReport:
        """From what was kept with each commit."""
        return await info.context.call(profiling.drift, base, head, as_of=as_of)

    @staticmethod
    async def resolve_slices(
        _root: None, info: Info, *, interactions: bool, as_of: datetime | None = None
    ) -> list[SliceRecord]:
        """All slices."""
        found = await info.context.call(
            inspecting.list_slices, interactions=interactions, as_of=as_of
        )
        return [summary.slice for summary in found]

    @staticmethod
    async def resolve_slice(
        _root: None, info: Info, name: str, as_of: datetime | None = None
    ) -> SliceRecord | None:
        """By name."""
        found = await info.context.find(resolve_slice_at, f"slice:{name}", as_of)
        return found.slice if found else None

    @staticmethod
    async def resolve_slice_version(
        _root: None, info: Info, ref: str, as_of: datetime | None = None
    ) -> SliceAt | None:
        """By ref."""
        return await info.context.find(resolve_slice_at, ref, as_of)

    @staticmethod
    async def resolve_snapshot(
        _root: None, info: Info, ref: str, as_of: datetime | None = None
    ) -> SnapshotRecord | None:
        """By ref."""
        found = await info.context.find(resolve_slice_at, ref, as_of)
        return found.snapshot if found else None

    @staticmethod
    async def resolve_history(
        _root: None,
        info: Info,
        ref: str,
        first: int,
        after: str | None = None,
        as_of: datetime | None = None,
    ) -> Page:
        """A page of commits."""
        return await history_page(info, ref, first=first, after=after, as_of=as_of)

    @staticmethod
    async def resolve_diff(
        _root: None, info: Info, base: str, head: str, as_of: datetime | None = None
    ) -> comparing.SnapshotDiff:
        """By two refs."""
        return await info.context.call(comparing.diff, base, head, as_of=as_of)

    @staticmethod
    async def resolve_row_diff(
        _root: None, info: Info, base: str, head: str, as_of: datetime | None = None
    ) -> comparing_rows.RowsCounted:
        """By two refs."""
        return await info.context.call(comparing_rows.count_rows, base, head, as_of=as_of)

    @staticmethod
    async def resolve_pins(_root: None, info: Info, **asked: Any) -> Page:
        """A page of pins."""
        name, first, after = asked.get("slice"), asked["first"], asked.get("after")
        keyset = Keyset(
            name=f"pins of {name}", key=lambda pin: pin.id, secret=info.context.cursor_secret
        )
        rows = await info.context.call(pinning.pin_records, name, as_of=asked.get("as_of"))
        return keyset.page_of(rows, first=first, after=after)


class Models:
    """Models, their versions, the runs that made them, and where they serve."""

    models = many(Model, "Every model by name.", args=as_of_argument())
    model = maybe(Model, "A model.", args={"name": _text("Its name.")} | as_of_argument())
    model_version = maybe(
        ModelVersion,
        "A model version.",
        args={"ref": _text("Such as ranker@7 or ranker@champion.")} | as_of_argument(),
    )
    runs = one(
        RunConnection,
        "Runs, newest first.",
        args={"model": argument(graphene.String, "Only the runs that train this model.")}
        | page_arguments()
        | as_of_argument(),
    )
    run = maybe(
        Run,
        "A run.",
        args={"ref": _text("Its key, or at least 6 characters of its id.")} | as_of_argument(),
    )
    deployments = one(
        IntervalConnection,
        "What served, by its begin.",
        args={
            "environment": argument(graphene.String, "Only there."),
            "at": argument(DateTime, "Only what served at that instant."),
        }
        | page_arguments()
        | as_of_argument(),
    )

    @staticmethod
    async def resolve_models(
        _root: None, info: Info, as_of: datetime | None = None
    ) -> list[GraphNode]:
        """All models."""
        return await info.context.call(entities.models_known, as_of=as_of)

    @staticmethod
    async def resolve_model(
        _root: None, info: Info, name: str, as_of: datetime | None = None
    ) -> GraphNode | None:
        """By name."""
        found = await info.context.find(entities.entity, f"model:{name}", as_of=as_of)
        return found if isinstance(found, GraphNode) else None

    @staticmethod
    async def resolve_model_version(
        _root: None, info: Info, ref: str, as_of: datetime | None = None
    ) -> VersionRecord | None:
        """By ref."""
        return await info.context.find(resolve_version, ref, as_of)

    @staticmethod
    async def resolve_runs(
        _root: None,
        info: Info,
        first: int,
        after: str | None = None,
        model: str | None = None,
        as_of: datetime | None = None,
    ) -> Page:
        """A page of runs."""
        keyset = Keyset(
            name=f"runs of {model}", key=lambda run: run.id, secret=info.context.cursor_secret
        )
        rows = await info.context.call(
            inspecting.list_runs,
            model,
            limit=check_first(first) + 1,
            before=keyset.after(after),
            as_of=as_of,
        )
        return keyset.page(rows, first=first, after=after)

    @staticmethod
    async def resolve_run(
        _root: None, info: Info, ref: str, as_of: datetime | None = None
    ) -> RunRecord | None:
        """By ref."""
        run = f"run:{ref.removeprefix('run:')}"
        found = await info.context.find(entities.entity, run, as_of=as_of)
        return found if isinstance(found, RunRecord) else None

    @staticmethod
    async def resolve_deployments(
        _root: None,
        info: Info,
        first: int,
        after: str | None = None,
        *,
        environment: str | None = None,
        at: datetime | None = None,
        as_of: datetime | None = None,
    ) -> Page:
        """A page of intervals."""
        when = time_text(at) if at else "ever"
        keyset = Keyset(
            name=f"deployments in {environment} {when}",
            key=lambda interval: interval.id,
            secret=info.context.cursor_secret,
        )
        rows = await info.context.call(deploying.deployments, environment, at=at, as_of=as_of)
        return keyset.page_of(rows, first=first, after=after)


class Lineage:
    """What came from what, and what stood behind an answer."""

    trace = maybe(LineageGraph, "What a thing came from.", args=_walk())
    impact = maybe(
        LineageGraph, "What a thing led to, and how many interactions it answered.", args=_walk()
    )
    path = maybe(
        LineageGraph,
        "A shortest way between a cause and an effect, in either order; null where there is none.",
        args={"src": _text("One end."), "dst": _text("The other end."), "depth": _depth()}
        | as_of_argument(),
    )
    state = maybe(
        StateResult,
        "What stood behind one interaction.",
        args={
            "ref": argument(
                graphene.String,
                "int: with an id or at least 6 characters of one, or ext:SYSTEM:ID.",
            ),
            "near": argument(Near, "The one nearest to a time in an environment, not by a ref."),
            "verify": _flag("Whether to hash every part within reach again, as it is now."),
        }
        | as_of_argument(),
    )

    @staticmethod
    async def resolve_trace(
        _root: None, info: Info, ref: str, depth: int, limit: int, as_of: datetime | None = None
    ) -> tracing.Trace:
        """Upstream."""
        found = await info.context.call(tracing.trace, ref, depth=depth, limit=limit, as_of=as_of)
        return info.context.loaders.primed(found)

    @staticmethod
    async def resolve_impact(
        _root: None, info: Info, ref: str, depth: int, limit: int, as_of: datetime | None = None
    ) -> tracing.Trace:
        """Downstream."""
        found = await info.context.call(tracing.impact, ref, depth=depth, limit=limit, as_of=as_of)
        return info.context.loaders.primed(found)

    @staticmethod
    async def resolve_path(
        _root: None, info: Info, src: str, dst: str, depth: int, as_of: datetime | None = None
    ) -> tracing.Trace | None:
        """Between two."""
        found = await info.context.call(tracing.path, src, dst, depth=depth, as_of=as_of)
        return info.context.loaders.primed(found) if found else None

    @staticmethod
    async def resolve_state(
        _root: None,
        info: Info,
        ref: str | None = None,
        near: Near | None = None,
        *,
        verify: bool,
        as_of: datetime | None = None,
    ) -> ModelState | Absence:
        """The state, or why there is none."""
        place = (near.model, near.environment, near.at) if near else None
        try:
            return await info.context.call(
                seeking.state_asked, ref, place, verify=verify, as_of=as_of
            )
        except NotFoundError as exc:
            await info.context.check_known()
            return Absence(message=exc.message, hint=exc.hint or None)


class Query(Things, Data, Models, Lineage, graphene.ObjectType):
    """What can be asked. What rows, requests and responses say is not among it."""
