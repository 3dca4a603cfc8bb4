"""What pins keep, in bytes: all of it, and what would be free if one of them ended.

A file belongs to a pin alone when neither the newest version of its table nor another pin needs it.
Copies lie beside their pin and go with its last holder; a watched table's files are not ours to
keep, so a pin that watches keeps nothing.
"""

from collections import Counter
from dataclasses import dataclass

from backstory.lake.manifest import Manifest
from backstory.lake.pinned import Strength, pins_folder, read_manifest
from backstory.lake.snapshot import Table, open_snapshot
from backstory.lineage.parts import Parts
from backstory.lineage.pinning import Pinned, pins


@dataclass(frozen=True, slots=True, kw_only=True)
class PinSize:
    """A pin with the bytes that it keeps.

    Attributes:
        pinned: the pin.
        size: bytes of all files that it keeps.
        alone: bytes that nothing else keeps.
    """

    pinned: Pinned
    size: int
    alone: int


def pin_sizes(parts: Parts, ref: str | None = None) -> list[PinSize]:
    """The pins that hold now, of one slice or of all, each with what it keeps.

    Raises:
        NotFoundError: there is no such slice.
        IntegrityError: a pin's manifest is damaged.
    """
    by_slice: dict[str, list[Pinned]] = {}
    for pinned in pins(parts, ref):
        by_slice.setdefault(pinned.snapshot.slice_name, []).append(pinned)
    return [
        weighed
        for name, held in by_slice.items()
        for weighed in _weighed(parts.lake.table(name), held)
    ]


def _weighed(table: Table, held: list[Pinned]) -> list[PinSize]:
    manifests = {
        digest: read_manifest(pins_folder(table) / digest)
        for digest in {pinned.snapshot.digest for pinned in held}
    }
    kept = [_files(pinned, manifests[pinned.snapshot.digest]) for pinned in held]
    needed = Counter(path for files in kept for path in files)
    if any(pinned.strength == Strength.HELD for pinned in held):
        needed.update(file.path for file in open_snapshot(table).manifest.files)
    return [
        PinSize(
            pinned=pinned,
            size=sum(files.values()),
            alone=sum(size for path, size in files.items() if needed[path] == 1),
        )
        for pinned, files in zip(held, kept, strict=True)
    ]


def _files(pinned: Pinned, manifest: Manifest) -> dict[str, int]:
    """The files that a pin keeps, by what tells them apart, with their bytes."""
    if pinned.strength == Strength.WATCHED:
        return {}
    beside = f"{manifest.digest}/" if pinned.strength == Strength.COPIED else ""
    return {beside + file.path: file.size for file in manifest.files}
