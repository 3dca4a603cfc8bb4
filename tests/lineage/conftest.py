"""The use cases behave alike on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import backstory
from backstory.lineage.home import Home
from tests.databases import Databases, databases, postgresql, sqlite
from tests.lineage.store.recording import ticking

__all__ = ["databases", "postgresql", "sqlite"]


@pytest.fixture
def home(databases: Databases, tmp_path: Path) -> Iterator[Home]:
    """A new home whose clock goes on by a second each time it is read."""
    url = databases.laid()
    with backstory.init(tmp_path / "home", database_url=url, clock=ticking()) as opened:
        yield opened
    databases.drop(url)
