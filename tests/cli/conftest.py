"""Homes to run commands on, and the loggers left as they were found."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shop import Shop, make_shop


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A home that nobody changes."""
    return make_shop(tmp_path_factory.mktemp("shop") / "shop")


@pytest.fixture
def own_shop(shop: Shop, tmp_path: Path) -> Shop:
    """A home to be changed."""
    return shop.copy(tmp_path / "shop")


@pytest.fixture(autouse=True)
def loggers_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A command sets up logging for its process, which is here the process of other tests too."""
    monkeypatch.delenv("BACKSTORY_HOME", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)
    logger = logging.getLogger("backstory")
    before = (logger.handlers[:], logger.level, logger.propagate)
    yield
    logger.handlers[:], logger.level, logger.propagate = before
