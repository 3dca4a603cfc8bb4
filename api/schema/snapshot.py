"""Snapshots: a slice at one version that somebody used, pinned or named, with its manifest digest.

Rows stay out of the API until it knows who is asking; digests, counts and uses are here.
"""

from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import Any

import graphene

from backstory.api.context import Info
from backstory.api.schema.entity import Entity, Node
from backstory.api.schema.fields import READ, SLICE, SNAPSHOT, enum, many, maybe, one
from backstory.api.schema.paging import connection
from backstory.api.schema.profile import Profile
from backstory.api.schema.scalars import DateTime, Digest, Long
from backstory.lake.pinned import Strength
from backstory.lineage import profiling
from backstory.lineage.store.slices import PinRecord, SnapshotRecord

PinStrength = enum(
    Strength,
    name="PinStrength",
    values={
        Strength.HELD: "Our own garbage collection respects it.",
        Strength.COPIED: "Its files are copied into our lake.",
        Strength.WATCHED: "Somebody else's table: a loss is noticed, not prevented.",
    },
)


class Pin(graphene.ObjectType):
    """A snapshot kept on purpose."""

    pin_id = one(graphene.ID, "What releases it.")
    holder = one(graphene.String, "Who holds it.")
    reason = one(graphene.String, "Why.")
    strength = one(PinStrength, "What it can promise.")
    until = maybe(DateTime, "When its time is over; null where nothing ends it yet.")
    at = one(DateTime, "Since when.")
    retention = maybe(graphene.String, "The class that decides its end; null where none does.")
    class_given = one(graphene.Boolean, "Whether somebody gave that class, or the settings do.")
    in_use = many(
        graphene.String, "Deployments, aliases and runs that it must not end before, by ref."
    )
    snapshot = one(SNAPSHOT, "What it keeps.")
    bytes = maybe(Long, "Bytes of all files that it keeps now; null where it has ended since.")
    bytes_alone = maybe(Long, "Bytes that would be free if it ended: nothing else keeps them.")

    @staticmethod
    async def resolve_until(root: PinRecord, info: Info) -> datetime | None:
        """By its circumstances."""
        return (await info.context.loaders.lives.load(root)).until

    @staticmethod
    async def resolve_retention(root: PinRecord, info: Info) -> str | None:
        """By its circumstances."""
        return (await info.context.loaders.lives.load(root)).retention

    @staticmethod
    async def resolve_class_given(root: PinRecord, info: Info) -> bool:
        """By its circumstances."""
        return (await info.context.loaders.lives.load(root)).class_given

    @staticmethod
    async def resolve_in_use(root: PinRecord, info: Info) -> Sequence[str]:
        """By its circumstances."""
        return (await info.context.loaders.lives.load(root)).in_use

    @staticmethod
    def resolve_snapshot(root: PinRecord, info: Info) -> Awaitable[Any]:
        """Its snapshot."""
        return info.context.loaders.snapshots.load(root.snapshot)

    @staticmethod
    async def resolve_bytes(root: PinRecord, info: Info) -> int | None:
        """By its manifest."""
        found = await info.context.loaders.sizes.load(root)
        return found.size if found else None

    @staticmethod
    async def resolve_bytes_alone(root: PinRecord, info: Info) -> int | None:
        """By the manifests of all pins of its table."""
        found = await info.context.loaders.sizes.load(root)
        return found.alone if found else None


PinConnection = connection(Pin)


class Snapshot(graphene.ObjectType):
    """A slice at one version that somebody used, pinned or named."""

    class Meta:
        interfaces = (Node, Entity)

    slice = one(SLICE, "The slice.")
    slice_name = one(graphene.String, "The slice's name.")
    version = one(Long, "The Delta version.")
    manifest_digest = one(
        Digest, "SHA-256 over table, version, schema and every file: its identity.", source="digest"
    )
    rows = one(Long, "Rows in it.")
    bytes = one(Long, "Bytes of its data files.", source="size")
    files = one(Long, "Number of its data files.")
    at = maybe(DateTime, "When its version was committed.")
    pins = many(Pin, "The pins that hold it.")
    read_by = many(READ, "The reads of it, by whichever run.")
    profile = one(Profile, "What its rows look like.")

    @staticmethod
    async def resolve_profile(root: SnapshotRecord, info: Info) -> profiling.SliceProfile:
        """From what was kept with each commit."""
        as_of = info.context.as_of
        return await info.context.call(profiling.profile, root.ref, as_of=as_of)

    @staticmethod
    def resolve_slice(root: SnapshotRecord, info: Info) -> Awaitable[Any]:
        """Its slice."""
        return info.context.loaders.slices.load(root.slice)

    @staticmethod
    def resolve_pins(root: SnapshotRecord, info: Info) -> Awaitable[Any]:
        """Its pins."""
        return info.context.loaders.pins.load(root.id)

    @staticmethod
    def resolve_read_by(root: SnapshotRecord, info: Info) -> Awaitable[Any]:
        """Who read it."""
        return info.context.loaders.readers.load(root.id)
