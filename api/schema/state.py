"""The model state behind one interaction, by reference and digest.

What was asked and answered, and the details of an interaction's own parts, stay out of the API
until it knows who is asking; so does who asked.
"""

from dataclasses import dataclass
from typing import Any

import graphene

from backstory.api.context import Info
from backstory.api.schema.entity import EvidenceLevel
from backstory.api.schema.errors import InteractionNotFound
from backstory.api.schema.fields import LOAD, MODEL_VERSION, enum, many, maybe, one, seconds
from backstory.api.schema.scalars import DateTime, Digest, Long
from backstory.lineage import interaction as interactions
from backstory.lineage import linked_interactions
from backstory.lineage import state as states
from backstory.lineage.entities import Entity, entity
from backstory.lineage.graph import Evidence

StateSection = enum(states.Section, name="StateSection")
PartStatus = enum(
    interactions.PartStatus,
    name="PartStatus",
    values={
        interactions.PartStatus.DECLARED: "Somebody said so, and it is within reach.",
        interactions.PartStatus.EXTERNAL: "It lies outside our reach, such as a hosted model.",
        interactions.PartStatus.VERIFIED: "Its bytes are what was recorded.",
        interactions.PartStatus.MISSING: "It is not there.",
        interactions.PartStatus.ERASED: "It was removed on purpose.",
    },
)
AnsweredBy = enum(interactions.AnsweredBy, name="AnsweredBy")


class Interaction(graphene.ObjectType):
    """One request that a deployed model answered: when and by what, not what was said."""

    key = one(graphene.String, "Its ref: int: and its id.")
    at = one(DateTime, "When it was answered.")
    model = one(graphene.String, "The model that answered.")
    version = maybe(Long, "Number of the version that is said to have answered.")
    environment = maybe(graphene.String, "Where.")
    variant = maybe(graphene.String, "The arm of an experiment.")
    turn = maybe(Long, "Its place in its conversation.")
    answered_by = one(AnsweredBy, "Who gave the answer in the end.")
    latency_ms = maybe(graphene.Float, "How long the answer took, in milliseconds.")
    recorded_at = maybe(DateTime, "When it was recorded.")
    late_seconds = maybe(
        graphene.Float, "How long after the answer that was; null where it was recorded in time."
    )
    ahead_seconds = maybe(
        graphene.Float, "How far its time lies ahead of its record: a clock was wrong; else null."
    )

    @staticmethod
    def resolve_key(root: interactions.Interaction, _info: Info) -> str:
        """The exact ref."""
        return f"int:{root.id}"

    @staticmethod
    def resolve_late_seconds(root: interactions.Interaction, _info: Info) -> float | None:
        """How late it was recorded."""
        return seconds(root.late)

    @staticmethod
    def resolve_ahead_seconds(root: interactions.Interaction, _info: Info) -> float | None:
        """How wrong its clock was."""
        return seconds(root.ahead)


class Near(graphene.InputObjectType):
    """Where and when an interaction was answered, where its id is not known."""

    model = graphene.NonNull(graphene.String, description="The model that answered.")
    environment = graphene.NonNull(graphene.String, description="Where.")
    at = graphene.NonNull(
        DateTime, description="When: of two as near, before and after, the earlier is told."
    )


class Linked(graphene.ObjectType):
    """The table of others that an interaction was read from."""

    slice = one(graphene.String, "The linked slice, at the version that was read.", source="ref")
    evidence = one(EvidenceLevel, "How its rows are known.")
    unmapped = many(graphene.String, "What of an interaction the table does not say.")

    @staticmethod
    def resolve_evidence(root: linked_interactions.Linked, _info: Info) -> Evidence:
        """As the link says."""
        return Evidence(root.link.evidence)

    @staticmethod
    def resolve_unmapped(root: linked_interactions.Linked, _info: Info) -> tuple[str, ...]:
        """As the link says."""
        return root.mapping.unmapped


class StatePart(graphene.ObjectType):
    """One thing that determined the answer."""

    section = one(StateSection, "Which side of the state it belongs to.")
    kind = one(graphene.String, "What it is within its section: prompt, chunk, snapshot, git …")
    ref = one(graphene.String, "What it is called.")
    digest = maybe(Digest, "SHA-256 of its bytes, or a snapshot's manifest digest.")
    detail = maybe(
        graphene.String, "What else determined the answer; null for the interaction's own parts."
    )
    status = one(PartStatus, "How sure it is.")
    problem = maybe(graphene.String, "Why it is missing, or what was found instead.")
    recorded_at = maybe(DateTime, "When it was recorded; null for what has no time of its own.")
    late_seconds = maybe(
        graphene.Float, "How long after it was so that was; null where it was recorded in time."
    )

    @staticmethod
    def resolve_detail(root: states.StatePart, _info: Info) -> str | None:
        """The details that hold no part of what was said."""
        return None if root.section is states.Section.PART else root.detail or None

    @staticmethod
    def resolve_problem(root: states.StatePart, _info: Info) -> str | None:
        """Nothing is null, not an empty text."""
        return root.problem or None

    @staticmethod
    def resolve_late_seconds(root: states.StatePart, _info: Info) -> float | None:
        """How late it was recorded."""
        return seconds(root.late)


class ModelState(graphene.ObjectType):
    """Everything that determined one interaction's answer."""

    digest = one(Digest, "SHA-256 of the canonical text: equal states have equal digests.")
    interaction = one(Interaction, "The interaction.")
    model_version = maybe(MODEL_VERSION, "What answered; null where nobody recorded it.")
    parts = many(StatePart, "Every part, by section.")
    missing = many(StatePart, "The parts that are not there any more, or never were recorded.")
    loads = many(LOAD, "What the hosts of its environment had loaded last: observed.")
    disagreements = many(
        graphene.String, "Where what was declared and what was observed differ, in words."
    )
    linked = maybe(Linked, "The table of others that it was read from; null for one of ours.")
    remarks = many(
        graphene.String,
        "What became of the version's run where it did not go well, and what of its training "
        "nobody saw, in words.",
    )

    @staticmethod
    async def resolve_model_version(root: states.ModelState, info: Info) -> Entity | None:
        """The version's record."""
        if root.version is None:
            return None
        return await info.context.find(entity, root.version, as_of=info.context.as_of)


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """Why there is no state."""

    message: str
    hint: str | None


class StateResult(graphene.Union):
    """The state, or why there is none."""

    class Meta:
        types = (ModelState, InteractionNotFound)

    @classmethod
    def resolve_type(cls, instance: Any, _info: Info) -> Any:
        """By what was found."""
        return ModelState if isinstance(instance, states.ModelState) else InteractionNotFound
