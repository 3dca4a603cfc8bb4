"""Whatever is changed behind the store's back is found and named."""

import random
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from backstory.lake.errors import BackstoryError, IntegrityError
from backstory.lake.findings import Finding
from backstory.lineage.audit.leaf import leaf_hash
from backstory.lineage.store import audit_log, integrity, tables, upgrade
from backstory.lineage.store.column_types import Instant, Json
from backstory.lineage.store.engine import connect
from backstory.lineage.store.reconcile import GOVERNED
from backstory.lineage.store.rows import ENDED, recorded_column
from backstory.lineage.store.unit_of_work import Store, Unit
from backstory.lineage.store.writes import end, insert
from tests.databases import Databases
from tests.lineage.store.recording import (
    START,
    add_run,
    behind_its_back,
    drop_guards,
    ticking,
    unit,
)

ROWS = 3
DAY = timedelta(days=1)


def fill(store: Store) -> None:
    """Three rows in every table, whichever there are, with every column set; one is ended."""
    with unit(store) as opened:
        for table in GOVERNED:
            for i in range(ROWS):
                insert(opened, table, **row_of(opened, table, i))
    with unit(store) as opened:
        for table in GOVERNED:
            if ENDED in table.c:
                end(opened, table, 3)


def row_of(opened: Unit, table: sa.Table, i: int) -> dict[str, Any]:
    written_later = {ENDED, recorded_column(table).name}
    if not table.c.get("id", sa.Column("id")).foreign_keys:
        written_later.add("id")
    return {c.name: value_of(opened, c, i) for c in table.c if c.name not in written_later}


def value_of(opened: Unit, column: sa.Column[Any], i: int) -> Any:
    for key in column.foreign_keys:
        target = key.column
        return opened.connection.scalars(sa.select(target).order_by(target)).all()[i]
    match column.type:
        case Instant():
            return START + (DAY if column.name.startswith("until") else timedelta())
        case Json():
            return {"i": i}
        case sa.Float():
            return 0.5
        case sa.Integer():
            return 100 + i
        case _:
            return f"{column.name} {i}"


@pytest.fixture(scope="module")
def filled(databases: Databases) -> Iterator[Store]:
    """One for all tests: what they change behind its back is undone."""
    store = Store(connect(databases.laid()), ticking())
    fill(store)
    yield store
    store.close()


def other(value: Any) -> Any:
    if isinstance(value, str):
        return f"{value}!"
    return value / 2 if isinstance(value, float) else value - 50


@cache
def untyped(table: sa.Table) -> sa.TableClause:
    """The table as the driver sees it."""
    return sa.table(table.name, *(sa.column(c.name) for c in table.c))


def second_row(connection: Connection, table: sa.Table) -> tuple[dict[str, Any], Any]:
    """The row that is changed, and the condition that finds it."""
    bare = untyped(table)
    keys = [bare.c[key.name] for key in table.primary_key]
    values = dict(connection.execute(sa.select(bare).order_by(*keys)).mappings().all()[1])
    return values, sa.and_(*(key == values[key.name] for key in keys))


def put(connection: Connection, table: sa.Table, row: Any, name: str, value: Any) -> None:
    connection.execute(sa.update(untyped(table)).where(row).values({name: value}))


def name_of(table: sa.Table, values: dict[str, Any]) -> str:
    return f"{table.name} {'/'.join(str(values[key.name]) for key in table.primary_key)}"


def test_a_store_as_written(filled: Store) -> None:
    with filled.reader() as connection:
        assert list(integrity.check(connection)) == []


@pytest.mark.parametrize("table", GOVERNED, ids=lambda table: str(table.name))
def test_every_changed_value_names_its_row(filled: Store, table: sa.Table) -> None:
    watched = [c for c in table.c if c.name not in {ENDED, recorded_column(table).name}]
    for column in watched:
        with behind_its_back(filled) as connection:
            values, row = second_row(connection, table)
            changed = other(values[column.name])
            put(connection, table, row, column.name, changed)
            findings = list(integrity.check(connection))
        assert [(f.path, f.problem) for f in findings] == [
            (name_of(table, values | {column.name: changed}), "the row was changed")
        ], column


