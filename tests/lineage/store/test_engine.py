import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine, make_url

from backstory.lake.errors import (
    BackstoryError,
    ConflictError,
    IntegrityError,
    InvalidError,
    NotFoundError,
    NotPermittedError,
    UnavailableError,
)
from backstory.lineage.store import tables
from backstory.lineage.store.engine import connect, describe, translated
from backstory.lineage.store.unit_of_work import Store
from backstory.lineage.store.writes import insert
from tests.databases import Databases
from tests.lineage.store.recording import add_run, ticking, unit

PASSWORD = "opensesame"


def read(engine: Engine) -> None:
    with translated(engine), engine.connect() as connection:
        connection.execute(sa.select(tables.entity)).all()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "lineage.db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        f"mysql://root:{PASSWORD}@db/x",
        f"http://u:{PASSWORD}@host/",
        f"://{PASSWORD}",
    ],
)
def test_a_url_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(InvalidError) as caught:
        connect(url)
    assert "sqlite:///path/to/lineage.db" in caught.value.hint
    assert PASSWORD not in caught.value.message


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_is_spoken_to_by_psycopg(scheme: str) -> None:
    engine = connect(f"{scheme}://ada:{PASSWORD}@db.example/lineage")
    assert engine.driver == "psycopg"
    assert describe(engine) == "postgresql://db.example/lineage"


def test_a_store_is_named_by_its_file() -> None:
    assert describe(connect("sqlite:////srv/home/lineage.db")) == "/srv/home/lineage.db"


def test_sqlite_is_told_to_be_durable(sqlite: Databases) -> None:
    engine = connect(sqlite.laid(), wait=7)
    with engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    engine.dispose()
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 7000,
    }


def test_a_closed_store_is_one_file(sqlite: Databases) -> None:
    url = sqlite.laid()
    store = Store(connect(url), ticking())
    with unit(store) as opened:
        add_run(opened, "1")
    store.close()
    path = Path(url.removeprefix("sqlite:///"))
    assert list(path.parent.glob(f"{path.name}*")) == [path]


def damaged_page(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)


def test_damage_is_said(sqlite: Databases) -> None:
    url = sqlite.laid()
    damaged_page(Path(url.removeprefix("sqlite:///")))
    with pytest.raises(IntegrityError, match="damaged"):
        read(connect(url))


def test_a_file_of_something_else_is_said(tmp_path: Path) -> None:
    path = tmp_path / "lineage.db"
    path.write_text("not a database, but long enough to look like one" * 100)
    with pytest.raises(IntegrityError, match=f"{path}: the database is damaged, or is not"):
        read(connect(f"sqlite:///{path}"))


def test_a_store_without_tables_is_said(databases: Databases) -> None:
    engine = connect(databases.empty())
    with pytest.raises(IntegrityError, match="is not Backstory's"):
        read(engine)
    engine.dispose()


def test_a_missing_file_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "lineage.db"
    with pytest.raises(NotFoundError, match=f"{path}: the store is not there"):
        read(connect(f"sqlite:///{path}", must_exist=True))
    assert not path.exists()


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotPermittedError, match="missing, or not yours"):
        read(connect(f"sqlite:///{tmp_path}/nowhere/lineage.db"))


def test_a_missing_database_is_said(postgresql: Databases) -> None:
    url = make_url(postgresql.empty()).set(database="nowhere")
    with pytest.raises(UnavailableError, match="nowhere: the database cannot be reached"):
        read(connect(url.render_as_string(hide_password=False)))


def test_a_silent_server_is_said() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        url = f"postgresql://ada:{PASSWORD}@127.0.0.1:{port}/lineage"
        with pytest.raises(UnavailableError, match="cannot be reached") as caught:
            read(connect(url))
    assert PASSWORD not in str(caught.value) + caught.value.hint


def test_missing_rights_are_said(postgresql: Databases) -> None:
    url = postgresql.laid()
    owner = connect(url)
    with owner.begin() as connection:
        name = f"guest_{make_url(url).database}"
        connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN")
    owner.dispose()
    guest = connect(make_url(url).set(username=name).render_as_string(hide_password=False))
    with pytest.raises(NotPermittedError):
        read(guest)
    guest.dispose()


def test_a_broken_constraint_is_a_conflict_without_values(store: Store) -> None:
    with unit(store) as opened:
        number = add_run(opened, "first")
    with pytest.raises(ConflictError, match="run") as caught, unit(store) as opened:
        insert(opened, tables.run, id=number, run_id=PASSWORD, namespace="", job="")
    assert PASSWORD not in caught.value.message


_FILL = """
import resource, signal, sys
from datetime import UTC, datetime
from backstory.lake.errors import UnavailableError
from backstory.lineage.audit.leaf import Actor
from backstory.lineage.store.engine import connect
from backstory.lineage.store.unit_of_work import Store

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
store = Store(connect(sys.argv[1]), lambda: datetime.now(UTC))
for i in range(1000):
    try:
        with store.unit(Actor(name="ada"), "test.fill", "x") as unit:
            unit.note(text="x" * 10_000)
    except UnavailableError as exc:
        print(i, exc.message)
        sys.exit(0)
"""


def test_a_full_disk_is_said_and_loses_nothing(sqlite: Databases) -> None:
    url = sqlite.laid()
    done = subprocess.run(
        [sys.executable, "-c", _FILL, url], check=True, capture_output=True, text=True
    )
    count, _, message = done.stdout.partition(" ")
    assert message.strip().endswith(("no space is left", "the disk refused to read or write")), (
        message
    )
    store = Store(connect(url), ticking())
    with store.reader() as connection:
        leaves = connection.execute(sa.select(sa.func.count()).select_from(tables.audit_leaf))
        assert leaves.scalar() == int(count) > 0
    with unit(store) as opened:
        opened.note(more=True)
    store.close()


def test_a_file_that_may_not_grow_is_full(sqlite: Databases) -> None:
    store = Store(connect(sqlite.laid()), ticking())

    @sa.event.listens_for(store.engine, "connect")
    def bound(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA max_page_count = 1")

    with pytest.raises(UnavailableError, match="no space is left"), unit(store) as opened:
        opened.note(text="x" * 60_000)
    store.close()


def test_too_many_at_once_are_said(sqlite: Databases) -> None:
    engine = connect(sqlite.empty())
    with pytest.raises(UnavailableError, match="every connection is in use"), translated(engine):
        raise sa.exc.TimeoutError


@pytest.mark.parametrize("error", [ValueError("x"), InvalidError("x")])
def test_other_errors_pass_as_they_are(sqlite: Databases, error: Exception) -> None:
    engine = connect(sqlite.empty())
    with pytest.raises(type(error)) as caught, translated(engine):
        raise error
    assert caught.value is error
    assert isinstance(caught.value, BackstoryError) == isinstance(error, BackstoryError)
