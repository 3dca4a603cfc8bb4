"""The store's behaviour suite runs on SQLite and PostgreSQL alike."""

from collections.abc import Iterator

import pytest

from backstory.lineage.store.engine import connect
from backstory.lineage.store.unit_of_work import Store
from tests.databases import Databases
from tests.lineage.store.recording import ticking


@pytest.fixture
def url(databases: Databases) -> Iterator[str]:
    """An empty store's."""
    url = databases.laid()
    yield url
    databases.drop(url)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = Store(connect(url), ticking())
    yield store
    store.close()
