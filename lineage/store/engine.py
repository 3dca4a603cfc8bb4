"""The store's database: how it is opened, and how its errors become ours.

SQLite and PostgreSQL behave alike behind `connect`: transactions are explicit, a reader never
blocks a writer, and a writer waits its turn for a bounded time. `translated` is the only place
where a database error becomes one of `backstory.lake.errors`; no SQL, parameter or password is in
its message.

>>> engine = connect("sqlite:///lineage.db")
>>> describe(engine)
'lineage.db'
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc as sa_exc
from sqlalchemy.engine import URL, Connection, Engine

from backstory.lake.errors import (
    BackstoryError,
    ConflictError,
    IntegrityError,
    InvalidError,
    NotFoundError,
    NotPermittedError,
    UnavailableError,
)

# How long a writer waits for another writer before it gives up.
DEFAULT_WAIT_SECONDS = 30.0

# Execution option of a connection that is going to write (see `_begin_sqlite`).
WRITES = "backstory_writes"

_POSTGRESQL = {"postgres", "postgresql", "postgresql+psycopg"}


def connect(url: str, *, must_exist: bool = False, wait: float = DEFAULT_WAIT_SECONDS) -> Engine:
    """Describe how to reach a store; nothing is opened yet.

    Args:
        url: `sqlite:///<path>` or `postgresql://<user>@<host>/<database>`.
        must_exist: refuse to make a new SQLite file (PostgreSQL never makes a database).
        wait: seconds that a writer waits for another one.

    Raises:
        InvalidError: the URL is of no known kind.
    """
    try:
        parsed = sa.make_url(url)
    except (sa_exc.ArgumentError, ValueError) as exc:  # ValueError: a port that is no number
        raise InvalidError("the store's URL does not parse", hint=_URL_HINT) from exc
    if parsed.drivername == "sqlite" and parsed.database not in {None, "", ":memory:"}:
        return _sqlite(parsed, must_exist=must_exist, wait=wait)
    if parsed.drivername in _POSTGRESQL:
        return _postgresql(parsed, wait=wait)
    raise InvalidError(
        f"the store cannot be kept in {parsed.render_as_string(hide_password=True)!r}",
        hint=_URL_HINT,
    )


_URL_HINT = "use sqlite:///path/to/lineage.db or postgresql://user@host/database"


def describe(engine: Engine) -> str:
    """The store's name in messages: a file, or a host and a database; never a password."""
    url = engine.url
    if url.drivername == "sqlite":
        return str(url.database)
    return f"postgresql://{url.host or url.query.get('host') or ''}/{url.database}"


def another_homes(engine: Engine) -> ConflictError:
    """The error about a database that a home was to get and that another home has."""
    return ConflictError(
        f"{describe(engine)}: the store of another home is there",
        hint="name an empty database, or use the home that it belongs to",
    )


def is_sqlite(engine: Engine | Connection) -> bool:
    """Whether this is the embedded store."""
    return engine.dialect.name == "sqlite"


