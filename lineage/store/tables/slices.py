"""Slices with their contracts, commits, snapshots and pins."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from backstory.lineage.store.column_types import Instant, Json, Key
from backstory.lineage.store.tables.columns import ended, entity_key, metadata, recorded

slice_ = Table(
    "slice",
    metadata,
    entity_key(),
    Column("name", String(255), nullable=False, unique=True),
    Column("flavour", String(16), nullable=False),  # managed, linked, interactions
    Column("table_id", String(64), nullable=False),
    Column("uri", Text),  # where a linked table lies; NULL for our own
    recorded(),
)

contract = Table(
    "contract",
    metadata,
    Column("slice", Key, ForeignKey("slice.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("body", Text, nullable=False),
    recorded(),
    PrimaryKeyConstraint("slice", "version"),
)

commit = Table(
    "commit",
    metadata,
    Column("slice", Key, ForeignKey("slice.id"), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("at", Instant, nullable=False),
    Column("operation", String(64), nullable=False),
    Column("source", Text),
    Column("offset", BigInteger),
    Column("batch", String(64)),
    Column("rows", BigInteger),
    Column("contract_version", Integer),
    Column("actor", Text),
    Column("log_digest", String(64), nullable=False),
    recorded(),
    PrimaryKeyConstraint("slice", "version"),
    Index(None, "slice", "at"),
    Index(None, "slice", "source", "offset"),
    Index(None, "slice", "batch"),
)

# Which data files a table of ours had from when to when, also where its log was trimmed.
file_change = Table(
    "file_change",
    metadata,
    Column("slice", Key, ForeignKey("slice.id"), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("path", Text, nullable=False),
    Column("change", String(16), nullable=False),  # added, removed
    Column("rows", BigInteger),
    recorded(),
    PrimaryKeyConstraint("slice", "version", "path"),
    Index(None, "slice", "path"),
)

snapshot = Table(
    "snapshot",
    metadata,
    entity_key(),
    Column("slice", Key, ForeignKey("slice.id"), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False, index=True),
    Column("rows", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("files", Integer, nullable=False),
    recorded(),
    UniqueConstraint("slice", "version"),
)

pin = Table(
    "pin",
    metadata,
    Column("id", Key, primary_key=True),
    Column("pin_id", String(36), nullable=False, unique=True),
    Column("snapshot", Key, ForeignKey("snapshot.id"), nullable=False, index=True),
    Column("holder", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("strength", String(16), nullable=False),
    Column("until", Instant),
    Column("at", Instant, nullable=False),
    recorded(),
    ended(),
)

# Of which versions' answers the rows of a commit speak; without a model, how many speak of none.
feedback_match = Table(
    "feedback_match",
    metadata,
    Column("id", Key, primary_key=True),
    Column("slice", Key, ForeignKey("slice.id"), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("model", String(255)),
    Column("number", Integer),
    Column("rows", BigInteger, nullable=False),
    recorded(),
    ended(),
    Index(None, "slice", "version"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Key, primary_key=True),
    Column("slice", Key, ForeignKey("slice.id"), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("path", Text, nullable=False),  # in the table's folder
    Column("file", Text),  # that the rows came in; NULL where they came in none
    Column("rows", BigInteger, nullable=False),
    Column("reasons", Json, nullable=False),  # how many rows for each
    recorded(),
    UniqueConstraint("slice", "version"),
)

quarantine_end = Table(
    "quarantine_end",
    metadata,
    Column("id", Key, primary_key=True),
    Column("quarantine", Key, ForeignKey("quarantine.id"), nullable=False, index=True),
    Column("rows", Text, nullable=False),  # their numbers, as in 1-5,9
    Column("outcome", String(16), nullable=False),  # replayed, dropped
    Column("version", BigInteger),  # the commit that they landed in
    recorded(),
)

feedback_request = Table(
    "feedback_request",
    metadata,
    Column("slice", Key, ForeignKey("slice.id"), nullable=False),
    Column("key", String(64), nullable=False),  # digest of the client's key
    Column("version", BigInteger, nullable=False),
    Column("body", String(64), nullable=False),  # digest of its rows
    Column("start", BigInteger, nullable=False),  # rows that the commit was given before them
    Column("rows", BigInteger, nullable=False),
    Column("rejected", BigInteger, nullable=False),  # of them
    Column("duplicate", BigInteger, nullable=False),  # of them
    recorded(),
    PrimaryKeyConstraint("slice", "key"),
)
