"""Snapshots: a slice at one version that somebody used, pinned or named, with its manifest digest.

Rows stay out of the API until it knows who is asking; digests, counts and uses are here.
"""

from collections.abc import Awaitable
from typing import Any

import graphene

from backstory.api.context import Info
from backstory.api.schema.entity import Entity, Node
from backstory.api.schema.fields import READ, SLICE, enum, many, maybe, one
from backstory.api.schema.scalars import DateTime, Digest, Long
from backstory.lake.pinned import Strength
from backstory.lineage.store.slices import SnapshotRecord

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
    until = maybe(DateTime, "When it ends by itself; null where it does not.")
    at = one(DateTime, "Since when.")


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
