"""Deployments, loads, interactions, and what superseded a record."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
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

deployment = Table(
    "deployment",
    metadata,
    entity_key(),
    Column("environment", String(255), nullable=False),
    Column("number", Integer, nullable=False),
    Column("model_version", Key, ForeignKey("model_version.id"), nullable=False, index=True),
    Column("mode", String(16), nullable=False),
    recorded(),
    UniqueConstraint("environment", "number"),
)

deployment_interval = Table(
    "deployment_interval",
    metadata,
    Column("id", Key, primary_key=True),
    Column("deployment", Key, ForeignKey("deployment.id"), nullable=False, index=True),
    Column("share", Float, nullable=False),
    Column("from_at", Instant, nullable=False),
    Column("until_at", Instant),
    recorded(),
    ended(),
    CheckConstraint("share >= 0 AND share <= 1", name="share"),
    CheckConstraint("until_at IS NULL OR until_at >= from_at", name="interval"),
)

# What a process really loaded, whatever was declared.
load = Table(
    "load",
    metadata,
    Column("id", Key, primary_key=True),
    Column("model_version", Key, ForeignKey("model_version.id"), nullable=False, index=True),
    Column("asked", Text, nullable=False),  # the ref, or the path whose digest was known
    Column("environment", String(255)),
    Column("host", Text, nullable=False),
    Column("process", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("at", Instant, nullable=False),
    recorded(),
    Index(None, "environment", "at"),
)

# Which data file of an interaction table may hold an id: a lookup opens one file, not all.
interaction_file = Table(
    "interaction_file",
    metadata,
    Column("slice", Key, ForeignKey("slice.id"), nullable=False),
    Column("path", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("min_id", String(36), nullable=False),
    Column("max_id", String(36), nullable=False),
    Column("rows", BigInteger, nullable=False),
    recorded(),
    PrimaryKeyConstraint("slice", "path"),
    Index(None, "min_id", "max_id"),
)

# Whose answers a table of others holds, and which of its columns says what.
interaction_link = Table(
    "interaction_link",
    metadata,
    Column("id", Key, primary_key=True),
    Column("slice", Key, ForeignKey("slice.id"), nullable=False),
    Column("model", String(255), nullable=False, index=True),
    Column("mapping", Json, nullable=False),
    Column("evidence", String(16), nullable=False),
    recorded(),
    ended(),
)

# A record that superseded another; both stay. Which rows: by `fact`, the name of their table.
amendment = Table(
    "amendment",
    metadata,
    Column("id", Key, primary_key=True),
    Column("entity", Key, ForeignKey("entity.id"), nullable=False, index=True),
    Column("fact", String(32), nullable=False),
    Column("before", Key),
    Column("after", Key),
    Column("reason", Text, nullable=False),
    recorded(),
)
