"""Which changed files hold the same rows as others: what compaction moved is no change.

Keeps true: what is left out balances, by the number of rows and by logical sums: the rows of the
files that went are those of the files that came, each as often. Sums are looked for in this order:

1. over everything: a table that was only compacted has no change at all;
2. over each group of files that commits without a change of data link, with what commits with one
   brought into the group and took out of it: appends that were compacted meanwhile are left, as
   the files that were appended;
3. over all that went and some files that came one after the other: the log was trimmed.

Files without a sum are never left out. It reads nothing: who calls it knows files, sums and log.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from backstory.lake.manifest import ManifestFile

_MODULUS = 1 << 128

Pair = tuple[tuple[ManifestFile, ...], tuple[ManifestFile, ...]]
"""Files that went, and files that came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one commit did with files, by path.

    Attributes:
        moved: files that came or went while the rows stayed what they were.
        came: files with new rows.
        went: files whose rows went.
    """

    moved: frozenset[str]
    came: frozenset[str]
    went: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """What a log says of the files of two versions and of those in between.

    Attributes:
        files: by path.
        sums: the logical sum of each that has one, 32 hex digits.
        steps: the commits between the two that are still told.
    """

    files: Mapping[str, ManifestFile]
    sums: Mapping[str, str]
    steps: Sequence[Step]


def balances(
    removed: Sequence[ManifestFile], added: Sequence[ManifestFile], sums: Mapping[str, str]
) -> bool:
    """Whether files that went and files that came hold the same rows."""
    weigh = _Scales(sums)
    weight = weigh(removed)
    return weight is not None and weight == weigh(added)


def unbalanced(
    removed: Sequence[ManifestFile],
    added: Sequence[ManifestFile],
    logged: Logged,
    *,
    is_there: Callable[[ManifestFile], bool],
) -> Pair:
    """The files that differ in rows, from an older version to a newer one.

    Args:
        removed: files that only the older version lists.
        added: files that only the newer one lists.
        logged: what the log says.
        is_there: whether the bytes of a file that lay in between can still be read.
    """
    weigh = _Scales(logged.sums)
    went, came = dict(_by_path(removed)), dict(_by_path(added))
    for group in _linked(logged.steps):
        before = [went[path] for path in group & went.keys()]
        after = [came[path] for path in group & came.keys()]
        change = _told_change(group, logged)
        if change is None or not _is_less(change, (before, after), weigh, is_there):
            continue
        for path in group:
            went.pop(path, None)
            came.pop(path, None)
        went.update(_by_path(change[0]))
        came.update(_by_path(change[1]))
    return _without_run(list(went.values()), list(came.values()), weigh)


class _Scales:
    """Weighs files: number of rows and sum of sums; None where a file has no sum."""

    def __init__(self, sums: Mapping[str, str]) -> None:
        self._sums = {path: int(text, 16) for path, text in sums.items()}

    def __call__(self, files: Iterable[ManifestFile]) -> tuple[int, int] | None:
        rows = total = 0
        for file in files:
            if (known := self._sums.get(file.path)) is None:
                return None
            rows += file.rows
            total += known
        return rows, total % _MODULUS

    def differ_alike(self, one: Pair, other: Pair) -> bool:
        """Whether from the first to the second of each pair lies the same."""
        weighed = [self(files) for files in (one[1], other[0], other[1], one[0])]
        if None in weighed:
            return False
        (rows, total), (rows2, total2), (rows3, total3), (rows4, total4) = filter(None, weighed)
        return rows + rows2 == rows3 + rows4 and not (total + total2 - total3 - total4) % _MODULUS


def _by_path(files: Iterable[ManifestFile]) -> Iterable[tuple[str, ManifestFile]]:
    return ((file.path, file) for file in files)


def _linked(steps: Iterable[Step]) -> list[set[str]]:
    """The files that commits without a change of data made of each other, group by group."""
    groups: dict[str, set[str]] = {}
    for step in steps:
        group = set(step.moved)
        for path in step.moved:
            group |= groups.get(path, set())
        groups.update(dict.fromkeys(group, group))
    return list({id(group): group for group in groups.values()}.values())


def _told_change(group: set[str], logged: Logged) -> Pair | None:
    """What commits with a change of data did to a group; None where a file of it is unknown."""
    came = {path for step in logged.steps for path in step.came & group}
    went = {path for step in logged.steps for path in step.went & group}
    if not (came ^ went) <= logged.files.keys():
        return None
    taken = tuple(logged.files[path] for path in sorted(went - came))
    return taken, tuple(logged.files[path] for path in sorted(came - went))


def _is_less(
    change: Pair,
    seen: tuple[list[ManifestFile], list[ManifestFile]],
    weigh: _Scales,
    is_there: Callable[[ManifestFile], bool],
) -> bool:
    """Whether what the log tells is the whole difference, smaller and still to be read."""
    before, after = seen
    whole = sum(file.rows for file in (*before, *after))
    told = [*change[0], *change[1]]
    return (
        sum(file.rows for file in told) < whole
        and weigh.differ_alike(change, (tuple(before), tuple(after)))
        and all(map(is_there, told))
    )


def _without_run(went: list[ManifestFile], came: list[ManifestFile], weigh: _Scales) -> Pair:
    """Both without all that went, where files that came one after the other have its rows.

    Our files' names begin with the time of writing: what one compaction wrote stands together.
    """
    came.sort(key=lambda file: file.path)
    goal, parts = weigh(went), [weigh([file]) for file in came]
    if goal is not None and goal[0]:
        seen = {(0, 0): 0}
        rows = total = 0
        for end, part in enumerate(parts, start=1):
            if part is None:
                break
            rows, total = rows + part[0], (total + part[1]) % _MODULUS
            start = seen.get((rows - goal[0], (total - goal[1]) % _MODULUS))
            if start is not None:
                return (), (*came[:start], *came[end:])
            seen.setdefault((rows, total), end)
    return tuple(went), tuple(came)
