"""Artifacts by digest: whole files and whole folders, each kept once.

A file lies at `sha256/<2 hex>/<64 hex>`, its name being its digest; a folder is a tree text (see
`backstory.lake.trees`) at the same place with the ending `.tree`, and its files lie beside it.

Keeps true: what has a name here has been written and synced whole; what is handed out has been
hashed on the way. An artifact never reaches outside its folder: links that point into the folder
are kept as what they point to, links out of it, dangling links, linked folders and special files
are refused. Empty folders are not kept. It forgets nothing. To be used in place, a folder is laid
out once below `laid/`, a copy that may be deleted at any time.

>>> import tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     blobs = Blobs(Path(folder))
...     artifact = blobs.put_bytes(b"weights", "model.bin")
...     blobs.read(artifact.digest)
b'weights'
"""

import hashlib
import io
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from backstory.lake.crash import crashpoint
from backstory.lake.errors import (
    ConflictError,
    IntegrityError,
    InvalidError,
    LimitExceededError,
    NotFoundError,
    UnavailableError,
)
from backstory.lake.files import (
    TEMPORARY_PREFIX,
    hash_file,
    make_folder,
    put_in_place,
    sync_folder,
    sync_folders,
    sync_open,
    temporary_file,
)
from backstory.lake.findings import Finding
from backstory.lake.location import LAID, translate_os_error
from backstory.lake.object_path import is_object
from backstory.lake.trees import MAX_TREE_FILES, Tree, TreeFile

MAX_ARTIFACT_BYTES = 1 << 40
MAX_READ_BYTES = 1 << 28

