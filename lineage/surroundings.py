r"""What a home stands on: the file system below it, the modes of its files, and what crashes left.

It looks, and changes nothing.

>>> mounts = '''22 1 8:1 / / rw - ext4 /dev/sda1 rw
... 40 22 0:31 / /srv/my\\040shop rw - nfs4 nas:/shop rw
... '''
>>> file_system_of(Path("/srv/my shop/.backstory"), mounts), file_system_of(Path("/srv"), mounts)
('nfs4', 'ext4')
"""

import re
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backstory.lake.files import TEMPORARY_PREFIX
from backstory.lineage.keys import KEY_FILE
from backstory.lineage.settings import SETTINGS_FILE, Settings

MOUNTS = Path("/proc/self/mountinfo")
LEFT_BEHIND = timedelta(days=1)  # nothing that is being written takes longer

# Locks and shared memory of SQLite do not work, or not for sure, where several machines may write.
NETWORK_FILE_SYSTEMS = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre"),
        *("gpfs", "beegfs", "ocfs2", "gfs2", "9p", "davfs"),
        *(
            "fuse.sshfs",
            "fuse.glusterfs",
            "fuse.s3fs",
            "fuse.rclone",
            "fuse.davfs2",
            "fuse.gcsfuse",
        ),
    }
)

_ESCAPE = re.compile(r"\\([0-7]{3})")
_TEMPORARY = (f"{TEMPORARY_PREFIX}*", f"*/{TEMPORARY_PREFIX}*", f"*/*/{TEMPORARY_PREFIX}*")


def file_system_of(path: Path, mounts: str) -> str:
    """The kind of file system that a path lies on; empty where that cannot be told.

    Args:
        path: absolute, links followed.
        mounts: the text of Linux's `mountinfo`.
    """
    best, kind = Path(), ""
    for line in mounts.splitlines():
        mount, _, source = line.partition(" - ")
        point = Path(_ESCAPE.sub(lambda code: chr(int(code[1], 8)), mount.split(" ")[4]))
        # Of two at one place the later one covers the earlier one.
        if path.is_relative_to(point) and len(point.parts) >= len(best.parts):
            best, kind = point, source.split(" ")[0]
    return kind


def left_behind(settings: Settings, now: datetime) -> list[Path]:
    """Our temporary files and folders that nobody can still be writing."""
    roots = (settings.lake, settings.artifacts)
    found = (path for root in roots for pattern in _TEMPORARY for path in root.glob(pattern))
    return sorted(path for path in found if _modified(path) < now - LEFT_BEHIND)


def open_to_others(settings: Settings) -> Iterator[tuple[Path, int]]:
    """What others may use and should not, each with the mode that it ought to have."""
    limits = [
        (settings.keys / KEY_FILE, 0o600),
        (settings.keys, 0o700),
        (settings.home / SETTINGS_FILE, 0o660),
        (settings.home, 0o770),  # a group may share a home, and not its keys
    ]
    for path, limit in limits:
        if path.exists() and (mode := stat.S_IMODE(path.stat().st_mode)) & ~limit & 0o777:
            yield path, mode & limit


def _modified(path: Path) -> datetime:
    return datetime.fromtimestamp(path.lstat().st_mtime, UTC)
