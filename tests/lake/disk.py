"""A disk that is full, without filling one; and one that says what a power cut would take."""

import os
import resource
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Every write beyond so many bytes of a file fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def watch_syncs(monkeypatch: pytest.MonkeyPatch, root: Path) -> Callable[[], list[str]]:
    """What a power cut could take from a folder: tells bytes and names that are not synced yet.

    What is there when the watching begins counts as synced. Only Python's own syncs are seen, so a
    SQLite store seems never to be synced; `tests/integration/test_power_loss.py` sees all of them.
    """
    sizes: dict[int, int] = {}
    names: dict[int, dict[str, int]] = {}

    def synced(path: int | Path) -> None:
        found = os.stat(path)  # noqa: PTH116 - of a descriptor too
        if stat.S_ISDIR(found.st_mode):
            names[found.st_ino] = {entry.name: entry.inode() for entry in os.scandir(path)}
        else:
            sizes[found.st_ino] = found.st_size

    def fsync(descriptor: int, real: Callable[[int], None] = os.fsync) -> None:
        real(descriptor)
        synced(descriptor)

    def is_lost(path: Path) -> bool:
        found, folder = path.lstat(), path.parent.stat()
        return names.get(folder.st_ino, {}).get(path.name) != found.st_ino or (
            stat.S_ISREG(found.st_mode) and sizes.get(found.st_ino) != found.st_size
        )

    def lost() -> list[str]:
        return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if is_lost(p))

    for path in (root, *root.rglob("*")):
        synced(path)
    monkeypatch.setattr(os, "fsync", fsync)
    return lost
