"""Bringing a store to the revision that this Backstory works with.

One transaction under the writers' lock: the revision is read again once the lock is held, an
existing SQLite file is copied before it changes, and all revisions are committed together. Killed
anywhere, the store is what it was before. Alembic is imported only when there is something to do.
"""

import sqlite3
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from backstory.lake.errors import IntegrityError, NotFoundError, RefusedError
from backstory.lake.files import sync_folder
from backstory.lineage.store.engine import (
    WRITES,
    describe,
    is_sqlite,
    lock_writers,
    translated,
)
from backstory.lineage.store.sqlite_file import copy_into

# Every revision, oldest first; a test compares them with the files in `migrations/versions`.
REVISIONS = ("0001", "0002")
HEAD = REVISIONS[-1]
SCRIPTS = "backstory:migrations"
# How long to wait before a store that another process lays is looked at again.
LOOK_SECONDS = 0.01


def check(engine: Engine) -> None:
    """Make sure that the store can be used, as every opening of a home does.

    A SQLite store that is behind is upgraded here and now; PostgreSQL may have other users, so it
    is upgraded by hand.

    Raises:
        NotFoundError: the PostgreSQL database is empty.
        RefusedError: the store is newer than this Backstory, not ours, or waits for its upgrade.
    """
    revision = current(engine)
    if revision == HEAD:
        return
    if is_sqlite(engine):
        upgrade(engine)
    elif revision is None:
        raise NotFoundError(f"{describe(engine)}: no store is there", hint="run `backstory init`")
    else:
        raise RefusedError(
            f"{describe(engine)}: the store is at revision {revision}, {HEAD} is needed",
            hint="run `backstory db upgrade`",
        )


def current(engine: Engine) -> str | None:
    """The store's revision; None where there is no store yet.

    Raises:
        RefusedError: the store is newer than this Backstory, or the database is somebody else's.
    """
    with translated(engine), engine.connect() as connection, connection.begin():
        return _revision(connection)


def upgrade(engine: Engine) -> None:
    """Lay the store, or bring it to `HEAD`.

    Raises:
        RefusedError: the store is newer than this Backstory, or the database is somebody else's.
    """
    if current(engine) == HEAD:
        return
    with (
        translated(engine),
        engine.connect().execution_options(**{WRITES: True}) as connection,
    ):
        if is_sqlite(engine):
            _prepare(connection)
        with connection.begin():
            lock_writers(connection)
            revision = _revision(connection)
            if revision == HEAD:
                return
            if revision is not None and is_sqlite(engine):
                _copy(engine, revision)
            _run_revisions(connection)


def _revision(connection: Connection) -> str | None:
    tables = sa.inspect(connection).get_table_names()
    if "alembic_version" not in tables:
        if tables:
            raise RefusedError(
                f"{describe(connection.engine)}: the database holds tables of something else",
                hint="give the store a database of its own",
            )
        return None
    revision = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if revision is not None and revision not in REVISIONS:
        raise RefusedError(
            f"{describe(connection.engine)}: the store is at revision {revision}, "
            "which is newer than this Backstory",
            hint="upgrade the package `backstory`",
        )
    return revision


def _prepare(connection: Connection) -> None:
    """Set what SQLite sets outside transactions only."""
    cursor: Any = connection.connection.cursor()
    _write_ahead(cursor)
    # A table that is made anew is dropped first, and others refer to it meanwhile.
    cursor.execute("PRAGMA foreign_keys = OFF")
    connection.detach()  # no other work gets this connection


def _write_ahead(cursor: sqlite3.Cursor) -> None:
    """Have a log beside the file; SQLite itself does not wait where another process writes now."""
    (wait,) = cursor.execute("PRAGMA busy_timeout").fetchone()
    until = time.monotonic() + wait / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() >= until:
                raise
            time.sleep(LOOK_SECONDS)
        else:
            return


def _copy(engine: Engine, revision: str) -> None:
    """Keep the file as it was; the writers' lock is held, so nothing is written meanwhile."""
    store = Path(describe(engine))
    unfinished = store.with_name(f"{store.name}.copying")
    unfinished.unlink(missing_ok=True)
    copy_into(engine, unfinished)
    unfinished.replace(store.with_name(f"{store.name}.{revision}.bak"))
    sync_folder(store.parent)


def _run_revisions(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", SCRIPTS)
    command.upgrade(config, HEAD)
    if (
        is_sqlite(connection)
        and connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None
    ):
        raise IntegrityError(
            f"{describe(connection.engine)}: rows refer to rows that are not there",
            hint="`backstory verify` of the version that wrote it says which",
        )