@pytest.mark.parametrize("table", GOVERNED, ids=lambda table: str(table.name))
def test_every_lost_value_names_its_row(filled: Store, table: sa.Table) -> None:
    for column in [c for c in table.c if c.nullable and c.name != ENDED]:
        with behind_its_back(filled) as connection:
            values, row = second_row(connection, table)
            put(connection, table, row, column.name, None)
            findings = list(integrity.check(connection))
        assert [f.path for f in findings] == [name_of(table, values)], column


@pytest.mark.parametrize("table", GOVERNED, ids=lambda table: str(table.name))
def test_a_row_of_another_entry_is_named(filled: Store, table: sa.Table) -> None:
    for seq in (1, 99):  # an entry that there is, and one that there is not
        with behind_its_back(filled) as connection:
            values, row = second_row(connection, table)
            put(connection, table, row, recorded_column(table).name, seq)
            paths = {f.path for f in integrity.check(connection)}
        assert paths == {table.name, name_of(table, values)}


@pytest.mark.parametrize("table", GOVERNED, ids=lambda table: str(table.name))
def test_a_lost_row_is_missed(filled: Store, table: sa.Table) -> None:
    with behind_its_back(filled) as connection:
        _, row = second_row(connection, table)
        connection.execute(sa.delete(untyped(table)).where(row))
        findings = list(integrity.check(connection))
    assert [(f.path, f.problem, f.expected, f.found) for f in findings] == [
        (table.name, "rows are missing", "3 of entry 0", "2")
    ]


@pytest.mark.parametrize(
    "table", [t for t in GOVERNED if ENDED in t.c], ids=lambda table: str(table.name)
)
def test_an_end_is_proved_like_a_row(filled: Store, table: sa.Table) -> None:
    for key, seq in ((3, None), (3, 0), (2, 1)):  # not ended, earlier, one more
        with behind_its_back(filled) as connection:
            put(connection, table, sa.column("id") == key, ENDED, seq)
            findings = list(integrity.check(connection))
        assert findings
        assert {f.path for f in findings} <= {table.name, f"{table.name} {key}"}


def test_an_added_row_is_named(filled: Store) -> None:
    for seq in (0, 99):
        with behind_its_back(filled) as connection:
            row = {"id": 77, "kind": "run", "key": "run:evil", "label": "x", "created_seq": seq}
            connection.execute(sa.insert(tables.entity), row)
            findings = list(integrity.check(connection))
        assert [f.path for f in findings] == ["entity 77"]


def test_a_changed_log_is_named(filled: Store) -> None:
    with unit(filled) as opened:
        add_run(opened, "1")
    with behind_its_back(filled) as connection:
        drop_guards(connection, "audit_leaf")
        body = connection.execute(sa.select(tables.audit_leaf.c.body)).scalars().first()
        assert body is not None
        connection.execute(
            sa.update(tables.audit_leaf)
            .where(tables.audit_leaf.c.seq == 0)
            .values(body=body.replace(b"ada", b"eve"))
        )
        findings = list(integrity.check(connection))
    assert [(f.where, f.path, f.problem) for f in findings] == [
        ("audit log", "entry 0", "the entry was changed")
    ]


def test_an_entry_that_does_not_parse_is_named_once(filled: Store) -> None:
    body = b"no body"
    with behind_its_back(filled) as connection:
        drop_guards(connection, "audit_leaf")
        change = {"body": body, "leaf_hash": leaf_hash(body)}
        connection.execute(sa.update(tables.audit_leaf).values(change).where(sa.column("seq") == 0))
        findings = list(integrity.check(connection))
        with pytest.raises(IntegrityError, match=r"'test\.write' does not parse"):
            audit_log.first_facts(connection, "test.write")
    assert ("entry 0", "the entry does not parse") in [(f.path, f.problem) for f in findings]
    assert {f.where for f in findings} == {"audit log"}


