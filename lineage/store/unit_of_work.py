"""The one way to change the store: a transaction that carries its own audit leaf.

Every unit takes the writers' lock first, so that leaves are numbered without gaps and an unlogged
change cannot be committed. A unit that wrote and noted nothing leaves no trace. An exception undoes
everything, the leaf included.

    with store.unit(actor, "pin.create", "thumbs/en@58", reason="audit 2026") as unit:
        insert(unit, tables.pin, ...)
        unit.note(digest=digest)
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.engine import Connection, Engine

from backstory.lake.crash import crashpoint
from backstory.lake.errors import InvalidError, NotFoundError, RefusedError
from backstory.lineage.audit.leaf import Actor, Leaf, RowsDigest
from backstory.lineage.store import audit_log
from backstory.lineage.store.engine import WRITES, is_sqlite, lock_writers, translated
from backstory.lineage.store.horizon import bound_to
from backstory.lineage.times import EPOCH, MAX_CLOCK_SKEW, in_utc, time_text


@dataclass(slots=True, kw_only=True)
class Unit:
    """A change under way.

    Attributes:
        connection: the transaction; write through `writes` only.
        seq: the number of this unit's leaf.
        at: the leaf's time, never before the previous leaf's.
    """

    connection: Connection
    seq: int
    at: datetime
    _facts: dict[str, Any] = field(default_factory=dict)
    _rows: dict[str, list[bytes]] = field(default_factory=dict)

    def note(self, **facts: Any) -> None:
        """Add facts to the leaf: digests, counts, before and after; never personal data."""
        self._facts.update(facts)

    def wrote(self, table: str, row: bytes) -> None:
        """Take the hash of a row that was written or ended into the leaf."""
        self._rows.setdefault(table, []).append(row)

    @property
    def changed(self) -> bool:
        """Whether there is anything to log."""
        return bool(self._facts or self._rows)

    def leaf(self, actor: Actor, action: str, resource: str, **more: Any) -> Leaf:
        """The unit's leaf."""
        return Leaf(
            seq=self.seq,
            at=self.at,
            actor=actor,
            action=action,
            resource=resource,
            facts=self._facts,
            rows={table: RowsDigest.of(hashes) for table, hashes in self._rows.items()},
            **more,
        )


class Store:
    """A home's database.

    Args:
        engine: from `connect`.
        clock: tells the time, aware and in UTC.

    Attributes:
        changed: whether a unit of work was committed here.
    """

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self.engine = engine
        self.changed = False
        # SQLite's readers see one state anyway; PostgreSQL's have to ask for it.
        self._readers = engine if is_sqlite(engine) else engine.execution_options(**_ONE_STATE)
        self._clock = clock
        self._open = threading.local()
        self._first_time: datetime | None = None

    def close(self) -> None:
        """Give the database's connections back."""
        self.engine.dispose()

    @contextmanager
    def reader(self, as_of: datetime | None = None) -> Iterator[Connection]:
        """A transaction that sees one state of the store and never waits for a writer.

        Args:
            as_of: what was known then is seen; what is known now where nothing is said.

        Raises:
            InvalidError: the time is naive, or not over yet.
            NotFoundError: nothing was recorded by then.
        """
        # Committed: a rollback makes psycopg forget what the server has prepared (twice as slow).
        with translated(self.engine), self._readers.connect() as connection, connection.begin():
            yield connection if as_of is None else self._as_known(connection, in_utc(as_of))

    def _as_known(self, connection: Connection, at: datetime) -> Connection:
        if at > self._clock() + MAX_CLOCK_SKEW and at > self._last_time(connection):
            raise InvalidError(
                f"{time_text(at)} is in the future: nobody knows yet what will be known then",
                hint="leave the time out for what is known now",
            )
        seq = audit_log.last_until(connection, at)
        if seq is None:
            first = self.first_time(connection)
            began = f"recording began at {time_text(first)}" if first else "nothing is recorded yet"
            raise NotFoundError(f"nothing was known at {time_text(at)}", hint=began)
        return bound_to(connection, seq)

    def _last_time(self, connection: Connection) -> datetime:
        """The last leaf's time, which may be ahead of a clock that was put right."""
        _, last = audit_log.head(connection)
        return last or EPOCH

    def first_time(self, connection: Connection) -> datetime | None:
        """When recording began; read until there is a first entry, which never changes."""
        self._first_time = self._first_time or audit_log.first_time(connection)
        return self._first_time

    @contextmanager
    def unit(
        self,
        actor: Actor,
        action: str,
        resource: str,
        *,
        reason: str = "",
        request_id: str | None = None,
    ) -> Iterator[Unit]:
        """Change the store in one transaction, with its audit leaf.

        Args:
            actor: who does it.
            action: noun and verb, `model.register`.
            resource: the ref of what is changed.
            reason: why, in the actor's words.
            request_id: ties the leaf to a request.

        Raises:
            RefusedError: this thread has a unit open already.
            UnavailableError: another writer held the lock too long, or the disk is full.
        """
        with (
            self._alone(action),
            translated(self.engine),
            self.engine.connect().execution_options(**{WRITES: True}) as connection,
            connection.begin() as transaction,
        ):
            lock_writers(connection)
            seq, previous = audit_log.head(connection)
            now = self._clock()
            unit = Unit(connection=connection, seq=seq, at=max(now, previous or now))
            yield unit
            if not unit.changed:
                transaction.rollback()
                return
            leaf = unit.leaf(actor, action, resource, reason=reason, request_id=request_id)
            audit_log.append(connection, leaf)
            crashpoint("unit.before_commit")
            transaction.commit()
            self.changed = True
            crashpoint("unit.after_commit")

    @contextmanager
    def operating(self) -> Iterator[Connection]:
        """A transaction on what no leaf vouches for: the outbox.

        Raises:
            UnavailableError: another writer held the lock too long, or the disk is full.
        """
        writing = self.engine.connect().execution_options(**{WRITES: True})
        with translated(self.engine), writing as connection, connection.begin():
            yield connection

    @contextmanager
    def _alone(self, action: str) -> Iterator[None]:
        # A second unit in the same thread would wait for the first one for ever.
        if getattr(self._open, "action", None) is not None:
            raise RefusedError(f"{action}: {self._open.action} is not finished in this thread")
        self._open.action = action
        try:
            yield
        finally:
            self._open.action = None


_ONE_STATE = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
