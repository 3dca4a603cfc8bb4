"""What pins keep, in bytes: all of it, and what would be free if one of them ended.

A file belongs to a pin alone when neither the newest version of its table nor another pin needs it.
Copies lie beside their pin and go with its last holder; a watched table's files are not ours to
keep, so a pin that watches keeps nothing.
"""

from collections import Counter
from collections.abc import Collection
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


def pin_sizes(
    parts: Parts, ref: str | None = None, *, slices: Collection[str] | None = None
) -> list[PinSize]:
    """The pins that hold now, of one slice or of all, each with what it keeps.

    Args:
        ref: one slice; all where nothing is said.
        slices: only the pins of these are weighed and given.

    Raises:
        NotFoundError: there is no such slice.
        IntegrityError: a pin's manifest is damaged.
    """
    by_slice: dict[str, list[Pinned]] = {}
    for pinned in pins(parts, ref):
        name = pinned.snapshot.slice_name
        if slices is None or name in slices:
            by_slice.setdefault(name, []).append(pinned)
    return [
        weighed
        for name, held in by_slice.items()
        for weighed in _weighed(parts.lake.table(name), held)
    ]


def _weighed(table: Table, held: list[Pinned]) -> list[PinSize]:
    """Many pins keep one snapshot: what it has is read and added up once, not for each of them."""
    holders = Counter(map(_kept_by, held))
    kept = {way: _files(way, read_manifest(pins_folder(table) / way[0])) for way in holders}
    needed: Counter[str] = Counter()
    for way, files in kept.items():
        needed.update(dict.fromkeys(files, holders[way]))
    if any(pinned.strength == Strength.HELD for pinned in held):
        needed.update(file.path for file in open_snapshot(table).manifest.files)
    sizes = {
        way: (
            sum(files.values()),
            sum(size for path, size in files.items() if needed[path] == 1),
        )
        for way, files in kept.items()
    }
    return [
        PinSize(pinned=pinned, size=sizes[_kept_by(pinned)][0], alone=sizes[_kept_by(pinned)][1])
        for pinned in held
    ]


def _kept_by(pinned: Pinned) -> tuple[str, str]:
    """What a pin keeps, and how: the snapshot's digest and the strength."""
    return pinned.snapshot.digest, pinned.strength


def _files(way: tuple[str, str], manifest: Manifest) -> dict[str, int]:
    """The files that are kept, by what tells them apart, with their bytes."""
    _, strength = way
    if strength == Strength.WATCHED:
        return {}
    beside = f"{manifest.digest}/" if strength == Strength.COPIED else ""
    return {beside + file.path: file.size for file in manifest.files}
