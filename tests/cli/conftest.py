"""Homes to run commands on."""

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
