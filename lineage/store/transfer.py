"""The store's rows from one database to another: SQLite or PostgreSQL, on either side.

Rows go as the database holds them, so that the audit log proves the copy as it proved the original.
What is read is one state: everything that was committed when the reading began, nothing since.
"""

from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from backstory.lineage.store import audit_log
from backstory.lineage.store.engine import (
    WRITES,
    another_homes,
    connect,
    is_sqlite,
    lock_writers,
    translated,
)
from backstory.lineage.store.sqlite_file import copy_into
from backstory.lineage.store.tables import metadata
from backstory.lineage.store.upgrade import upgrade

CHUNK_ROWS = 1_000

_ONE_STATE = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


def write_out(engine: Engine, target: Path) -> None:
    """Write a store into a new SQLite file, as it is at one instant, while others go on writing."""
    if is_sqlite(engine):
        with translated(engine):
            copy_into(engine, target)
        return
    file = sqlite_at(target)
    upgrade(file)
    with (
        translated(engine),
        engine.connect().execution_options(**_ONE_STATE) as reader,
        reader.begin(),
    ):
        _fill(reader, file)
    file.dispose()  # the last connection folds its write-ahead log into the file


def fill(source: Engine, target: Engine) -> None:
    """Bring the rows of a store into an empty database, all or none.

    Raises:
        ConflictError: the database has another home's store.
    """
    upgrade(target)
    with translated(source), source.connect() as reader, reader.begin():
        _fill(reader, target)


def sqlite_at(path: Path) -> Engine:
    """The store in a SQLite file."""
    return connect(f"sqlite:///{quote(str(path.absolute()))}")


def _fill(reader: Connection, target: Engine) -> None:
    with (
        translated(target),
        target.connect().execution_options(**{WRITES: True}) as writer,
        writer.begin(),
    ):
        lock_writers(writer)
        if audit_log.head(writer)[0] > 0:
            raise another_homes(target)
        for table in metadata.sorted_tables:
            _copy(reader, writer, table)


def _copy(reader: Connection, writer: Connection, table: sa.Table) -> None:
    rows = reader.execution_options(yield_per=CHUNK_ROWS).execute(sa.select(_raw(table)))
    for part in rows.mappings().partitions():
        writer.execute(sa.insert(_raw(table)), [dict(row) for row in part])
    if not is_sqlite(writer) and "id" in table.c:  # else its next key is one that is taken
        writer.execute(_NEXT_KEY, {"name": f'"{table.name}"', "last": _last(writer, table)})


@cache
def _raw(table: sa.Table) -> sa.TableClause:
    """The table without our types, but for truth values, which SQLite has as numbers."""
    kinds: list[sa.ColumnClause[Any]] = [
        sa.column(c.name, c.type if isinstance(c.type, sa.Boolean) else sa.types.NullType())
        for c in table.c
    ]
    return sa.table(table.name, *kinds)


def _last(writer: Connection, table: sa.Table) -> int | None:
    last: int | None = writer.execute(sa.select(sa.func.max(table.c.id))).scalar()
    return last


# Does nothing for a key without a sequence, or a table without rows.
_NEXT_KEY = sa.select(
    sa.func.setval(
        sa.func.pg_get_serial_sequence(sa.bindparam("name", type_=sa.Text), "id"),
        sa.bindparam("last", type_=sa.BigInteger),
    )
)