def _sqlite(url: URL, *, must_exist: bool, wait: float) -> Engine:
    engine = sa.create_engine(url, hide_parameters=True, connect_args={"timeout": wait})
    if must_exist:
        sa.event.listen(engine, "do_connect", _refuse_missing)
    sa.event.listen(engine, "connect", _connect_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _refuse_missing(_dialect: Any, _record: Any, args: tuple[str, ...], _kwargs: Any) -> None:
    if not Path(args[0]).exists():
        raise NotFoundError(
            f"{args[0]}: the store is not there", hint="check its path, or restore a backup"
        )


def _connect_sqlite(connection: Any, _record: Any) -> None:
    # Autocommit in the driver, so that BEGIN is ours: the driver's own begins too late for DDL.
    connection.isolation_level = None
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
    except UnicodeDecodeError as exc:  # the driver's, over SQLite's message about a damaged name
        raise sqlite3.DatabaseError("damaged schema") from exc


def _begin_sqlite(connection: Connection) -> None:
    # Only a writer takes the lock at its start: readers that did would block it (measured).
    if connection.get_execution_options().get(WRITES, False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:  # by the driver: it waits for nobody, and a small read notices what SQLAlchemy adds
        driver: Any = connection.connection.driver_connection
        driver.execute("BEGIN")


def _postgresql(url: URL, *, wait: float) -> Engine:
    engine = sa.create_engine(
        url.set(drivername="postgresql+psycopg"),
        hide_parameters=True,
        pool_pre_ping=True,
        execution_options={_WAIT: wait},
    )
    sa.event.listen(engine, "connect", _connect_postgresql)
    return engine


def _connect_postgresql(connection: Any, _record: Any) -> None:
    # Else each read of a list of numbers is planned anew: a quarter of a trace (measured).
    connection.execute("SET plan_cache_mode = force_generic_plan")
    connection.commit()


_WAIT = "backstory_wait"
# One key of PostgreSQL's advisory locks: "bkst" in ASCII.
_LOCK_KEY = 0x626B7374


def lock_writers(connection: Connection) -> None:
    """Wait until no other writer is at work; held until this transaction ends.

    SQLite has taken the lock with BEGIN IMMEDIATE already.
    """
    if not is_sqlite(connection):
        wait = connection.get_execution_options()[_WAIT]
        connection.execute(_LOCK, {"wait": f"{round(wait * 1000)}ms", "key": _LOCK_KEY})


_LOCK = sa.select(
    sa.func.set_config("lock_timeout", sa.bindparam("wait"), sa.true()),
    sa.func.pg_advisory_xact_lock(sa.bindparam("key", type_=sa.BigInteger)),
)


@contextmanager
def translated(engine: Engine) -> Iterator[None]:
    """Turn the database's errors into ours.

    Raises:
        UnavailableError: locked, full or out of reach; nothing was changed.
        NotPermittedError: not yours to read or write.
        IntegrityError: the database's bytes are damaged.
        ConflictError: a constraint refused a row.
    """
    try:
        yield
    except sa_exc.DBAPIError as exc:
        reason = _sqlite_error if is_sqlite(engine) else _postgresql_error
        raise reason(exc.orig, describe(engine)) from exc
    except sqlite3.Error as exc:  # what is asked of the driver itself
        raise _sqlite_error(exc, describe(engine)) from exc
    except sa_exc.TimeoutError as exc:
        raise UnavailableError(
            f"{describe(engine)}: every connection is in use", hint="try again"
        ) from exc


def _sqlite_error(cause: BaseException | None, store: str) -> BackstoryError:
    code: str = getattr(cause, "sqlite_errorname", "")
    if code.startswith("SQLITE_CONSTRAINT"):
        return ConflictError(f"{store}: {cause}")  # names columns, never values
    return _by_prefix(code, _SQLITE_ERRORS, _damaged)(store)


def _postgresql_error(cause: Any, store: str) -> BackstoryError:
    code: str = getattr(cause, "sqlstate", None) or ""
    if code == "P0001":  # raised by our own triggers
        return ConflictError(f"{store}: {cause.diag.message_primary}")
    if code.startswith("23"):
        return ConflictError(f"{store}: a row breaks {cause.diag.constraint_name}")
    return _by_prefix(code, _POSTGRESQL_ERRORS, _out_of_reach)(store)


def _locked(store: str) -> BackstoryError:
    return UnavailableError(
        f"{store}: the store is locked by another writer", hint="wait for it, then try again"
    )


def _full(store: str) -> BackstoryError:
    return UnavailableError(f"{store}: no space is left", hint="make room, then try again")


def _denied(store: str) -> BackstoryError:
    return NotPermittedError(
        f"{store}: the store is missing, or not yours to use",
        hint="check its path or URL, and your permissions on it",
    )


def _failing(store: str) -> BackstoryError:
    return UnavailableError(
        f"{store}: the disk refused to read or write", hint="check the disk and its free space"
    )


def _damaged(store: str) -> BackstoryError:
    return IntegrityError(
        f"{store}: the database is damaged, or is not Backstory's",
        hint="restore it from a backup",
    )


def _out_of_reach(store: str) -> BackstoryError:
    # The driver gives no code for what happens before it is connected.
    return UnavailableError(
        f"{store}: the database cannot be reached",
        hint="check that the server runs, and the URL's database and user",
    )


_Maker = Callable[[str], BackstoryError]

_SQLITE_ERRORS = {
    "SQLITE_BUSY": _locked,
    "SQLITE_LOCKED": _locked,
    "SQLITE_FULL": _full,
    "SQLITE_CANTOPEN": _denied,
    "SQLITE_PERM": _denied,
    "SQLITE_READONLY": _denied,
    "SQLITE_AUTH": _denied,
    "SQLITE_IOERR": _failing,
}

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRESQL_ERRORS = {
    "55P03": _locked,  # lock not available
    "57014": _locked,  # statement timeout
    "40": _locked,  # serialization failure, deadlock
    "53": _full,  # disk full, out of memory, too many connections
    "58": _failing,  # system error
    "42501": _denied,  # insufficient privilege
    "25006": _denied,  # read only
    "42": _damaged,  # no such table or column
    "XX": _damaged,
}


def _by_prefix(code: str, makers: Mapping[str, _Maker], otherwise: _Maker) -> _Maker:
    return next((make for prefix, make in makers.items() if code.startswith(prefix)), otherwise)
