"""Is the store still what was written into it? The database file, the audit log, and the rows.

with store.reader() as connection:
    findings = list(check(connection))
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from backstory.lake.errors import IntegrityError
from backstory.lake.findings import Finding
from backstory.lineage.store import audit_log
from backstory.lineage.store.engine import describe, is_sqlite, translated
from backstory.lineage.store.reconcile import reconcile
from backstory.lineage.store.tables import metadata


def check(connection: Connection) -> Iterator[Finding]:
    """Check everything that the store holds.

    (1) SQLite's own check of its file, pages and indexes, and that every table and column is there.
    (2) The audit log, from its first entry. (3) Every row against the entry that it came with. A
    database too damaged to be read is a finding too, and ends the check.
    """
    try:
        with translated(connection.engine), _any_text(connection):
            yield from _check_file(connection)  # (1)
            yield from audit_log.verify_log(connection)  # (2)
            yield from reconcile(connection)  # (3)
    except IntegrityError as exc:
        yield _of_file(describe(connection.engine), exc.message)


def recorded_key_check(connection: Connection) -> dict[str, str]:
    """The check values of the subject keys that the home began with, by key id."""
    key: dict[str, str] = audit_log.first_facts(connection, "home.init").get("key", {})
    return key


def _check_file(connection: Connection) -> Iterator[Finding]:
    if is_sqlite(connection):
        for (line,) in connection.exec_driver_sql("PRAGMA integrity_check"):
            if line != "ok":
                yield _of_file(describe(connection.engine), line)
        # SQLite finds a table in whatever case its name is written; a flipped bit changes the case.
        found = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'")
        for name in sorted(metadata.tables.keys() - {row.name for row in found}):
            yield _of_file(describe(connection.engine), f"no table is called {name}")
    for table in metadata.sorted_tables:  # also those that no leaf vouches for
        connection.execute(select(table).limit(0))


def _of_file(path: str, problem: str) -> Finding:
    return Finding(
        where="store", path=path, problem=problem, expected="a sound database", found="damage"
    )


@contextmanager
def _any_text(connection: Connection) -> Iterator[None]:
    """Let SQLite hand over text that is not UTF-8: its row is to be named, not to end the check."""
    if not is_sqlite(connection):
        yield
        return
    driver: Any = connection.connection.driver_connection
    driver.text_factory = lambda raw: raw.decode(errors="backslashreplace")
    try:
        yield
    finally:
        driver.text_factory = str
