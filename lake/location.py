"""Names, folders and paths: where things lie, and that nothing lies outside.

Keeps true: a name and its folder determine each other, no table lies inside another (`/` becomes
`__`), a leading `_` belongs to Backstory, and no path that comes from a log, a manifest or a user
leaves the folder it was given for. It opens no file.

>>> folder_of("thumbs/en"), name_of("thumbs__en")
('thumbs__en', 'thumbs/en')
>>> folder_of(interactions_of("ranker"))
'_interactions__ranker'
"""

import errno
import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from backstory.lake.errors import (
    IntegrityError,
    InvalidError,
    NotPermittedError,
    UnavailableError,
)
from backstory.lake.object_path import is_object, parse_object

LAID = "laid"  # among artifacts: where they are laid out to be used in place
MAX_NAME_PARTS = 4
MAX_NAME_LENGTH = 200  # with the interactions' prefix a folder stays within the usual 255 bytes

_PART = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_SEPARATOR = re.compile(r"__(?!_)")  # a part may end in "_" and never starts with it
_INTERACTIONS = "_interactions"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?=://)")

_NOT_PERMITTED = {errno.EACCES, errno.EPERM, errno.EROFS}
_HINTS = {
    errno.ENOSPC: "free some space on that disk, then repeat the command",
    errno.EDQUOT: "free some space within the quota, then repeat the command",
    errno.EFBIG: "the file size limit (ulimit -f) or the file system does not allow such a file",
    errno.EACCES: "check the permissions of that path and who runs this command",
    errno.EPERM: "check the permissions of that path and who runs this command",
    errno.EROFS: "that file system is read-only: mount it writable or use another folder",
    errno.ENOENT: "check that the folder exists and that nobody removes it meanwhile",
    errno.ENOTDIR: "a part of that path is a file; it must be a folder",
    errno.EISDIR: "that path is a folder; it must be a file",
    errno.ENAMETOOLONG: "choose a shorter name or a folder nearer to the root",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
}
_UNOPENABLE = re.compile(r"[\[\]|^\\\x00-\x1f]|%[0-9A-Fa-f]{2}")


def check_name(name: str) -> str:
    """Return the name of a slice or model that a user gave, if it is one.

    Raises:
        InvalidError: it breaks the name rules.
    """
    parts = name.split("/")
    good = (
        len(name) <= MAX_NAME_LENGTH
        and len(parts) <= MAX_NAME_PARTS
        and all(_PART.fullmatch(part) and "__" not in part for part in parts)
    )
    if not good:
        raise InvalidError(
            f"{name[:80]!r} is no name: lower-case letters, digits, '-' and single '_', up to "
            f"{MAX_NAME_PARTS} parts joined by '/', a letter or digit first in each",
            hint="for example thumbs/en or ranker-v2",
        )
    return name


def check_table_name(name: str) -> str:
    """Return the name of a table: a slice's, or that of a model's interactions.

    Raises:
        InvalidError: it is neither.
    """
    check_name(name.removeprefix(f"{_INTERACTIONS}/"))
    return name


def interactions_of(model: str) -> str:
    """The name of the table that holds a model's interactions."""
    return f"{_INTERACTIONS}/{check_name(model)}"


def is_interactions(name: str) -> bool:
    """Whether a table holds the interactions of a model."""
    return name.startswith(f"{_INTERACTIONS}/")


def folder_of(name: str) -> str:
    """The folder of a table below the lake's root."""
    return check_table_name(name).replace("/", "__")


def name_of(folder: str) -> str:
    """The table that a folder below the lake's root belongs to.

    Raises:
        InvalidError: the folder is not one that `folder_of` makes.
    """
    return check_table_name(_SEPARATOR.sub("/", folder))


def check_openable(folder: Path) -> None:
    """Refuse a place where delta-rs would look elsewhere or panic.

    Raises:
        InvalidError: the folder's path has characters that delta-rs cannot take.
    """
    found = _UNOPENABLE.search(str(folder.absolute()))
    if found:
        raise InvalidError(
            f"a Delta table cannot be opened at {folder}: {found.group()!r} is in its path",
            hint="move or rename that folder",
        )


def inside(root: Path, relative: str) -> Path:
    """Join a relative path to its root, links followed.

    Raises:
        IntegrityError: the path is absolute, climbs with `..`, or a link leads it out of the root.
    """
    parts = relative.split("/")
    if not relative or "\0" in relative or relative.startswith("/") or ".." in parts:
        raise IntegrityError(
            f"path {relative!r} leaves {root}",
            hint="the table or artifact is damaged or was made to mislead; do not use it",
        )
    path = root / relative
    if is_object(root):
        return path
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise IntegrityError(
            f"path {relative!r} leaves {root} through a link",
            hint="the table or artifact is damaged or was made to mislead; do not use it",
        )
    return path


def place_of(uri: str) -> Path:
    """The place that a path, a `file://` or an `s3://` address means.

    Raises:
        InvalidError: the address has another scheme, names another machine, or no place.
    """
    return parse_object(uri) if uri.startswith("s3://") else local_path(uri)


def local_path(uri: str) -> Path:
    """The local path that a path or `file://` URI means.

    Raises:
        InvalidError: the URI has another scheme or names another machine.
    """
    scheme = _SCHEME.match(uri)
    if scheme is None and uri and "\0" not in uri:
        return Path(uri)
    url = urlsplit(uri)
    path = unquote(url.path)
    if url.scheme == "file" and url.netloc in {"", "localhost"} and path and "\0" not in path:
        return Path(path)
    # The URI itself may carry credentials: only its scheme is repeated.
    raise InvalidError(
        f"cannot open a {url.scheme or 'nameless'} location: only local folders are supported here",
        hint="give a path such as /data/thumbs, or file:///data/thumbs",
    )


def translate_os_error(exc: OSError, what: str) -> UnavailableError:
    """The error to raise `from exc` when the operating system stands in the way of `what`."""
    reason = exc.strerror or type(exc).__name__
    where = f" ({os.fsdecode(exc.filename)})" if isinstance(exc.filename, str | bytes) else ""
    hint = _HINTS.get(exc.errno or 0, "see the reason above, then repeat the command")
    kind = NotPermittedError if exc.errno in _NOT_PERMITTED else UnavailableError
    return kind(f"{what}: {reason}{where}", hint=hint)
