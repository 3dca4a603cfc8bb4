"""What waits to be sent to others."""

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

from backstory.lineage.store.column_types import Instant, Key
from backstory.lineage.store.tables.columns import metadata

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
