"""The wheel that a user installs: all of the product, nothing else, whole in a hostile folder.

A clone of the tracked files is built as `python -m build` does it (the wheel from the sdist), and
installed into an environment of its own, which reads our dependencies but not our source.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("api", "cli", "lake", "lineage", "migrations")


def run(*command: str | Path, cwd: Path) -> str:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("BACKSTORY_", "PYTHON"))}
    done = subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def tracked() -> list[str]:
    """Every file that git knows and that is there, links as links."""
    names = run("git", "ls-files", "-z", cwd=REPOSITORY).split("\0")
    return [name for name in names if os.path.lexists(REPOSITORY / name) and name]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clone = tmp_path_factory.mktemp("clone")
    for name in tracked():
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, clone / name, follow_symlinks=False)
    run(sys.executable, "-m", "build", "--no-isolation", cwd=clone)
    (built,) = (clone / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new virtual environment that holds the wheel."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    run(folder / "bin/python", "-m", "pip", "install", "--no-deps", "--no-index", wheel, cwd=folder)
    # A path named in a .pth file is searched last, and .pth files inside it (our own editable
    # install) are not followed.
    ours = sysconfig.get_path("purelib")
    theirs = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    Path(theirs, "dependencies.pth").write_text(f"{ours}\n", "utf-8")
    return folder / "bin"


@pytest.fixture
def hostile_folder(tmp_path: Path) -> Path:
    """A user's project with packages of its own under our folders' names."""
    for package in PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise SystemExit('theirs')\n", "utf-8")
    return tmp_path


def test_the_wheel_holds_what_git_tracks(wheel: Path) -> None:
    folders = tuple(f"{package}/" for package in PACKAGES)
    expected = {f"backstory/{name}" for name in tracked() if name.startswith(folders)}
    expected |= {"backstory/__init__.py", "backstory/py.typed"}
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == expected


def test_the_wheel_holds_more_than_modules(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "backstory/migrations/script.py.mako" in names
    assert [n for n in names if n.startswith("backstory/migrations/versions/")]
    assert [n for n in names if n.startswith("backstory/lineage/openlineage/facets/")]


def test_the_command_runs_in_a_hostile_folder(
    wheel: Path, environment: Path, hostile_folder: Path
) -> None:
    version = wheel.name.split("-")[1]
    assert version in run(environment / "backstory", "--version", cwd=hostile_folder)


def test_the_sdk_runs_in_a_hostile_folder(environment: Path, hostile_folder: Path) -> None:
    run(environment / "backstory", "init", cwd=hostile_folder)
    snippet = "import backstory; print(backstory.__file__); print(backstory.open().settings.home)"
    output = run(environment / "python", "-c", snippet, cwd=hostile_folder).splitlines()
    assert Path(output[0]).is_relative_to(environment.parent)
    assert Path(output[1]).is_relative_to(hostile_folder)
