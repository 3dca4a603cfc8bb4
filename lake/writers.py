"""Writers of a table and its collector: files go only while nobody is about to list them.

Keeps true: between a writer's look at his data file and the commit that lists it, nothing is
collected; and while the collector compares what lies there with what versions list, nobody commits.
Writers do not wait for each other. The lock is on the folder of the log itself, so that there is no
other file, and it ends with its process. Like the lock of pins it is one of this host.

>>> import tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     Path(folder, LOG_FOLDER).mkdir()
...     with writing(Path(folder)), writing(Path(folder)):
...         print("side by side")
side by side
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backstory.lake.commits import LOG_FOLDER
from backstory.lake.object_path import is_object


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Nothing of the table in a folder is collected meanwhile."""
    with _locked(folder, fcntl.LOCK_SH):
        yield


@contextmanager
def collecting(folder: Path) -> Iterator[None]:
    """Nobody commits to the table in a folder meanwhile."""
    with _locked(folder, fcntl.LOCK_EX):
        yield


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    if is_object(folder):  # no lock can be held there, and nothing is collected
        yield
        return
    descriptor = os.open(folder / LOG_FOLDER, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)
