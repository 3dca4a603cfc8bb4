"""A home that is told of once for all tests that only read, and a real server before it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from backstory.api.app import execute
from backstory.lineage.home import Home
from tests.api import small_home
from tests.api.server import served
from tests.databases import databases, postgresql, sqlite

__all__ = ["databases", "postgresql", "sqlite"]


@dataclass(frozen=True, kw_only=True)
class World:
    """A home with two retrainings, and the interaction that version 1 answered."""

    home: Home
    interaction: str

    def ask(self, document: str, **variables: Any) -> Any:
        """The data of a query that must have no errors."""
        answer = execute(self.home, document, variables)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def errors(self, document: str, **variables: Any) -> list[dict[str, Any]]:
        """The errors of a query that must have some."""
        errors: list[dict[str, Any]] = execute(self.home, document, variables)["errors"]
        return errors


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("api")
    with small_home.make_home(folder, retrainings=2) as home:
        yield World(home=home, interaction=small_home.answer(home))


@pytest.fixture(scope="package")
def url(world: World) -> Iterator[str]:
    with served(world.home) as found:
        yield found


@pytest.fixture
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as opened:
        yield opened
