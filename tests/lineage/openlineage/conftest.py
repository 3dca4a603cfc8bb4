"""Events are recorded on SQLite and PostgreSQL alike."""

from collections.abc import Iterator

import pytest

from backstory.lineage.store.engine import connect
from backstory.lineage.store.unit_of_work import Store
from tests.databases import Databases
from tests.lineage.store.recording import ticking


@pytest.fixture
def store(databases: Databases) -> Iterator[Store]:
    store = Store(connect(databases.laid()), ticking())
    yield store
    store.close()
