"""What a training was run with: its code, its environment, its command line.

Only what is asked for is looked at: the Git commit and the patch against it, a lock file beside the
code, the Python version and the command. No environment variable is recorded. The command passes
the redactor. Whatever cannot be found is None, and shown as "not captured", never as "none".
"""

import hashlib
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backstory.lineage.redaction import redact_args, redact_url

MAX_PATCH_BYTES = 5 * 1024 * 1024
GIT_TIMEOUT = 10.0  # seconds
LOCK_FILES = ("uv.lock", "poetry.lock", "pylock.toml", "requirements.lock", "requirements.txt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """The code of a run.

    Attributes:
        commit: the Git commit, 40 hex digits; None outside Git.
        repository: the URL of the remote `origin`, without credentials.
        patch: what the working tree changes against the commit; empty when it is clean, None when
            it is larger than `MAX_PATCH_BYTES` or could not be read.
        dirty: whether the working tree differs from the commit.
        command: the command line, redacted.
        patch_digest: SHA-256 of the patch, where there is one.
    """

    commit: str | None = None
    repository: str | None = None
    patch: bytes | None = None
    dirty: bool = False
    command: tuple[str, ...] = ()
    patch_digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The environment of a run: Python's version, the platform, and a lock file by its digest."""

    python: str
    platform: str
    lock_file: str | None = None
    lock_digest: str | None = None


def capture_code(folder: Path, argv: Sequence[str] | None = None) -> Code:
    """The code that runs in a folder."""
    command = tuple(redact_args(sys.argv if argv is None else argv))
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return Code(command=command)
    status = _git(folder, "status", "--porcelain")
    dirty = status is None or bool(status.strip())
    patch = _git(folder, "diff", "--binary", "HEAD") if dirty else b""
    remote = _git(folder, "config", "--get", "remote.origin.url")
    kept = patch if patch is None or len(patch) <= MAX_PATCH_BYTES else None
    return Code(
        commit=commit.decode().strip(),
        repository=redact_url(remote.decode().strip()) if remote else None,
        patch=kept,
        dirty=dirty,
        command=command,
        patch_digest=hashlib.sha256(kept).hexdigest() if kept else None,
    )


def capture_environment(folder: Path) -> Environment:
    """The environment of this process; the lock file is looked for in the folder and above."""
    lock = next(
        (
            place / name
            for place in (folder, *folder.parents)
            for name in LOCK_FILES
            if (place / name).is_file()
        ),
        None,
    )
    return Environment(
        python=platform.python_version(),
        platform=platform.platform(),
        lock_file=lock.name if lock else None,
        lock_digest=hashlib.sha256(lock.read_bytes()).hexdigest() if lock else None,
    )


def _git(folder: Path, *args: str) -> bytes | None:
    """What Git says, or None where there is no Git, no repository or no answer in time."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments, no shell
            ["git", "-C", str(folder), *args],  # noqa: S607 - the user's own Git
            check=True,
            capture_output=True,
            timeout=GIT_TIMEOUT,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
