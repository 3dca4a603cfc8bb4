"""A disk as a power cut leaves it, from the journal of what a process asked of it.

`power_loss.c` writes the journal. A file keeps the bytes that it had when it was last synced, a
folder the names that it had then; what happened since, the disk was free to do in any order, in
part, or not at all. POSIX promises no more, and a file system that promises more is no excuse.

A record is a letter and fields; folders and files are told by their inodes.

    C folder name file     a file was made          W file offset size     bytes were written
    D folder name folder   a folder was made        T file size            it was cut or grown
    R folder name folder name   renamed             S file-or-folder       it was synced
    L folder name folder name   linked              A size                 the process said a line
    U folder name          unlinked
"""

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

SKIPPED = "-shm"  # SQLite's shared memory: not seen by the journal, and built anew after a cut


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One thing that was done."""

    kind: str
    fields: tuple[str, ...]
    data: bytes

    @property
    def said(self) -> str:
        """The lines that the process said."""
        return self.data.decode() if self.kind == "A" else ""


@dataclass(slots=True, eq=False)
class File:
    """A file: as programs see it, as it was synced, and what was done to it since."""

    live: bytes = b""
    synced: bytes = b""
    since: list[Callable[[bytes], bytes]] = field(default_factory=list)

    def change(self, change: Callable[[bytes], bytes]) -> None:
        self.live = change(self.live)
        self.since.append(change)

    def sync(self) -> None:
        self.synced = self.live
        self.since.clear()


@dataclass(slots=True, eq=False)
class Folder:
    """A folder, in the same three ways; a name that goes is one of nothing."""

    live: "dict[str, Node]" = field(default_factory=dict)
    synced: "dict[str, Node]" = field(default_factory=dict)
    since: "list[tuple[str, Node | None]]" = field(default_factory=list)

    def put(self, name: str, node: "Node | None") -> None:
        self.live = _named(self.live, name, node)
        self.since.append((name, node))

    def sync(self) -> None:
        self.synced = self.live
        self.since.clear()


Node = File | Folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What of the things that were not synced the disk had done nevertheless."""

    names: Callable[[Folder], dict[str, Node]]
    data: Callable[[File], bytes]


def nothing() -> Fate:
    """Nothing was done before it had to be."""
    return Fate(names=lambda folder: folder.synced, data=lambda file: file.synced)


def names_first() -> Fate:
    """Names at once, bytes not before they had to be: files of no bytes, as ext4 leaves them."""
    return Fate(names=lambda folder: folder.live, data=lambda file: file.synced)


def bytes_first() -> Fate:
    """Bytes at once, names not before they had to be."""
    return Fate(names=lambda folder: folder.synced, data=lambda file: file.live)


def by_chance(draw: random.Random) -> Fate:
    """Some of it: of each folder's names up to a moment, of each file's writes a few, or halves."""

    def names(folder: Folder) -> dict[str, Node]:
        found = folder.synced
        for name, node in folder.since[: draw.randint(0, len(folder.since))]:
            found = _named(found, name, node)
        return found

    def data(file: File) -> bytes:
        found = file.synced
        for change in file.since:
            if draw.random() < 0.5:
                changed = change(found)
                whole = draw.random() < 0.5 or len(changed) < len(found)
                torn = found[: len(changed)].ljust(len(changed), b"\0")
                at = len(changed) if whole else draw.randint(0, len(changed))
                found = changed[:at] + torn[at:]
        return found

    return Fate(names=names, data=data)


class Disk:
    """A folder, empty at first, and all that is done in it."""

    def __init__(self, root: int) -> None:
        """`root` is the folder's inode."""
        self.root = Folder()
        self._nodes: dict[str, Node] = {str(root): self.root}

    def do(self, record: Record) -> None:
        """What the record says."""
        match record.kind, record.fields:
            case "C" | "D", (folder, name, inode):
                self._nodes[inode] = File() if record.kind == "C" else Folder()
                self._folder(folder).put(_text(name), self._nodes[inode])
            case "W", (file, offset, _):
                self._file(file).change(_writing(int(offset), record.data))
            case "T", (file, size):
                self._file(file).change(_cutting(int(size)))
            case "R" | "L", (old, from_name, new, to_name):
                node = self._folder(old).live[_text(from_name)]
                self._folder(new).put(_text(to_name), node)
                if record.kind == "R":
                    self._folder(old).put(_text(from_name), None)
            case "U", (folder, name):
                self._folder(folder).put(_text(name), None)
            case "S", (inode,):
                self._nodes[inode].sync()
            case "A", _:
                pass
            case other:
                raise AssertionError(f"no such record: {other}")

    def after(self, fate: Fate, to: Path) -> Path:
        """Write out what would be found if the power failed now."""
        shutil.rmtree(to, ignore_errors=True)
        _write(self.root, fate, to)
        return to

    def live(self) -> dict[str, bytes | None]:
        """What programs see: each path with its bytes, None for a folder."""
        return dict(_walk(self.root, ""))

    def _folder(self, inode: str) -> Folder:
        node = self._nodes[inode]
        assert isinstance(node, Folder)
        return node

    def _file(self, inode: str) -> File:
        node = self._nodes[inode]
        assert isinstance(node, File)
        return node


def read_journal(path: Path) -> list[Record]:
    """All records, in order."""
    return list(_records(path.read_bytes()))


def _records(journal: bytes) -> Iterator[Record]:
    at = 0
    while at < len(journal):
        end = journal.index(b"\n", at)
        kind, *fields = journal[at:end].decode("ascii").split(" ")
        size = int(fields[-1]) if kind in "AW" else 0
        at = end + 1 + size
        yield Record(kind=kind, fields=tuple(fields), data=journal[end + 1 : at])


def seen(folder: Path) -> dict[str, bytes | None]:
    """A real folder, as `Disk.live` tells its own."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if not path.name.endswith(SKIPPED)
    }


def _walk(folder: Folder, prefix: str) -> Iterator[tuple[str, bytes | None]]:
    for name, node in folder.live.items():
        if isinstance(node, File) and not name.endswith(SKIPPED):
            yield prefix + name, node.live
        elif isinstance(node, Folder):
            yield prefix + name, None
            yield from _walk(node, f"{prefix}{name}/")


def _write(folder: Folder, fate: Fate, to: Path) -> None:
    to.mkdir(mode=0o700)
    for name, node in fate.names(folder).items():
        if isinstance(node, Folder):
            _write(node, fate, to / name)
        elif not name.endswith(SKIPPED):
            (to / name).write_bytes(fate.data(node))
            (to / name).chmod(0o600)


def _named(names: dict[str, Node], name: str, node: Node | None) -> dict[str, Node]:
    others = {other: kept for other, kept in names.items() if other != name}
    return others if node is None else {**others, name: node}


def _text(name: str) -> str:
    return bytes.fromhex(name).decode()


def _writing(offset: int, data: bytes) -> Callable[[bytes], bytes]:
    def write(before: bytes) -> bytes:
        return before[:offset].ljust(offset, b"\0") + data + before[offset + len(data) :]

    return write


def _cutting(size: int) -> Callable[[bytes], bytes]:
    return lambda before: before[:size].ljust(size, b"\0")
