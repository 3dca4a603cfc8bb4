"""Nodes, edges and names: what a walk reads."""

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, String, Table, Text, func

from backstory.lineage.store.column_types import Key
from backstory.lineage.store.tables.columns import ended, metadata, recorded

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
    recorded(),
    ended(),
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
    recorded(),
)
