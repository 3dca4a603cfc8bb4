"""A version's checkpoint as a table of its own: made aside, read aside.

A folder whose `_delta_log` holds nothing but `<version>.checkpoint.parquet` is a complete Delta
table. Both ways lead through a temporary folder, so that the table's own log is never written to.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deltalake.exceptions import DeltaError

from backstory.lake.commits import LOG_FOLDER
from backstory.lake.errors import GoneError, UnavailableError
from backstory.lake.location import translate_os_error
from backstory.lake.segments import segment
from backstory.lake.versions import TableVersion, describe, open_delta


def make_checkpoint(folder: Path, version: int, target: Path) -> TableVersion:
    """Write the checkpoint of a version to a file, from a copy of the log that builds it.

    Args:
        folder: the table.
        version: which.
        target: the file to write.

    Returns:
        What the log says about the version.

    Raises:
        GoneError: log entries of that version are no longer there.
        UnavailableError: disk full, no permission.
    """
    try:
        with _scratch() as scratch:
            for file in segment(folder, version):
                shutil.copyfile(file.path, scratch / LOG_FOLDER / file.path.name)
            delta = open_delta(scratch, version)
            said = describe(delta, folder)
            delta.create_checkpoint()
            shutil.copyfile(_checkpoint(scratch, version), target)
            return said
    except FileNotFoundError as exc:
        raise GoneError(f"{folder.name}: the log entries of version {version} are gone") from exc
    except DeltaError as exc:
        raise UnavailableError(f"{folder.name}: no checkpoint of version {version}: {exc}") from exc
    except OSError as exc:
        raise translate_os_error(exc, f"checkpoint of {folder.name}@{version}") from exc


def read_checkpoint(path: Path, version: int, folder: Path) -> TableVersion:
    """What a checkpoint alone says about its version.

    Args:
        path: the checkpoint.
        version: whose it is.
        folder: the table's folder, with the data files.

    Raises:
        GoneError: it is missing, or damaged beyond opening.
        IntegrityError: it names files outside the folder.
    """
    with _scratch() as scratch:
        try:
            shutil.copyfile(path, _checkpoint(scratch, version))
        except FileNotFoundError as exc:
            raise GoneError(f"{path} is missing") from exc
        return describe(open_delta(scratch, version), folder)


def _checkpoint(folder: Path, version: int) -> Path:
    return folder / LOG_FOLDER / f"{version:020d}.checkpoint.parquet"


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="backstory-") as name:
        scratch = Path(name)
        (scratch / LOG_FOLDER).mkdir()
        yield scratch
