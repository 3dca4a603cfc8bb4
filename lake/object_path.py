"""Names in an object store, so that a table or an artifact lies there as it lies in a folder.

An `ObjectPath` is a `Path` whose methods speak to a bucket. Callers ask `is_object` where something
differs from a folder: an object appears whole or not at all and survives a power cut, `create`
decides between rivals, a name is never changed afterwards, and no lock can be held.

Keeps true: who we are to the store is known to nobody here. The libraries read `AWS_…` themselves,
from the environment, and of what a server answers only its code is passed on: some repeat the key
that was shown to them.

>>> path = parse_object("s3://shop/lake") / "thumbs" / "_delta_log"
>>> str(path), path.parent.name, is_object(path)
('s3://shop/lake/thumbs/_delta_log', 'thumbs', True)
>>> open(path)
Traceback (most recent call last):
...
TypeError: s3://shop/lake/thumbs/_delta_log is no file of this machine
"""

import errno
import fnmatch
import hashlib
import io
import os
import re
import shutil
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from pathlib import Path, PosixPath
from typing import IO, TYPE_CHECKING, Any

from backstory.lake.errors import InvalidError, NotPermittedError, RefusedError, UnavailableError
from backstory.lake.messages import answer_of, cause_of, plain

if TYPE_CHECKING:
    from obstore.store import S3Store

SCHEME = "s3:"
READ_BYTES = 1 << 20  # at least as much is fetched at once from a file that is read in parts
MAX_RETRIES = 3
RETRY_SECONDS = 30
UNSAFE = ("AWS_S3_ALLOW_UNSAFE_RENAME", "AWS_S3_LOCKING_PROVIDER")

_WHO_HINT = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and what they may do"
STORE_HINT = "check the bucket's name, AWS_REGION and AWS_ENDPOINT_URL, then repeat the command"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_WILD = re.compile(r"[*?\[]")


def is_object(path: Path) -> bool:
    """Whether a path names something in an object store."""
    return isinstance(path, ObjectPath)


def parse_object(uri: str) -> "ObjectPath":
    """The place that an `s3://bucket/name` means.

    Raises:
        InvalidError: the bucket has no name that S3 allows, or the address says more than a name.
    """
    bucket, _, key = uri.removeprefix(f"{SCHEME}//").partition("/")
    parts = key.removesuffix("/").split("/") if key else []
    if not _BUCKET.fullmatch(bucket) or {"", ".", ".."} & set(parts) or re.search(r"[?#@]", uri):
        raise InvalidError(  # the text itself may carry credentials
            "that is no place in an object store",
            hint="give one such as s3://bucket/backstory; who you are is told by AWS_… variables",
        )
    return ObjectPath(SCHEME, bucket, *parts)


