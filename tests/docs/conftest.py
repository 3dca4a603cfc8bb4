"""Where pages are walked, and the server that one of them needs."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.databases import postgresql

__all__ = ["postgresql"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder with a shorter path than pytest's, which lines have to hold."""
    with TemporaryDirectory() as path:
        yield Path(path)