def test_a_log_that_was_cut_leaves_rows_of_no_entry(filled: Store) -> None:
    with unit(filled) as opened:
        run = add_run(opened, "2")
        seq = opened.seq
    with behind_its_back(filled) as connection:
        drop_guards(connection, "audit_leaf")
        connection.execute(sa.delete(tables.audit_leaf).where(tables.audit_leaf.c.seq == seq))
        paths = [f.path for f in integrity.check(connection)]
    rows = {path for path in paths if not path.startswith("subtree")}
    assert rows == {f"entity {run}", f"run {run}"}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE entity SET label = CAST(x'ff41' AS TEXT) WHERE id = 2",
        "UPDATE entity SET label = x'00ff' WHERE id = 2",
        "UPDATE entity SET label = 17 WHERE id = 2",
    ],
)
def test_sqlite_holds_anything(sqlite: Databases, change: str) -> None:
    store = Store(connect(sqlite.laid()), ticking())
    fill(store)
    with behind_its_back(store) as connection:
        connection.exec_driver_sql(change)
        assert [f.path for f in integrity.check(connection)] == ["entity 2"]
    with store.reader() as connection:  # and text is text again
        assert connection.execute(sa.select(tables.entity.c.label)).scalars().first() == "label 0"
    store.close()


@pytest.mark.parametrize("value", ["'many'", "x'00'", "1.5", "-1"])
@pytest.mark.parametrize("column", ["created_seq", "kind"])
def test_sqlite_holds_any_type(sqlite: Databases, column: str, value: str) -> None:
    store = Store(connect(sqlite.laid()), ticking())
    fill(store)
    with behind_its_back(store) as connection:
        connection.exec_driver_sql(f"UPDATE entity SET {column} = {value} WHERE id = 2")
        assert "entity 2" in {f.path for f in integrity.check(connection)}
    store.close()


def test_a_table_is_called_what_it_was_called(sqlite: Databases) -> None:
    """SQLite finds it all the same, whatever the case of its letters."""
    url = sqlite.laid()
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET name = 'Snapshot' WHERE name = 'snapshot'")
    connection.close()
    store = Store(connect(url), ticking())
    with store.reader() as reader:
        assert [f.problem for f in integrity.check(reader)] == ["no table is called snapshot"]
    store.close()


def test_a_column_that_no_leaf_vouches_for_is_missed_too(sqlite: Databases) -> None:
    url = sqlite.laid()
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute("ALTER TABLE outbox RENAME COLUMN next_at TO next_bt")
    connection.close()
    store = Store(connect(url), ticking())
    with store.reader() as reader:
        assert ["damaged" in f.problem for f in integrity.check(reader)] == [True]
    store.close()


def content(path: Path) -> Any:
    """Everything in a SQLite file that can be read, or None."""
    connection = sqlite3.connect(path)
    connection.text_factory = bytes
    try:
        names = tables_in(connection)
        return {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in names}
    except (sqlite3.Error, UnicodeDecodeError):  # the latter for a message about a damaged name
        return None
    finally:
        connection.close()


def tables_in(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return [name.decode(errors="replace") for (name,) in rows]


def findings_of(path: Path) -> list[Finding] | BackstoryError:
    store = Store(connect(f"sqlite:///{path}"), ticking())
    try:
        upgrade.check(store.engine)
        with store.reader() as connection:
            return list(integrity.check(connection))
    except BackstoryError as exc:
        return exc
    finally:
        store.close()


def flip(sqlite: Databases, tmp_path: Path, count: int, seed: int) -> int:
    """Flip bits of a store one at a time; give how many of them changed what it holds."""
    url = sqlite.laid()
    store = Store(connect(url), ticking())
    fill(store)
    store.close()
    good = Path(url.removeprefix("sqlite:///"))
    whole, before = good.read_bytes(), content(good)
    chooser = random.Random(seed)
    changed = 0
    for _ in range(count):
        place, bit = chooser.randrange(len(whole)), 1 << chooser.randrange(8)
        bad = tmp_path / "bad.db"
        bad.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
        after = content(bad)
        found = findings_of(bad)
        if after != before:
            changed += 1
            assert found, f"byte {place}, bit {bit}"
        for leftover in tmp_path.glob("bad.db*"):
            leftover.unlink(missing_ok=True)  # SQLite removes some by itself
    return changed


def test_no_flipped_bit_changes_the_store_unnoticed(sqlite: Databases, tmp_path: Path) -> None:
    assert flip(sqlite, tmp_path, count=150, seed=1) > 5


@pytest.mark.soak
def test_no_flipped_bit_at_all(sqlite: Databases, tmp_path: Path) -> None:
    print(f"\n{flip(sqlite, tmp_path, count=20_000, seed=2)} of 20,000 flips changed content")
