"""What every test can rely on, and the one place that decides which tests cannot run here.

A test that needs more than Python says so by a marker: `browser`, `compiler`, `node`, or `data`
(the fixture `shared_data` implies it). Where the need is missing the test is skipped and pytest's
summary names the reason; with `CI=true` it fails instead, so that a green CI has run everything.
"""

import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

REPOSITORY = Path(__file__).resolve().parents[1]
IN_CI = os.environ.get("CI") == "true"
BARE_NAMES = frozenset({"api", "cli", "lake", "lineage", "migrations"})

settings.register_profile(
    "backstory",
    deadline=None,  # a shared machine is slow at times, which is no fault of the code
    suppress_health_check=[HealthCheck.too_slow],  # the same
    derandomize=IN_CI,
)
settings.load_profile("backstory")


def data_folder() -> Path:
    """The shared data: `BACKSTORY_TEST_DATA`, else the folder `shared` beside the repository."""
    return REPOSITORY / os.environ.get("BACKSTORY_TEST_DATA", "../shared")


def _missing_data() -> str | None:
    folder = data_folder()
    return None if (folder / "data").is_dir() else f"no shared data in {folder}"


def _missing_browser() -> str | None:
    return None if shutil.which("chromium") else "no chromium on the path"


def _missing_compiler() -> str | None:
    return None if shutil.which("cc") else "no C compiler (cc) on the path"


def _missing_node() -> str | None:
    suite = REPOSITORY / "tests/conformance"
    if (suite / "node_modules").is_dir() and shutil.which("node"):
        return None
    return "no audit suite: npm ci --ignore-scripts --prefix tests/conformance"


NEEDS: dict[str, Callable[[], str | None]] = {
    "browser": _missing_browser,
    "compiler": _missing_compiler,
    "data": _missing_data,
    "node": _missing_node,
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "shared_data" in getattr(item, "fixturenames", ()):
            item.add_marker("data")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, missing in NEEDS.items():
        if item.get_closest_marker(marker) and (reason := missing()):
            (pytest.fail if IN_CI else pytest.skip)(reason)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real feedback (`data/`) and other producers' `openlineage-events/`."""
    return data_folder().resolve()


@pytest.fixture(scope="session", autouse=True)
def one_identity() -> Iterator[None]:
    """`import lake` would work from here, and make classes unequal to `backstory.lake`'s."""
    yield
    assert not BARE_NAMES & sys.modules.keys()


@pytest.fixture(autouse=True)
def no_trace_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command sets up logging for its process, which here is the process of other tests too."""
    monkeypatch.delenv("BACKSTORY_HOME", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)
    logger = logging.getLogger("backstory")
    logger.handlers[:] = []
    logger.setLevel(logging.NOTSET)
    logger.propagate = True
