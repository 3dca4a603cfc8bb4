"""The store's tables. What is recorded is never updated: a new row says what is so from now on.

`recorded_seq` is the audit leaf that a row came with; where a fact can be superseded, `ended_seq`
is the leaf that ended it (the one column that is ever written twice, from NULL to a number).
"As known then" (`asOf`) is `recorded_seq <= n AND (ended_seq IS NULL OR ended_seq > n)`.

Nodes and edges have integer keys: walks over them are several times faster than over UUIDs.
Nothing here knows a query; see `reads` and `writes`.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
)

from backstory.lineage.store.column_types import Instant, Json, Key

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _entity_key() -> Column[int]:
    return Column("id", Key, ForeignKey("entity.id"), primary_key=True, autoincrement=False)


def _recorded() -> Column[int]:
    return Column("recorded_seq", BigInteger, nullable=False)


def _ended() -> Column[int]:
    return Column("ended_seq", BigInteger)


# --- the graph ------------------------------------------------------------------------------------

entity = Table(
    "entity",
    metadata,
    Column("id", Key, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("key", Text, nullable=False, unique=True),
    Column("label", Text, nullable=False),
    Column("created_seq", BigInteger, nullable=False),
    Index(None, "kind", "id"),
)

edge = Table(
    "edge",
    metadata,
    Column("id", Key, primary_key=True),
    Column("src", Key, ForeignKey("entity.id"), nullable=False),  # upstream
    Column("dst", Key, ForeignKey("entity.id"), nullable=False),  # downstream
    Column("kind", String(16), nullable=False),
    Column("run", Key, ForeignKey("entity.id")),
    Column("evidence", String(16), nullable=False),
    Column("rows", BigInteger),
    Column("share", Float),
    _recorded(),
    _ended(),
    Index(None, "src", "dst"),
    Index(None, "dst", "src"),
)
# NULLs are distinct in a plain unique index; an edge outside any run must be unique too.
Index(
    "uq_edge",
    edge.c.src,
    edge.c.dst,
    edge.c.kind,
    func.coalesce(edge.c.run, 0),
    unique=True,
    sqlite_where=edge.c.ended_seq.is_(None),
    postgresql_where=edge.c.ended_seq.is_(None),
)

# Slices and models share one namespace: this key is what keeps it so.
name = Table(
    "name",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("entity", Key, ForeignKey("entity.id"), nullable=False, unique=True),
    _recorded(),
)

# --- slices ---------------------------------------------------------------------------------------

slice_ = Table(
    "slice",
    metadata,
    _entity_key(),
    Column("name", String(255), nullable=False, unique=True),
    Column("flavour", String(16), nullable=False),  # managed, linked, interactions
    Column("table_id", String(64), nullable=False),
    Column("uri", Text),  # where a linked table lies; NULL for our own
    _recorded(),
)

contract = Table(
    "contract",
    metadata,
    Column("slice", Key, ForeignKey("slice.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("body", Text, nullable=False),
    _recorded(),
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
    _recorded(),
    PrimaryKeyConstraint("slice", "version"),
    Index(None, "slice", "at"),
    Index(None, "slice", "source", "offset"),
    Index(None, "slice", "batch"),
)

snapshot = Table(
    "snapshot",
    metadata,
    _entity_key(),
    Column("slice", Key, ForeignKey("slice.id"), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False, index=True),
    Column("rows", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("files", Integer, nullable=False),
    _recorded(),
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
    _recorded(),
    _ended(),
)

# --- runs -----------------------------------------------------------------------------------------

run = Table(
    "run",
    metadata,
    _entity_key(),
    Column("run_id", Text, nullable=False, unique=True),
    Column("namespace", Text, nullable=False),
    Column("job", Text, nullable=False),
    Column("model", String(255), index=True),
    Column("trigger", Json),
    _recorded(),
)

run_state = Table(
    "run_state",
    metadata,
    Column("id", Key, primary_key=True),
    Column("run", Key, ForeignKey("run.id"), nullable=False, index=True),
    Column("state", String(16), nullable=False),
    Column("at", Instant, nullable=False),
    Column("message", Text),
    _recorded(),
)

run_facet = Table(
    "run_facet",
    metadata,
    Column("id", Key, primary_key=True),
    Column("run", Key, ForeignKey("run.id"), nullable=False),
    Column("key", Text, nullable=False),
    Column("body", Json, nullable=False),
    _recorded(),
    _ended(),
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
    _recorded(),
    _ended(),
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
    _recorded(),
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
    _recorded(),
    _ended(),
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
    _recorded(),
)

# --- model versions -------------------------------------------------------------------------------

artifact = Table(
    "artifact",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("kind", String(8), nullable=False),  # file, tree
    Column("name", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("files", Integer, nullable=False),
    _recorded(),
)

model_version = Table(
    "model_version",
    metadata,
    _entity_key(),
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
    _recorded(),
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
    _recorded(),
    _ended(),
)

component = Table(
    "component",
    metadata,
    _entity_key(),
    Column("kind", String(32), nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("digest", String(64)),
    _recorded(),
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
    _recorded(),
    _ended(),
    Index(None, "model", "alias"),
)

# --- serving --------------------------------------------------------------------------------------

deployment = Table(
    "deployment",
    metadata,
    _entity_key(),
    Column("environment", String(255), nullable=False),
    Column("number", Integer, nullable=False),
    Column("model_version", Key, ForeignKey("model_version.id"), nullable=False, index=True),
    Column("mode", String(16), nullable=False),
    _recorded(),
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
    _recorded(),
    _ended(),
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
    _recorded(),
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
    _recorded(),
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
    _recorded(),
    _ended(),
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
    _recorded(),
)

# --- to others ------------------------------------------------------------------------------------

# Events that wait to be sent, for each receiver in the order in which they were recorded. What was
# sent is deleted: it records nothing, and no leaf names it.
outbox = Table(
    "outbox",
    metadata,
    Column("receiver", String(64), nullable=False),
    Column("event", Key, ForeignKey("openlineage_event.id"), nullable=False),
    Column("at", Instant, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Instant, nullable=False),
    Column("refused", Boolean, nullable=False),  # the receiver will never take it
    Column("error", Text),
    PrimaryKeyConstraint("receiver", "event"),
)

# --- the audit log --------------------------------------------------------------------------------

audit_leaf = Table(
    "audit_leaf",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False, index=True),
    Column("action", String(64), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("leaf_hash", LargeBinary, nullable=False),
)

audit_node = Table(
    "audit_node",
    metadata,
    Column("level", Integer, nullable=False),
    Column("idx", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    PrimaryKeyConstraint("level", "idx"),
)
