"""Contracts of slices: their versions, columns and signals."""

from datetime import datetime, timedelta

import graphene

from backstory.api.context import Info
from backstory.api.schema.fields import many, maybe, one, seconds
from backstory.api.schema.scalars import DateTime, Digest, Long
from backstory.lake.columns import Column, PersonalData
from backstory.lake.signals import Signal as SignalSaid
from backstory.lake.signals import SignalLife
from backstory.lake.types import type_text
from backstory.lineage.contracting import ContractVersion as Version


class ContractColumn(graphene.ObjectType):
    """One column that a contract promises."""

    name = one(graphene.String, "Its name.")
    type = one(graphene.String, "Its type, such as int64 or list<string>.")
    nullable = one(graphene.Boolean, "Whether a value may be missing.")
    role = maybe(graphene.String, "What it is: event_id, event_time, subject …")
    personal = maybe(graphene.String, "How near its values are to a person; null for not at all.")
    description = one(graphene.String, "For people.")

    @staticmethod
    def resolve_type(root: Column, _info: Info) -> str:
        """Its type as text."""
        return type_text(root.type)

    @staticmethod
    def resolve_personal(root: Column, _info: Info) -> str | None:
        """Its tag."""
        return None if root.personal is PersonalData.NONE else root.personal.value


class ContractChange(graphene.ObjectType):
    """What became different with a version of a contract."""

    where = one(graphene.String, "The part of the contract, such as `column label`.")
    what = one(graphene.String, "What it was and what it became.")


class Signal(graphene.ObjectType):
    """A reason that a user can give."""

    name = one(graphene.String, "The word that events use.")
    meaning = one(graphene.String, "What somebody says by it.")
    since = maybe(DateTime, "Since when it can be given; null where nobody knows.")
    since_given = one(graphene.Boolean, "Whether the contract says so, rather than its history.")
    until = maybe(DateTime, "From when on it can be given no longer.")
    contract_version = one(graphene.Int, "The contract that first named it.", source="known_from")

    @staticmethod
    def resolve_name(root: SignalLife, _info: Info) -> str:
        """Its word."""
        return root.signal.name

    @staticmethod
    def resolve_meaning(root: SignalLife, _info: Info) -> str:
        """Its meaning."""
        return root.signal.meaning

    @staticmethod
    def resolve_since(root: SignalLife, _info: Info) -> datetime | None:
        """Its begin."""
        return root.signal.since

    @staticmethod
    def resolve_until(root: SignalLife, _info: Info) -> datetime | None:
        """Its end."""
        return root.signal.until


class ContractVersion(graphene.ObjectType):
    """One version of the contract of a slice."""

    version = one(graphene.Int, "Counted from 1.")
    digest = one(Digest, "The digest of its canonical text.")
    begins = maybe(Long, "The first version of the slice under it; null for tables of others.")
    at = one(DateTime, "Since when it holds.")
    recorded_at = one(DateTime, "When it was registered here.")
    late_seconds = maybe(
        graphene.Float, "How long after it began that was; null where it was recorded in time."
    )
    purpose = one(graphene.String, "Why the feedback is kept.")
    retention_days = maybe(graphene.Int, "After how many days a row may go; null keeps it.")
    description = one(graphene.String, "For people.")
    columns = many(ContractColumn, "What its rows hold.")
    signals = many(graphene.String, "The words that its events may use.")
    changes = many(ContractChange, "What became different with it.")

    @staticmethod
    def resolve_version(root: Version, _info: Info) -> int:
        """Its number."""
        return root.contract.version

    @staticmethod
    def resolve_late_seconds(root: Version, _info: Info) -> float | None:
        """How late it was registered."""
        late: timedelta | None = root.late
        return seconds(late)

    @staticmethod
    def resolve_purpose(root: Version, _info: Info) -> str:
        """Its purpose."""
        return root.contract.purpose

    @staticmethod
    def resolve_retention_days(root: Version, _info: Info) -> int | None:
        """Its retention."""
        return root.contract.retention_days

    @staticmethod
    def resolve_description(root: Version, _info: Info) -> str:
        """Its description."""
        return root.contract.description

    @staticmethod
    def resolve_columns(root: Version, _info: Info) -> tuple[Column, ...]:
        """Its columns."""
        return root.contract.columns

    @staticmethod
    def resolve_signals(root: Version, _info: Info) -> list[str]:
        """Its signals by name."""
        said: tuple[SignalSaid, ...] = root.contract.signals
        return [signal.name for signal in said]
