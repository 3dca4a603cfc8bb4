"""Model versions with their artifacts, components and aliases."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from backstory.lineage.store.column_types import Instant, Json, Key
from backstory.lineage.store.tables.columns import ended, entity_key, metadata, recorded

artifact = Table(
    "artifact",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("kind", String(8), nullable=False),  # file, tree
    Column("name", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("files", Integer, nullable=False),
    recorded(),
)

model_version = Table(
    "model_version",
    metadata,
    entity_key(),
    Column("model", String(255), nullable=False),
    Column("number", Integer, nullable=False),
    Column("run", Key, ForeignKey("run.id"), index=True),
    # NULL where we lack its bytes
    Column("artifact", String(64), ForeignKey("artifact.digest"), index=True),
    Column("replay", Json),
    Column("at", Instant, nullable=False),
    Column("artifact_uri", Text),  # where a declared artifact lies
    Column("declared_digest", String(64), index=True),  # of bytes that we lack, as somebody said
    Column("training", Json),  # what was said of a training that was no run of ours
    Column("evidence", String(16)),  # NULL: observed
    recorded(),
    UniqueConstraint("model", "number"),
)

# What somebody says of a version's bytes in place of what its row says, once that was amended.
declaration = Table(
    "declaration",
    metadata,
    Column("id", Key, primary_key=True),
    Column("model_version", Key, ForeignKey("model_version.id"), nullable=False, index=True),
    Column("artifact_uri", Text),
    Column("declared_digest", String(64), index=True),
    recorded(),
    ended(),
)

component = Table(
    "component",
    metadata,
    entity_key(),
    Column("kind", String(32), nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("digest", String(64)),
    recorded(),
    UniqueConstraint("kind", "name", "version"),
)

alias = Table(
    "alias",
    metadata,
    Column("id", Key, primary_key=True),
    Column("model", String(255), nullable=False),
    Column("alias", String(64), nullable=False),
    Column("model_version", Key, ForeignKey("model_version.id"), nullable=False),
    Column("from_at", Instant, nullable=False),
    Column("until_at", Instant),
    recorded(),
    ended(),
    Index(None, "model", "alias"),
)
