"""What a command leaves behind: told from what lay at the same place before it started.

A file counts as left when it is new or was written to, moved there or touched, as its inode, size
and times tell; a folder when one of its files is, or is gone. Bytes are not read.

>>> import tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     path = Path(folder, "model.bin")
...     before = Expected(path, "artifact")
...     _ = path.write_bytes(b"weights")
...     before.left() == path
True
"""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from backstory.lake.errors import NotFoundError
from backstory.lake.location import translate_os_error
from backstory.lake.trees import MAX_TREE_FILES

Stamp = tuple[str, int, int, int, int, int]


class Expected:
    """A file or folder that a command is to leave, as it is before the command starts."""

    def __init__(self, path: Path, what: str) -> None:
        self._path = path
        self._what = what
        self._before = _stamps(path)

    def left(self) -> Path:
        """Where the command has left it.

        Raises:
            NotFoundError: nothing is there, or only what was there before.
        """
        now = _stamps(self._path)
        if not now:
            raise NotFoundError(
                f"the command left no {self._what} at {self._path}",
                hint=f"see that it writes it, and the path behind --{self._what}",
            )
        if now == self._before:
            raise NotFoundError(
                f"the command left no {self._what}: {self._path} is as it was before",
                hint="let the command write it anew; remove the old one where it skips that",
            )
        return self._path


def _stamps(path: Path) -> frozenset[Stamp]:
    """What tells each file at a path from another, and from itself when it is written to."""
    try:
        # Of more files than these no artifact is made, whatever they are.
        return frozenset(islice(map(_stamp, _files(path)), MAX_TREE_FILES + 1))
    except OSError as exc:
        raise translate_os_error(exc, f"looking at {path}") from exc


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        for folder, _, names in os.walk(path):
            yield from (Path(folder, name) for name in names)
    elif os.path.lexists(path):
        yield path


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except FileNotFoundError:  # a link to nothing
        found = path.lstat()
    return (
        str(path),
        found.st_dev,
        found.st_ino,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
    )
