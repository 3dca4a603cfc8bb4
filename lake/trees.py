r"""A folder as a text: its files by digest. The digest of the text identifies the folder.

The text form `v1` is canonical (one line each, `\n` ended, UTF-8, sorted by the parts of the path):

    backstory-tree v1
    <path> TAB <size> TAB <x or -> TAB <sha256>

Keeps true: a tree that exists names only files below its folder, each once, none inside another.
Empty folders, owners and times are not part of it. This module is pure.

>>> leaf = TreeFile(path="weights.bin", size=3, executable=False, sha256="a" * 64)
>>> Tree.from_bytes(Tree(files=(leaf,)).to_bytes()).files == (leaf,)
True
"""

import hashlib
import re
from dataclasses import dataclass
from itertools import pairwise

from backstory.lake.errors import IntegrityError, InvalidError, LimitExceededError

MAX_TREE_FILES = 100_000
MAX_PATH_CHARS = 1_000

_HEADER = "backstory-tree v1"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_UNTELLABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")  # control characters, and no UTF-8
_HINT = "rename it, or leave it out of the artifact"


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeFile:
    """One file of a folder.

    Attributes:
        path: relative to the folder, with `/`.
        size: bytes.
        executable: whether its owner may run it.
        sha256: 64 hex digits of its bytes.
    """

    path: str
    size: int
    executable: bool
    sha256: str

    def __post_init__(self) -> None:
        if _UNTELLABLE.search(self.path) or len(self.path) > MAX_PATH_CHARS:
            raise InvalidError(f"file name {self.path[:80]!r} cannot be kept", hint=_HINT)
        if any(part in {"", ".", ".."} for part in self.path.split("/")):
            raise InvalidError(f"file path {self.path!r} leaves its folder", hint=_HINT)
        if self.size < 0 or not _SHA256.fullmatch(self.sha256):
            raise InvalidError(
                f"file {self.path!r} has no size or digest", hint="give both, as Blobs.put does"
            )

    def to_line(self) -> str:
        """The file's line of the text form, without its end."""
        mode = "x" if self.executable else "-"
        return f"{self.path}\t{self.size}\t{mode}\t{self.sha256}"

    @classmethod
    def from_line(cls, line: str) -> "TreeFile":
        """Read one line of the text form.

        Raises:
            ValueError: the line does not have four fields of the right kinds.
        """
        path, size, mode, sha256 = line.split("\t")
        return cls(path=path, size=int(size), executable=mode == "x", sha256=sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The files of one folder, sorted by path."""

    files: tuple[TreeFile, ...]

    def __post_init__(self) -> None:
        if not self.files:
            raise InvalidError("the folder holds no file", hint="an artifact has at least one file")
        if len(self.files) > MAX_TREE_FILES:
            raise LimitExceededError(
                f"the folder holds more than {MAX_TREE_FILES} files", hint="pack it into one file"
            )
        files = tuple(sorted(self.files, key=lambda file: file.path.split("/")))
        object.__setattr__(self, "files", files)
        for before, after in pairwise(files):
            if f"{after.path}/".startswith(f"{before.path}/"):
                raise InvalidError(
                    f"file {before.path!r} is named twice or as a folder",
                    hint="give each file a path of its own",
                )

    @property
    def size(self) -> int:
        """Bytes over all files."""
        return sum(file.size for file in self.files)

    @property
    def digest(self) -> str:
        """SHA-256 of the text form, 64 hex digits: the folder's identity."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """The canonical text form `v1`."""
        return "\n".join([_HEADER, *(file.to_line() for file in self.files), ""]).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Tree":
        """Read the canonical text form.

        Raises:
            IntegrityError: the bytes are not what `to_bytes` makes.
        """
        try:
            _, *lines, _ = data.decode().split("\n")
            tree = cls(files=tuple(TreeFile.from_line(line) for line in lines))
        except (ValueError, InvalidError) as exc:
            raise IntegrityError(f"artifact tree does not parse: {exc}") from exc
        if tree.to_bytes() != data:
            raise IntegrityError("artifact tree is not in its canonical form (backstory-tree v1)")
        return tree
