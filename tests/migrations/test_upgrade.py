import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Engine

from backstory.lake.errors import NotFoundError, RefusedError, UnavailableError
from backstory.lineage.store import upgrade
from backstory.lineage.store.engine import connect
from backstory.lineage.store.tables import metadata
from tests.databases import Databases
from tests.lake.disk import watch_syncs

REVISION_FILES = Path(__file__).resolve().parents[2] / "migrations" / "versions"


@pytest.fixture
def engine(databases: Databases) -> Iterator[Engine]:
    """An empty database's."""
    engine = connect(databases.empty())
    yield engine
    engine.dispose()


def tables_of(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(sa.inspect(connection).get_table_names())


def run_alembic(engine: Engine, direction: Any, to: str) -> None:
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", "backstory:migrations")
        direction(config, to)


def indexes(engine: Engine) -> dict[str, str]:
    """Name and definition of every index, those over expressions too, in one way of writing."""
    query = (
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        if engine.dialect.name == "sqlite"
        else "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
    )
    with engine.connect() as connection:
        return {name: sql.replace('"', "") for name, sql in connection.exec_driver_sql(query)}


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based")
def test_the_store_is_laid_and_is_what_the_tables_say(engine: Engine) -> None:
    assert upgrade.current(engine) is None
    upgrade.upgrade(engine)
    assert upgrade.current(engine) == upgrade.HEAD
    assert tables_of(engine) == {*metadata.tables, "alembic_version"}
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": _comparable})
        assert compare_metadata(context, metadata) == []


def _comparable(_object: Any, name: str, kind: str, _reflected: bool, _other: Any) -> bool:  # noqa: FBT001 - Alembic's signature
    return (kind, name) not in {("index", "uq_edge"), ("table", "alembic_version")}


def test_indexes_over_expressions_are_those_of_the_tables(
    engine: Engine, databases: Databases
) -> None:
    upgrade.upgrade(engine)
    direct = connect(databases.empty())
    metadata.create_all(direct)
    assert indexes(engine).items() >= indexes(direct).items()
    direct.dispose()


def test_down_and_up_again(engine: Engine) -> None:
    upgrade.upgrade(engine)
    laid = indexes(engine)
    run_alembic(engine, command.downgrade, "base")
    assert tables_of(engine) == {"alembic_version"}
    assert upgrade.current(engine) is None
    upgrade.upgrade(engine)
    assert indexes(engine) == laid


def test_the_known_revisions_are_the_files() -> None:
    config = Config()
    config.set_main_option("script_location", "backstory:migrations")
    scripts = list(ScriptDirectory.from_config(config).walk_revisions())
    assert tuple(reversed([script.revision for script in scripts])) == upgrade.REVISIONS


@pytest.mark.parametrize("path", sorted(REVISION_FILES.glob("*.py")), ids=lambda path: path.stem)
def test_a_revision_imports_none_of_our_code(path: Path) -> None:
    assert "backstory" not in path.read_text()


def test_upgrading_twice_changes_nothing(engine: Engine) -> None:
    upgrade.upgrade(engine)
    upgrade.upgrade(engine)
    upgrade.check(engine)
    assert upgrade.current(engine) == upgrade.HEAD


def test_a_newer_store_is_refused(engine: Engine) -> None:
    upgrade.upgrade(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    for use in (upgrade.check, upgrade.current, upgrade.upgrade):
        with pytest.raises(RefusedError, match="at revision 9999, which is newer"):
            use(engine)


def test_a_database_of_something_else_is_refused(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE entity (id INTEGER)")
    for use in (upgrade.check, upgrade.upgrade):
        with pytest.raises(RefusedError, match="tables of something else"):
            use(engine)
    assert tables_of(engine) == {"entity"}


def test_opening_lays_a_sqlite_store_only(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        upgrade.check(engine)
        assert upgrade.current(engine) == upgrade.HEAD
    else:
        with pytest.raises(NotFoundError, match="no store is there"):
            upgrade.check(engine)


def test_nothing_is_loaded_to_open_a_store_that_is_ready(databases: Databases) -> None:
    code = (
        "import sys; from backstory.lineage.store import engine, upgrade;"
        "upgrade.check(engine.connect(sys.argv[1])); sys.exit('alembic' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, databases.laid()], check=True)


_UPGRADE = """
import os, signal, sys
from sqlalchemy import event
from backstory.lineage.store.engine import connect
from backstory.lineage.store.upgrade import upgrade

url, kill_at = sys.argv[1:]
engine, sent = connect(url), []

@event.listens_for(engine, "after_cursor_execute")
def count(conn, cursor, statement, *rest):
    sent.append(statement)
    if len(sent) == int(kill_at):
        os.kill(os.getpid(), signal.SIGKILL)

upgrade(engine)
print(len(sent))
"""


def start_upgrade(url: str, kill_at: int = 0) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", _UPGRADE, url, str(kill_at)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    output, _ = process.communicate()
    return process.returncode, output


def test_a_store_that_another_process_writes_now_is_waited_for(tmp_path: Path) -> None:
    with _written_now(tmp_path / "new.db") as other:
        engine = connect(f"sqlite:///{tmp_path / 'new.db'}", wait=20)
        with ThreadPoolExecutor(1) as beside:
            laid = beside.submit(upgrade.upgrade, engine)
            assert not wait([laid], timeout=0.1).done
            other.execute("ROLLBACK")
            laid.result()
    assert upgrade.current(engine) == upgrade.HEAD
    engine.dispose()


def test_a_store_that_another_process_keeps_writing_is_unavailable(tmp_path: Path) -> None:
    with _written_now(tmp_path / "new.db"):
        engine = connect(f"sqlite:///{tmp_path / 'new.db'}", wait=0.05)
        with pytest.raises(UnavailableError, match="locked by another writer"):
            upgrade.upgrade(engine)
        engine.dispose()


@contextmanager
def _written_now(store: Path) -> Iterator[sqlite3.Connection]:
    """A database without a log beside it that somebody else is writing."""
    with closing(sqlite3.connect(store, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


def test_four_processes_lay_one_store(databases: Databases) -> None:
    for _ in range(2):
        url = databases.empty()
        outcomes = [finish(process) for process in [start_upgrade(url) for _ in range(4)]]
        assert [code for code, _ in outcomes] == [0] * 4
        engine = connect(url)
        assert upgrade.current(engine) == upgrade.HEAD
        engine.dispose()


def laid_at(databases: Databases, revision: str | None) -> str:
    """A store of an older revision, with a row to lose."""
    url = databases.empty()
    if revision is not None:
        engine = connect(url)
        run_alembic(engine, command.upgrade, revision)
        with engine.begin() as connection:
            connection.exec_driver_sql(_ROWS)
        engine.dispose()
    return url


_ROWS = "INSERT INTO entity VALUES (1, 'model', 'model:ranker', 'ranker', 0)"


@pytest.mark.parametrize("revision", [None, *upgrade.REVISIONS[:-1]])
def test_killed_anywhere_the_store_is_as_before(databases: Databases, revision: str | None) -> None:
    code, output = finish(start_upgrade(laid_at(databases, revision)))
    assert code == 0
    count = int(output)
    for kill_at in range(1, count + 1, count // 4):
        url = laid_at(databases, revision)
        engine = connect(url)
        before = tables_of(engine)
        assert finish(start_upgrade(url, kill_at))[0] == -signal.SIGKILL
        assert (upgrade.current(engine), tables_of(engine)) == (revision, before)
        upgrade.upgrade(engine)
        assert tables_of(engine) == {*metadata.tables, "alembic_version"}
        with engine.connect() as connection:
            kept = connection.exec_driver_sql("SELECT count(*) FROM entity").scalar_one()
        assert kept == (0 if revision is None else 1)
        engine.dispose()


def test_versions_and_what_refers_to_them_survive_the_table_made_anew(databases: Databases) -> None:
    url = laid_at(databases, "0001")
    engine = connect(url)
    with engine.begin() as connection:
        for statement in _SERVED:
            connection.exec_driver_sql(statement)
    upgrade.upgrade(engine)
    with engine.begin() as connection:
        found = connection.exec_driver_sql(
            "SELECT v.number, v.artifact, a.alias FROM model_version v "
            "JOIN alias a ON a.model_version = v.id"
        ).all()
        assert [tuple(row) for row in found] == [(1, "a" * 64, "champion")]
        connection.exec_driver_sql(
            "INSERT INTO model_version (id, model, number, at, recorded_seq) "
            "VALUES (1, 'ranker', 2, 0, 0)"
        )
    with pytest.raises(sa.exc.IntegrityError), engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO alias VALUES (9, 'ranker', 'x', 99, 0, NULL, 0, 0)")
    engine.dispose()


_SERVED = (
    f"INSERT INTO artifact VALUES ('{'a' * 64}', 'file', 'm', 1, 1, 0)",
    "INSERT INTO entity VALUES (2, 'model_version', 'ranker@1', 'ranker@1', 0)",
    f"INSERT INTO model_version VALUES (2, 'ranker', 1, NULL, '{'a' * 64}', NULL, 0, 0)",
    "INSERT INTO alias VALUES (1, 'ranker', 'champion', 2, 0, NULL, 0, NULL)",
)


@pytest.fixture
def one_more_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """This program now works with a revision that the laid stores lack."""
    before, scripts = upgrade.HEAD, tmp_path / "migrations"
    shutil.copytree(REVISION_FILES.parent, scripts)
    (scripts / "versions" / "next.py").write_text(
        "from alembic import op\n"
        f"revision, down_revision = 'next', {before!r}\n"
        "def upgrade(): op.execute('ALTER TABLE name ADD COLUMN note TEXT')\n"
    )
    monkeypatch.setattr(upgrade, "SCRIPTS", str(scripts))
    monkeypatch.setattr(upgrade, "REVISIONS", (*upgrade.REVISIONS, "next"))
    monkeypatch.setattr(upgrade, "HEAD", "next")
    return before


def test_an_older_sqlite_store_is_copied_then_upgraded(
    sqlite: Databases, one_more_revision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, before = sqlite.laid(), one_more_revision
    engine, copy = connect(url), connect(f"{url}.{before}.bak")
    lost = watch_syncs(monkeypatch, Path(url.removeprefix("sqlite:///")).parent)
    assert upgrade.current(engine) == before
    upgrade.check(engine)
    assert not [name for name in lost() if name.endswith(".bak")]
    assert (upgrade.current(engine), upgrade.current(copy)) == ("next", before)
    engine.dispose()
    copy.dispose()
    path = Path(url.removeprefix("sqlite:///"))
    assert sorted(path.parent.glob(f"{path.name}*")) == [path, Path(f"{path}.{before}.bak")]


def test_an_older_postgresql_store_waits_for_its_upgrade(
    postgresql: Databases, one_more_revision: str
) -> None:
    engine = connect(postgresql.laid())
    with pytest.raises(RefusedError, match=f"at revision {one_more_revision}, next is needed"):
        upgrade.check(engine)
    upgrade.upgrade(engine)
    upgrade.check(engine)
    engine.dispose()
