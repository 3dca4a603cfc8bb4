"""A test whose needs are missing is skipped with a reason here, and fails in CI."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).resolve().parents[1] / "conftest.py"
NEEDY = """
import pytest

def test_of_real_feedback(shared_data): ...

@pytest.mark.browser
def test_of_a_page(): ...

@pytest.mark.compiler
def test_of_a_shim(): ...
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Our conftest.py and needy tests, in a place that has neither data nor programs."""
    folder = tmp_path / "clone/tests"
    folder.mkdir(parents=True)
    shutil.copy(CONFTEST, folder)
    (folder / "test_needy.py").write_text(NEEDY, "utf-8")
    (tmp_path / "clone/pytest.ini").write_text(
        "[pytest]\nmarkers =\n    browser\n    compiler\n    data\n", "utf-8"
    )
    return tmp_path / "clone"


def outcome(clone: Path, **more: str) -> str:
    clean = {k: v for k, v in os.environ.items() if k not in {"CI", "BACKSTORY_TEST_DATA"}}
    command = [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", "-p", "no:xdist"]
    environ = {**clean, "PATH": "", **more}
    done = subprocess.run(
        command, cwd=clone, env=environ, capture_output=True, text=True, check=False
    )
    return done.stdout


def test_needs_that_are_missing_skip_with_a_reason(clone: Path) -> None:
    said = outcome(clone)
    assert "3 skipped" in said
    assert "no shared data in" in said
    assert "no chromium on the path" in said
    assert "no C compiler (cc) on the path" in said


def test_in_ci_they_fail(clone: Path) -> None:
    said = outcome(clone, CI="true")
    assert "skipped" not in said
    assert "no shared data in" in said
    assert "no chromium on the path" in said
    assert "no C compiler (cc) on the path" in said


def test_data_beside_the_clone_is_found(clone: Path) -> None:
    (clone.parent / "shared/data").mkdir(parents=True)
    assert "1 passed, 2 skipped" in outcome(clone)


def test_data_elsewhere_is_named_by_a_variable(clone: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere/data").mkdir(parents=True)
    said = outcome(clone, CI="true", BACKSTORY_TEST_DATA=str(tmp_path / "elsewhere"))
    assert "1 passed, 2 errors" in said
