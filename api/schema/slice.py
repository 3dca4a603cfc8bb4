"""Feedback slices, their commits and contracts: names, counts, who sent them; never their rows."""

from collections.abc import Awaitable
from datetime import datetime

import graphene

from backstory.api.context import Info
from backstory.api.schema.contract import ContractVersion, Signal
from backstory.api.schema.entity import Entity, Node
from backstory.api.schema.fields import SNAPSHOT, argument, many, maybe, one, seconds
from backstory.api.schema.paging import (
    Keyset,
    Page,
    check_first,
    connection,
    page_arguments,
)
from backstory.api.schema.profile import Profile
from backstory.api.schema.scalars import DateTime, Digest, Long
from backstory.lake.signals import SignalLife
from backstory.lineage import contracting, inspecting, matching, profiling, quarantining
from backstory.lineage.lateness import lateness
from backstory.lineage.resolving import SliceAt
from backstory.lineage.store.quarantines import QuarantineRecord
from backstory.lineage.store.slices import CommitRecord, SliceRecord


class Commit(graphene.ObjectType):
    """One version of a slice with what is known of it."""

    version = one(Long, "The Delta version.")
    at = one(DateTime, "When it was committed.")
    operation = one(graphene.String, "What Delta calls it: WRITE, DELETE …")
    source = maybe(graphene.String, "Who sent the rows.")
    offset = maybe(Long, "The batch's end position in its source.")
    rows = maybe(Long, "How many rows it added; null where the log does not say.")
    contract_version = maybe(graphene.Int, "The contract that the rows met.")
    actor = maybe(graphene.String, "Who committed it.")
    log_digest = one(Digest, "The digest of the log entry's bytes.")
    recorded_at = one(DateTime, "When it was registered here.")
    late_seconds = maybe(
        graphene.Float, "How long after it was made that was; null where it was recorded in time."
    )

    @staticmethod
    async def resolve_recorded_at(root: CommitRecord, info: Info) -> datetime | None:
        """When it was registered."""
        return root.recorded_at or await info.context.loaders.leaf_times.load(root.recorded_seq)

    @staticmethod
    async def resolve_late_seconds(root: CommitRecord, info: Info) -> float | None:
        """How late it was registered."""
        return seconds(lateness(root.at, await Commit.resolve_recorded_at(root, info)))


class CommitUse(graphene.ObjectType):
    """A commit with who read the slice at it."""

    commit = one(Commit, "The commit.")
    snapshot = maybe(SNAPSHOT, "The snapshot, where somebody used, pinned or named this version.")
    runs = many(graphene.String, "Keys of the runs that read this version.")
    pinned = one(graphene.Boolean, "Whether a pin keeps it.")

    @staticmethod
    def resolve_runs(root: inspecting.CommitUse, _info: Info) -> list[str]:
        """The runs by key."""
        return [f"run:{run}" for run in root.runs]

    @staticmethod
    def resolve_pinned(root: inspecting.CommitUse, _info: Info) -> bool:
        """Whether any pin holds."""
        return bool(root.pins)


class RejectionReason(graphene.ObjectType):
    """Why rows do not fit, in the contract's words."""

    reason = one(graphene.String, "The column, or the row, and what was expected of it.")
    rows = one(Long, "How many rows of the batch; one with several faults counts for each.")


class Quarantine(graphene.ObjectType):
    """The rows of one batch that did not fit the contract; never what they hold."""

    version = one(Long, "The commit of the batch.")
    at = one(DateTime, "When that was.")
    source = maybe(graphene.String, "Who sent it.")
    file = maybe(graphene.String, "The file that the rows came in, if they did.")
    rows = one(Long, "How many rows did not fit.")
    waiting = one(Long, "How many of them still wait.")
    replayed = one(Long, "How many landed since.")
    dropped = one(Long, "How many were given up.")
    reasons = many(RejectionReason, "Why, the most frequent reason first.")

    @staticmethod
    def resolve_replayed(root: QuarantineRecord, _info: Info) -> int:
        """How many landed."""
        return len(root.replayed)

    @staticmethod
    def resolve_dropped(root: QuarantineRecord, _info: Info) -> int:
        """How many were given up."""
        return len(root.dropped)

    @staticmethod
    def resolve_reasons(root: QuarantineRecord, _info: Info) -> list[dict[str, object]]:
        """The reasons with their counts."""
        ranked = sorted(root.reasons.items(), key=lambda reason: (-reason[1], reason[0]))
        return [{"reason": reason, "rows": rows} for reason, rows in ranked]


HistoryConnection = connection(CommitUse)
QuarantineConnection = connection(Quarantine)