def names_in(folder: Path) -> list[str]:
    """The names one step below a folder, in no order: of a bucket, those of objects only.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    if isinstance(folder, ObjectPath):
        return list(folder.sizes())
    return os.listdir(folder)  # noqa: PTH208 - names only: there may be many


def parquet_source(path: Path) -> Path | IO[bytes]:
    """What pyarrow reads a file by, wherever it lies; of an object only the parts it asks for."""
    return path.open("rb") if is_object(path) else path


def fetch(path: Path, target: Path) -> None:
    """Copy a file to where none is on this machine, wherever it lies."""
    if is_object(path):
        with path.open("rb") as source, target.open("xb") as file:
            shutil.copyfileobj(source, file, READ_BYTES)
    else:
        shutil.copyfile(path, target)


def fetched(path: Path, folder: Path) -> Path:
    """Where a file can be read on this machine: an object, where in a folder it is fetched to."""
    if not is_object(path):
        return path
    here = folder / hashlib.sha256(str(path).encode()).hexdigest()
    if not here.exists():
        fetch(path, here)
    return here


class ObjectPath(PosixPath):
    """A name below a bucket; what is not defined here, an object store cannot do."""

    __slots__ = ()

    def __str__(self) -> str:
        first, *others = self.parts
        return "/".join([f"{SCHEME}/", *others] if first == SCHEME else self.parts)

    def __fspath__(self) -> str:
        raise TypeError(f"{self} is no file of this machine")

    def as_posix(self) -> str:
        return str(self)

    def absolute(self) -> "ObjectPath":
        return self

    def resolve(self, strict: bool = False) -> "ObjectPath":
        return self

    def is_symlink(self) -> bool:
        return False

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is an object, or a folder: no folder of ours has an ending."""
        return self.is_file() or (not self.suffix and self.is_dir())

    def is_file(self) -> bool:
        try:
            self.stat()
        except FileNotFoundError:
            return False
        return True

    def is_dir(self) -> bool:
        """Whether anything has a name below this one."""
        import obstore

        with self._told():
            stream = obstore.list(self._store, self._key + "/" if self._key else "", chunk_size=1)
            return next(iter(stream), None) is not None

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        import obstore

        with self._told():
            meta = obstore.head(self._store, self._key)
        at = meta["last_modified"].timestamp()
        return os.stat_result((stat.S_IFREG, 0, 0, 1, 0, 0, meta["size"], at, at, at))

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Make nothing: a folder is there when something is in it."""
        if not exist_ok and self.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self))

    def iterdir(self) -> Generator["ObjectPath", None, None]:
        """What has a name one step below; nothing where no such folder is."""
        import obstore

        with self._told():
            found = obstore.list_with_delimiter(self._store, self._key or None)
        for prefix in found["common_prefixes"]:
            yield self / prefix.rstrip("/").rpartition("/")[2]
        for meta in found["objects"]:
            yield self / meta["path"].rpartition("/")[2]

    def sizes(self) -> dict[str, int]:
        """The bytes of each object one step below, by name."""
        import obstore

        with self._told():
            found = obstore.list_with_delimiter(self._store, self._key or None)
        return {meta["path"].rpartition("/")[2]: meta["size"] for meta in found["objects"]}

    def glob(self, pattern: str) -> Iterator["ObjectPath"]:  # type: ignore[override]
        """What a pattern of names matches; `**` is none."""
        step, _, rest = pattern.partition("/")
        if not _WILD.search(step):
            found = [self / step] if rest or (self / step).exists() else []
        else:
            found = [path for path in self.iterdir() if fnmatch.fnmatchcase(path.name, step)]
        for path in found:
            yield from path.glob(rest) if rest else [path]

    def rglob(self, pattern: str) -> Iterator["ObjectPath"]:  # type: ignore[override]
        """All objects below whose own name a pattern matches."""
        import obstore

        with self._told():
            listed = obstore.list(self._store, self._key + "/" if self._key else "")
            keys = [meta["path"] for metas in listed for meta in metas]
        for key in keys:
            if fnmatch.fnmatchcase(key.rpartition("/")[2], pattern):
                yield ObjectPath(*self.parts[:2], key)

    def open(self, mode: str = "r", *_args: Any, **options: Any) -> IO[Any]:  # type: ignore[override]
        """To be read, in parts where it is large."""
        if mode not in {"r", "rb"}:
            raise io.UnsupportedOperation(f"{self} cannot be written to, only written whole")
        file = io.BufferedReader(_Reader(self), READ_BYTES)
        return file if mode == "rb" else io.TextIOWrapper(file, options.get("encoding"))

    def read_bytes(self) -> bytes:
        import obstore

        with self._told():
            return bytes(obstore.get(self._store, self._key).bytes())

    def read_range(self, start: int, length: int) -> bytes:
        """Some of its bytes."""
        import obstore

        with self._told():
            return bytes(obstore.get_range(self._store, self._key, start=start, length=length))

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        return self.read_bytes().decode(encoding or "utf-8", errors or "strict")

    def write_bytes(self, data: Any) -> int:
        import obstore

        with self._told():
            obstore.put(self._store, self._key, bytes(data))
        return len(data)

    def write_text(self, data: str, *_args: Any, **_options: Any) -> int:
        return self.write_bytes(data.encode())

    def create(self, data: bytes) -> bool:
        """Put an object where none is; False where somebody was faster.

        With the very same bytes nobody was: the library repeats a request whose answer was lost,
        and then meets what it has put itself.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError

        try:
            with self._told():
                obstore.put(self._store, self._key, data, mode="create")
        except AlreadyExistsError:
            return self.read_bytes() == data
        return True

    def upload(self, source: Path) -> None:
        """Put a file of this machine here, in parts where it is large."""
        import obstore

        with self._told():
            obstore.put(self._store, self._key, source)

    def unlink(self, missing_ok: bool = False) -> None:
        import obstore

        if not missing_ok:
            self.stat()  # the store does not tell
        with self._told():
            obstore.delete(self._store, self._key)

    @property
    def _store(self) -> "S3Store":
        return _bucket(self.parts[1], os.getpid())

    @property
    def _key(self) -> str:
        return "/".join(self.parts[2:])

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Make errors of ours of what the store says; what is not there is as on a disk."""
        from obstore import exceptions as met

        try:
            yield
        except FileNotFoundError as exc:
            if "NoSuchBucket" in (said := answer_of(exc)):
                raise UnavailableError(f"{self}: {said}", hint=STORE_HINT) from None
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self)) from None
        except met.AlreadyExistsError:
            raise
        except (met.PermissionDeniedError, met.UnauthenticatedError) as exc:
            raise NotPermittedError(
                f"{self}: {answer_of(exc) or 'not permitted'}", hint=_WHO_HINT
            ) from cause_of(exc)
        except met.BaseError as exc:
            raise UnavailableError(
                f"{self}: {answer_of(exc) or plain(exc)}", hint=STORE_HINT
            ) from cause_of(exc)


class _Reader(io.RawIOBase):
    """An object that is read in parts."""

    def __init__(self, path: ObjectPath) -> None:
        self._path = path
        self._size = path.stat().st_size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), self._size - self._at)
        if length <= 0:
            return 0
        buffer[:length] = self._path.read_range(self._at, length)
        self._at += length
        return length


@lru_cache(maxsize=16)
def _bucket(name: str, _pid: int) -> "S3Store":
    """The library's handle on a bucket; its threads do not survive a fork."""
    from obstore.store import S3Store

    if found := [name for name in UNSAFE if name in os.environ]:
        raise RefusedError(
            f"{found[0]} is set: with it commits to a bucket may overwrite each other",
            hint="unset it; the store itself decides between rivals",
        )
    retries: Any = {"max_retries": MAX_RETRIES, "retry_timeout": timedelta(seconds=RETRY_SECONDS)}
    return S3Store(name, retry_config=retries)