_TREE = ".tree"
_CHUNK = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file or folder that is kept.

    Attributes:
        digest: SHA-256 of the file, or of the folder's tree text.
        kind: file or tree.
        size: bytes over all files.
        files: how many.
        name: what the file or folder was called.
    """

    digest: str
    kind: Literal["file", "tree"]
    size: int
    files: int
    name: str


class Blobs:
    """The artifacts of a home, below one folder.

    Args:
        root: that folder.
        laid: where they are laid out to be used in place, on this machine; within it by default.
    """

    def __init__(self, root: Path, laid: Path | None = None) -> None:
        self._root = root
        self._laid = laid or root / LAID

    def put(self, path: Path) -> Artifact:
        """Keep a file or a folder; what is here already is not written again.

        Raises:
            NotFoundError: nothing is there.
            InvalidError: a special file, or a link that leaves the folder.
            LimitExceededError: too many files or bytes.
            ConflictError: a file changed while it was read.
            UnavailableError: disk full, no permission.
        """
        name = path.resolve().name
        try:
            if path.is_dir():
                tree = Tree(files=tuple(_tree_files(path, self._put_file)))
                digest = self._keep_bytes(tree.to_bytes(), _TREE)
                return Artifact(
                    digest=digest, kind="tree", size=tree.size, files=len(tree.files), name=name
                )
            digest, size = self._put_file(path)
        except FileNotFoundError as exc:
            raise NotFoundError(f"there is no file {path}", hint="check its path") from exc
        except OSError as exc:
            raise translate_os_error(exc, f"keeping {path}") from exc
        return Artifact(digest=digest, kind="file", size=size, files=1, name=name)

    def digest_of(self, path: Path) -> str:
        """The digest that a file or folder has, or would have here; nothing is kept.

        Raises:
            NotFoundError: nothing is there.
            InvalidError: a special file, or a link that leaves the folder.
            LimitExceededError: too many files or bytes.
            UnavailableError: it cannot be read.
        """
        try:
            if path.is_dir():
                tree = Tree(files=tuple(_tree_files(path, _hash_regular)))
                return hashlib.sha256(tree.to_bytes()).hexdigest()
            return _hash_regular(path)[0]
        except FileNotFoundError as exc:
            raise NotFoundError(f"there is no file {path}", hint="check its path") from exc
        except OSError as exc:
            raise translate_os_error(exc, f"hashing {path}") from exc

    def place(self, digest: str) -> Path:
        """Where an artifact can be read as it is, hashed just now; not to be written to.

        Raises:
            NotFoundError: it is not here.
            IntegrityError: the bytes are not what was kept.
            UnavailableError: disk full, no permission.
        """
        path = self._path(digest)
        if self._tree(digest) is not None or is_object(self._root):
            path = self._laid / digest
            if not path.exists():
                self._lay_out(digest, path)
        elif not path.exists():
            raise _absent(digest)
        if (found := self.digest_of(path)) != digest:
            raise IntegrityError(
                f"{path} is not artifact {digest}: its bytes are {found}",
                hint="restore it from a backup"
                if path == self._path(digest)
                else "delete that folder, it is a copy",
            )
        return path

    def put_bytes(self, data: bytes, name: str) -> Artifact:
        """Keep bytes as a file.

        Raises:
            UnavailableError: disk full, no permission.
        """
        digest = self._keep_bytes(data)
        return Artifact(digest=digest, kind="file", size=len(data), files=1, name=name)

    def has(self, digest: str) -> bool:
        """Whether an artifact of that digest is here; its bytes are not looked at."""
        return self._tree_path(digest).exists() or self._path(digest).exists()

    def uri(self, digest: str) -> str:
        """Where an artifact's file, or the text of its tree, lies."""
        tree = self._tree_path(digest)
        return str(tree if tree.exists() else self._path(digest))

    def digests(self) -> Iterator[str]:
        """Everything that is here, files of folders too, in no order."""
        return (digest for digest, _ in self.files())

    def files(self) -> Iterator[tuple[str, Path]]:
        """The same, each with where it lies."""
        for path in self._root.glob("sha256/*/*"):
            if _DIGEST.fullmatch(path.stem):
                yield path.stem, path

    def read(self, digest: str) -> bytes:
        """The bytes of a file, hashed on the way.

        Raises:
            NotFoundError: it is not here.
            LimitExceededError: it is larger than `MAX_READ_BYTES`; `write_to` has no such bound.
            IntegrityError: the bytes are not what was kept.
        """
        return self._read(self._path(digest), digest)

    def write_to(self, digest: str, dest: Path) -> None:
        """Write an artifact out, hashed on the way: all of it, or nothing is there.

        Args:
            digest: which.
            dest: the file or folder to make; absent, or for a folder an empty one.

        Raises:
            NotFoundError: it is not here.
            ConflictError: something is at `dest` already.
            IntegrityError: the bytes are not what was kept.
            UnavailableError: disk full, no permission.
        """
        tree = self._tree(digest)
        if dest.is_symlink() or (dest.exists() and not (tree and _is_empty_folder(dest))):
            raise ConflictError(f"{dest} exists already", hint="write into an empty or new folder")
        try:
            make_folder(dest.parent)
            with tempfile.TemporaryDirectory(dir=dest.parent, prefix=TEMPORARY_PREFIX) as aside:
                made = Path(aside) / "made"
                if tree:
                    self._write_tree(tree, made)
                else:
                    self._write_file(digest, made)
                made.rename(dest)
            sync_folder(dest.parent)
        except OSError as exc:
            raise translate_os_error(exc, f"writing {dest}") from exc

    def verify(self, digest: str, kind: str | None = None) -> Iterator[Finding]:
        """Hash an artifact again, and each file of a folder; yield what is not as it was kept.

        Args:
            digest: which.
            kind: what it was kept as, "file" or "tree"; what is here where nothing is said.
        """
        where = f"artifact {digest}"
        is_tree = self._tree_path(digest).exists() if kind is None else kind == "tree"
        if not is_tree:
            yield from self._verify_file(self._path(digest), digest, where)
            return
        damage = list(self._verify_file(self._tree_path(digest), digest, where))
        yield from damage
        tree = None if damage else self._tree(digest)
        for file in tree.files if tree else ():
            found = self._verify_file(self._path(file.sha256), file.sha256, f"{where} {file.path}")
            yield from found

    def _path(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise InvalidError(
                f"{digest[:80]!r} is no digest: 64 digits of 0-9 and a-f",
                hint="copy it from `backstory models --json`",
            )
        return self._root / "sha256" / digest[:2] / digest

    def _tree_path(self, digest: str) -> Path:
        return self._path(digest).with_suffix(_TREE)

    def _lay_out(self, digest: str, path: Path) -> None:
        try:
            self.write_to(digest, path)
        except (ConflictError, UnavailableError):
            if not path.exists():  # else another process was faster
                raise

    def _put_file(self, source: Path) -> tuple[str, int]:
        """Hash first: a base model that is registered each day is written once."""
        digest, size = _hash_regular(source)
        if not self._path(digest).exists():
            with source.open("rb") as file:
                self._keep(file, self._path(digest), digest, str(source))
        return digest, size

    def _keep_bytes(self, data: bytes, ending: str = "") -> str:
        digest = hashlib.sha256(data).hexdigest()
        path = self._path(digest).with_suffix(ending)
        if not path.exists():
            self._keep(io.BytesIO(data), path, digest, "what was given")
        return digest

    def _keep(self, source: IO[bytes], path: Path, digest: str, what: str) -> None:
        make_folder(path.parent)
        with temporary_file(path.parent) as file:
            if _copy(source, file) != digest:
                raise ConflictError(f"{what} changed while it was read", hint="keep it again")
            sync_open(file)
            crashpoint("blob.written")
            put_in_place(file, path)
        crashpoint("blob.renamed")

    def _tree(self, digest: str) -> Tree | None:
        """The folder of that digest; None for a file."""
        path = self._tree_path(digest)
        return Tree.from_bytes(self._read(path, digest)) if path.exists() else None

    def _read(self, path: Path, digest: str) -> bytes:
        with _opened(path, digest) as file:
            data = file.read(MAX_READ_BYTES + 1)
        if len(data) > MAX_READ_BYTES:
            raise LimitExceededError(
                f"artifact {digest} is larger than {MAX_READ_BYTES} bytes",
                hint="write it to a file instead, with write_to",
            )
        _check_digest(hashlib.sha256(data).hexdigest(), digest)
        return data

    def _write_tree(self, tree: Tree, folder: Path) -> None:
        for file in tree.files:
            path = folder / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            self._write_file(file.sha256, path, executable=file.executable)
        sync_folders(folder)

    def _write_file(self, digest: str, path: Path, *, executable: bool = False) -> None:
        with _opened(self._path(digest), digest) as source, path.open("xb") as file:
            _check_digest(_copy(source, file), digest)
            if executable:
                path.chmod(path.stat().st_mode | stat.S_IXUSR)
            sync_open(file)

    def _verify_file(self, path: Path, digest: str, where: str) -> Iterator[Finding]:
        try:
            found, problem = hash_file(path)[0], "changed"
        except FileNotFoundError:
            found, problem = "nothing", "missing"
        except OSError as exc:
            found, problem = exc.strerror or type(exc).__name__, "unreadable"
        if found != digest:
            relative = path.relative_to(self._root).as_posix()
            yield Finding(where=where, path=relative, problem=problem, expected=digest, found=found)


def _tree_files(folder: Path, take: Callable[[Path], tuple[str, int]]) -> Iterator[TreeFile]:
    """What a tree says of each file of a folder; `take` gives a file's digest and size."""
    total = 0
    for source in _files_below(folder):
        digest, size = take(source)
        total += size
        _check_size(total, folder)
        yield TreeFile(
            path=source.relative_to(folder).as_posix(),
            size=size,
            executable=bool(source.stat().st_mode & stat.S_IXUSR),
            sha256=digest,
        )


def _hash_regular(source: Path) -> tuple[str, int]:
    """Digest and size of a file."""
    about = source.stat()
    if not stat.S_ISREG(about.st_mode):  # a pipe or device might never end
        raise InvalidError(f"{source} is no file", hint="keep only files and folders of files")
    _check_size(about.st_size, source)
    return hash_file(source)


def _files_below(folder: Path) -> Iterator[Path]:
    """Every file of a folder, at any depth, none of them outside.

    Raises:
        InvalidError: a link leads out, nowhere or to a folder.
        LimitExceededError: more files than a tree may have.
    """
    root = folder.resolve()
    count = 0
    for parent, folders, files in os.walk(folder, onerror=_raise):
        for path in (Path(parent) / name for name in (*folders, *files)):
            if path.is_symlink() and not _leads_to_file_in(path, root):
                raise InvalidError(
                    f"link {path} does not lead to a file inside {folder.name}",
                    hint="copy what it points to into the folder first (cp -rL does)",
                )
        count += len(files)
        if count > MAX_TREE_FILES:
            raise LimitExceededError(
                f"{folder} holds more than {MAX_TREE_FILES} files", hint="pack it into one file"
            )
        yield from (Path(parent) / name for name in files)


def _leads_to_file_in(link: Path, root: Path) -> bool:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):  # dangling, or a circle of links
        return False
    return target.is_file() and target.is_relative_to(root)


def _raise(error: OSError) -> None:
    raise error


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _opened(path: Path, digest: str) -> IO[bytes]:
    try:
        return path.open("rb")
    except FileNotFoundError as exc:
        raise _absent(digest) from exc
    except OSError as exc:
        raise translate_os_error(exc, f"reading artifact {digest}") from exc


def _absent(digest: str) -> NotFoundError:
    return NotFoundError(f"artifact {digest} is not in this home")


def _copy(source: IO[bytes], target: IO[bytes]) -> str:
    """Copy to the end; the digest of what went through."""
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()


def _check_size(size: int, path: Path) -> None:
    if size > MAX_ARTIFACT_BYTES:
        raise LimitExceededError(
            f"{path} is larger than {MAX_ARTIFACT_BYTES} bytes",
            hint="keep it elsewhere, and register a file that names it",
        )


def _check_digest(found: str, digest: str) -> None:
    if found != digest:
        raise IntegrityError(
            f"artifact {digest} is not what was kept: its bytes are {found}",
            hint="`backstory verify` checks everything; restore it from a backup",
        )
