"""A walk's answer: flat lists of nodes and edges, and how far it can be trusted.

Edges name their ends by key, so that a client joins the two lists without a second id.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import graphene

from backstory.api.context import Info
from backstory.api.schema.entity import EdgeKind, Entity, EntityKind, EvidenceLevel
from backstory.api.schema.fields import enum, many, maybe, one
from backstory.api.schema.scalars import DateTime, Long
from backstory.lineage import graph
from backstory.lineage.tracing import Trace

Direction = enum(graph.Direction, name="Direction")


class PlacedNode(NamedTuple):
    """A node with what is known of it."""

    kind: graph.EntityKind
    key: str
    label: str
    distance: int
    entity: Any
    answers: int | None
    training_unknown_before: datetime | None


class NamedEdge(NamedTuple):
    """An edge whose ends are keys."""

    cause: str
    effect: str
    kind: graph.EdgeKind
    evidence: graph.Evidence
    run: str | None
    rows: int | None
    share: float | None


class LineageNode(graphene.ObjectType):
    """A thing that the walk reached."""

    kind = one(EntityKind, "What it is.")
    key = one(graphene.String, "Its key: readable, stable and unique.")
    label = one(graphene.String, "What to call it in a picture.")
    distance = one(graphene.Int, "How many edges from the root.")
    entity = one(Entity, "What is known of it.")
    answers = maybe(
        Long, "How many interactions a model version answered; counted by `impact` only."
    )
    training_unknown_before = maybe(
        DateTime,
        "A model version's training was not recorded before this moment; null where it is known.",
    )


class LineageEdge(graphene.ObjectType):
    """A cause and its effect."""

    cause = one(graphene.String, "Key of the upstream end.")
    effect = one(graphene.String, "Key of the downstream end.")
    kind = one(EdgeKind, "What the cause is to the effect.")
    evidence = one(EvidenceLevel, "How the edge is known.")
    run = maybe(graphene.String, "Key of the run that the edge belongs to, where that is shown.")
    rows = maybe(Long, "How many rows of the effect came this way, where they were counted.")
    share = maybe(graphene.Float, "The same as a share of the effect's rows: the loop share.")


class LineageGraph(graphene.ObjectType):
    """What a bounded walk found."""

    root = one(graphene.String, "Key of the node that the walk started from.")
    direction = one(Direction, "To the causes, or to the effects.")
    nodes = many(LineageNode, "What it reached, nearest first.")
    edges = many(LineageEdge, "Every edge between these nodes.")
    truncated = one(graphene.Boolean, "A bound stopped the walk: there is more.")
    frontier = many(graphene.String, "Keys of the nodes behind which the walk did not look.")
    known_since = maybe(DateTime, "When recording began: what lies before is unknown, not absent.")

    @staticmethod
    def resolve_root(root: Trace, _info: Info) -> str:
        """The root's key."""
        return root.root.key

    @staticmethod
    def resolve_nodes(root: Trace, _info: Info) -> list[PlacedNode]:
        """Nodes with their records."""
        return [_placed(node, root) for node in root.graph.nodes]

    @staticmethod
    def resolve_edges(root: Trace, _info: Info) -> list[NamedEdge]:
        """Edges by key."""
        keys = _keys(root)
        return [_named(edge, keys) for edge in root.graph.edges]

    @staticmethod
    def resolve_truncated(root: Trace, _info: Info) -> bool:
        """Whether a bound was met."""
        return root.graph.truncated

    @staticmethod
    def resolve_frontier(root: Trace, _info: Info) -> list[str]:
        """The frontier by key."""
        keys = _keys(root)
        return [keys[number] for number in root.graph.frontier]


def _keys(trace: Trace) -> Mapping[int, str]:
    return {node.id: node.key for node in trace.graph.nodes}


def _placed(node: graph.Node, trace: Trace) -> PlacedNode:
    return PlacedNode(
        kind=node.kind,
        key=node.key,
        label=node.label,
        distance=node.distance,
        entity=trace.details.get(node.id, node),
        answers=trace.answers.get(node.id),
        training_unknown_before=trace.training_unknown_before(node.id),
    )


def _named(edge: graph.Edge, keys: Mapping[int, str]) -> NamedEdge:
    return NamedEdge(
        cause=keys[edge.src],
        effect=keys[edge.dst],
        kind=edge.kind,
        evidence=edge.evidence,
        run=None if edge.run is None else keys.get(edge.run),
        rows=edge.rows,
        share=edge.share,
    )
