"""A folder that appears whole or not at all.

It is filled beside its place, under a name that says so, with files that whoever fills it has
synced; its folders are synced, and it is renamed. Killed anywhere, it leaves that other folder,
which whoever builds the same one next empties first; two builders of one folder do not meet, since
the first holds a lock on it.

>>> import tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     with built_aside(Path(folder, "copy")) as aside:
...         _ = (aside / "file").write_text("whole")
...     sorted(path.name for path in Path(folder).rglob("*"))
['copy', 'file']
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backstory.lake.errors import ConflictError, InvalidError
from backstory.lake.files import make_folder, sync_folder, sync_folders
from backstory.lake.location import translate_os_error

UNFINISHED = ".unfinished"


@contextmanager
def built_aside(dest: Path) -> Iterator[Path]:
    """A folder to fill; it becomes `dest` when the block ends well, and is gone when it does not.

    Raises:
        InvalidError: there is something at `dest` already.
        ConflictError: somebody else builds the same folder now.
        UnavailableError: disk full, no permission.
    """
    aside = dest.absolute().with_name(f".{dest.absolute().name}{UNFINISHED}")
    try:
        _refuse_taken(dest)
        make_folder(aside.parent)
        aside.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(aside, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _lock(descriptor, dest)
            _empty(aside)
            with _gone_on_failure(aside):
                yield aside
                sync_folders(aside)
                _refuse_taken(dest)
                aside.rename(dest)
            sync_folder(aside.parent)
        finally:
            os.close(descriptor)
    except OSError as exc:
        raise translate_os_error(exc, f"writing {dest}") from exc


def _refuse_taken(dest: Path) -> None:
    if dest.is_symlink() or (dest.exists() and not (dest.is_dir() and not any(dest.iterdir()))):
        raise InvalidError(f"{dest} is not empty", hint="name an empty or absent folder")


def _lock(descriptor: int, dest: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise ConflictError(
            f"{dest} is being written by another command",
            hint="wait for it, or name another folder",
        ) from exc


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextmanager
def _gone_on_failure(folder: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
