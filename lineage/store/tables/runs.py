"""Runs, what they read, and the events that told them."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, String, Table, Text

from backstory.lineage.store.column_types import Instant, Json, Key
from backstory.lineage.store.tables.columns import ended, entity_key, metadata, recorded

run = Table(
    "run",
    metadata,
    entity_key(),
    Column("run_id", Text, nullable=False, unique=True),
    Column("namespace", Text, nullable=False),
    Column("job", Text, nullable=False),
    Column("model", String(255), index=True),
    Column("trigger", Json),
    recorded(),
)

run_state = Table(
    "run_state",
    metadata,
    Column("id", Key, primary_key=True),
    Column("run", Key, ForeignKey("run.id"), nullable=False, index=True),
    Column("state", String(16), nullable=False),
    Column("at", Instant, nullable=False),
    Column("message", Text),
    recorded(),
)

run_facet = Table(
    "run_facet",
    metadata,
    Column("id", Key, primary_key=True),
    Column("run", Key, ForeignKey("run.id"), nullable=False),
    Column("key", Text, nullable=False),
    Column("body", Json, nullable=False),
    recorded(),
    ended(),
    Index(None, "run", "key"),
)

run_read = Table(
    "run_read",
    metadata,
    Column("id", Key, primary_key=True),
    Column("run", Key, ForeignKey("run.id"), nullable=False, index=True),
    Column("snapshot", Key, ForeignKey("snapshot.id"), nullable=False, index=True),
    Column("role", String(64), nullable=False),
    Column("columns", Json),
    Column("filter", Text),
    Column("rows", BigInteger),
    recorded(),
    ended(),
)

# Which operating system process runs a run; more than one where it was resumed.
run_process = Table(
    "run_process",
    metadata,
    Column("id", Key, primary_key=True),
    Column("run", Key, ForeignKey("run.id"), nullable=False, index=True),
    Column("host", Text, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("started", Text, nullable=False),  # with host and pid it names one process for ever
    recorded(),
)

# A retention class that somebody gave: to all that a run or a version holds, or to one pin.
retention = Table(
    "retention",
    metadata,
    Column("id", Key, primary_key=True),
    Column("holder", Key, ForeignKey("entity.id"), index=True),
    Column("pin", Key, ForeignKey("pin.id"), index=True),
    Column("name", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    recorded(),
    ended(),
)

openlineage_event = Table(
    "openlineage_event",
    metadata,
    Column("id", Key, primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("run_id", Text, index=True),
    Column("event_type", String(16)),
    Column("event_time", Instant, nullable=False),
    Column("body", Text, nullable=False),
    recorded(),
)