class Slice(graphene.ObjectType):
    """A named, governed table of feedback, or of the interactions of a model."""

    class Meta:
        interfaces = (Node, Entity)

    name = one(graphene.String, "Its name, in one namespace with models.")
    flavour = one(graphene.String, "managed (ours), linked (somebody else's) or interactions.")
    table_id = one(graphene.String, "Delta's id of the table.")
    last_version = one(Long, "Its newest version; -1 while it has none.")
    rows = one(Long, "Rows that its commits added.")
    last_at = maybe(DateTime, "When it last changed.")
    history = one(HistoryConnection, "Its commits, newest first.", args=page_arguments())
    contracts = many(ContractVersion, "The contracts that it has had, newest first.")
    signals = many(
        Signal,
        "The signals that its users can give.",
        args={"at": argument(DateTime, "Those that could be given then, as they were meant then.")},
    )

    @staticmethod
    async def resolve_contracts(root: SliceRecord, info: Info) -> list[contracting.ContractVersion]:
        """All versions."""
        return list(reversed(await info.context.loaders.contracts.load(root.id)))

    @staticmethod
    async def resolve_signals(
        root: SliceRecord, info: Info, at: datetime | None = None
    ) -> list[SignalLife]:
        """The taxonomy, now or at a time."""
        return contracting.lives(await info.context.loaders.contracts.load(root.id), at)

    quarantine = one(
        QuarantineConnection,
        "Batches with rows that did not fit, newest first.",
        args=page_arguments(),
    )

    @staticmethod
    async def resolve_rows(root: SliceRecord, info: Info) -> int:
        """All that its commits added."""
        return await info.context.loaders.rows_added.load(root.id)

    @staticmethod
    async def resolve_history(
        root: SliceRecord, info: Info, first: int, after: str | None = None
    ) -> Page:
        """A page of commits."""
        as_of = info.context.as_of
        return await history_page(info, root.name, first=first, after=after, as_of=as_of)

    @staticmethod
    async def resolve_quarantine(
        root: SliceRecord, info: Info, first: int, after: str | None = None
    ) -> Page:
        """A page of batches."""
        keyset = Keyset(
            name=f"quarantine of {root.name}",
            key=lambda batch: batch.version,
            secret=info.context.cursor_secret,
        )
        rows = await info.context.call(
            quarantining.page,
            root.id,
            limit=check_first(first) + 1,
            before=keyset.after(after),
            as_of=info.context.as_of,
        )
        return keyset.page(rows, first=first, after=after)


class MatchedRows(graphene.ObjectType):
    """Rows that speak of the answers of one model version."""

    model = one(graphene.String, "The model.")
    version = maybe(Long, "Its number; null where the answer does not say.", source="number")
    rows = one(Long, "How many rows.")


class Matches(graphene.ObjectType):
    """Of whose answers the rows of a slice speak."""

    versions = many(MatchedRows, "Rows by model version.", source="found")
    unmatched = one(Long, "Rows that speak of no answer that is known.")
    not_looked_at = one(Long, "Rows that nobody has matched yet.")


class SliceVersion(graphene.ObjectType):
    """A slice at a version, whether somebody has used that version or not."""

    key = one(graphene.String, "The ref of exactly this version, such as thumbs/en@58.")
    slice = one(Slice, "The slice.")
    version = one(Long, "The version.")
    commit = maybe(Commit, "The commit that made it.")
    snapshot = maybe(SNAPSHOT, "The snapshot, where somebody used, pinned or named this version.")
    matches = one(Matches, "Of whose answers its rows speak.")
    contract = maybe(ContractVersion, "The contract that holds at this version.")
    profile = one(Profile, "What its rows look like.")

    @staticmethod
    async def resolve_contract(root: SliceAt, info: Info) -> contracting.ContractVersion | None:
        """The contract of then."""
        known = await info.context.loaders.contracts.load(root.slice.id)
        return contracting.in_force(known, root.version)

    @staticmethod
    async def resolve_profile(root: SliceAt, info: Info) -> profiling.SliceProfile:
        """From what was kept with each commit."""
        as_of = info.context.as_of
        return await info.context.call(profiling.profile, root.ref, as_of=as_of)

    @staticmethod
    def resolve_key(root: SliceAt, _info: Info) -> str:
        """The exact ref."""
        return root.ref

    @staticmethod
    def resolve_matches(root: SliceAt, info: Info) -> Awaitable[matching.Matches]:
        """What was matched so far; nothing is looked at for the question."""
        return info.context.call(matching.matches, root.ref, as_of=info.context.as_of)


async def history_page(
    info: Info, ref: str, *, first: int, after: str | None, as_of: datetime | None
) -> Page:
    """Commits up to a ref's version, newest first."""
    keyset = Keyset(
        name=f"history of {ref}",
        key=lambda use: use.commit.version,
        secret=info.context.cursor_secret,
    )
    rows = await info.context.call(
        inspecting.history,
        ref,
        limit=check_first(first) + 1,
        before=keyset.after(after),
        as_of=as_of,
    )
    return keyset.page(rows, first=first, after=after)
