"""Where rows of a person lie in the tables of ours, by the subject index and the lives of files.

The index says which data files hold some, and the store in which versions a file was; neither needs
the files. Of a file without a set, as older homes have them, the set is made here and now, while
the file is there; what cannot be told is said.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import accumulate
from pathlib import Path

from backstory.lake.contract import Role
from backstory.lake.errors import BackstoryError
from backstory.lake.subject_index import Held, add_missing, join_sets, look_up, remove_sets
from backstory.lake.table import SliceTable
from backstory.lineage.data_files import record_earlier
from backstory.lineage.parts import Parts
from backstory.lineage.person import Person
from backstory.lineage.store.file_lives import FileLife, file_lives, untold
from backstory.lineage.store.slices import SliceRecord, slices
from backstory.lineage.subject import NotLookedInto


@dataclass(frozen=True, kw_only=True)
class TableRows:
    """The rows of a person in one table.

    Attributes:
        column: the column that says whose a row is.
        files: rows by data file.
        lives: the lives of those files.
    """

    table: SliceTable
    record: SliceRecord
    column: str
    files: Mapping[str, int]
    lives: Sequence[FileLife]

    def at(self, version: int) -> int:
        """How many there are in a version."""
        versions, rows = self.steps
        place = bisect_right(versions, version)
        return rows[place - 1] if place else 0

    def paths_at(self, version: int) -> set[str]:
        """The data files of a version that hold some."""
        return {life.path for life in self.lives if life.at(version)}

    @cached_property
    def steps(self) -> tuple[list[int], list[int]]:
        """The versions at which the number of rows changes, and what it is from each on."""
        changes: Counter[int] = Counter()
        for life in self.lives:
            changes[life.added] += self.files[life.path]
            if life.removed is not None:
                changes[life.removed] -= self.files[life.path]
        versions = sorted(changes)
        return versions, list(accumulate(changes[version] for version in versions))

    @property
    def held(self) -> Iterator[tuple[int, int | None]]:
        """The versions that hold some, as first and last; no last one where the newest does."""
        begun: int | None = None
        for version, rows in zip(*self.steps, strict=True):
            if rows and begun is None:
                begun = version
            if not rows and begun is not None:
                yield begun, version - 1
                begun = None
        if begun is not None:
            yield begun, None


def rows_in(
    parts: Parts, record: SliceRecord, someone: Person, as_of: datetime | None
) -> tuple[TableRows | None, list[NotLookedInto]]:
    """The rows of a person in a table of ours, and what of it could not be told.

    Returns:
        None where its contract has no subject.
    """
    table = parts.lake.slice(record.name)
    column = table.contract.column_with(Role.SUBJECT)
    if column is None:
        return None, []
    gone = record_earlier(parts, record.id, table)
    with parts.store.reader(as_of) as conn:
        lives = file_lives(conn, [record.id])
    held, failed = _indexed(table, someone, {life.path for life in lives})
    unknown = [_unknown(table, len(paths), why) for why, paths in failed.items()]
    if gone:
        unknown.append(_unknown(table, None, f"the log entries of {gone} commits are gone"))
    unknown += _lost(table, held, someone, lives)
    mine = [life for life in lives if life.path in held.files]
    files = {life.path: held.files[life.path] for life in mine}
    found = TableRows(table=table, record=record, column=column.name, files=files, lives=mine)
    return found, unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """What the subject index of a table lacks.

    Attributes:
        files: data files that it does not speak of.
        commits: how many commits there are of whose files nothing is recorded.
        unreadable: sets that are damaged.
    """

    table: SliceTable
    record: SliceRecord
    files: set[str]
    commits: int
    unreadable: Sequence[Path]


def gaps(parts: Parts) -> Iterator[Gaps]:
    """What the subject index of each table of ours lacks; none of one that lacks nothing."""
    with parts.store.reader() as conn:
        records = slices(conn, flavours=("managed", "interactions"))
    for record in records:
        table = parts.lake.slice(record.name)
        if table.contract.column_with(Role.SUBJECT) is None:
            continue
        held = look_up(table.folder, [])
        with parts.store.reader() as conn:
            paths = {life.path for life in file_lives(conn, [record.id])} - held.known.keys()
            commits = len(untold(conn, record.id))
        if paths or commits or held.unreadable:
            yield Gaps(
                table=table,
                record=record,
                files=paths,
                commits=commits,
                unreadable=held.unreadable,
            )


def fill_gaps(parts: Parts) -> int:
    """Make what the subject index lacks from data that is there; tells for how many files.

    Damaged sets go, once others speak of all files.
    """
    for gap in gaps(parts):
        record_earlier(parts, gap.record.id, gap.table)
    made = 0
    for gap in gaps(parts):
        failed = make_index(gap.table, gap.files)
        lost = sum(map(len, failed.values()))
        made += len(gap.files) - lost
        if not lost:
            remove_sets(look_up(gap.table.folder, []).unreadable)  # some were made anew in place
    return made


def make_index(table: SliceTable, paths: set[str]) -> dict[str, list[str]]:
    """Make the sets of data files that have none; those that cannot be, by the reason why."""
    failed: dict[str, list[str]] = {}
    for path in sorted(paths):
        try:
            add_missing(table.folder, path, table.contract)
        except BackstoryError as exc:
            failed.setdefault(_reason(exc), []).append(path)
    join_sets(table.folder)
    return failed


def _indexed(
    table: SliceTable, someone: Person, paths: set[str]
) -> tuple[Held, dict[str, list[str]]]:
    held = look_up(table.folder, someone.numbers)
    if not (missing := paths - held.known.keys()):
        return held, {}
    failed = make_index(table, missing)
    return look_up(table.folder, someone.numbers), failed


def _reason(exc: BackstoryError) -> str:
    """Why, without the file's name, so that files with the same reason are one line."""
    return {"GoneError": "not indexed, and gone", "IntegrityError": "not indexed, and damaged"}.get(
        type(exc).__name__, f"not indexed: {exc.message}"
    )


def _lost(
    table: SliceTable, held: Held, someone: Person, lives: Sequence[FileLife]
) -> Iterator[NotLookedInto]:
    """Rows under keys that the person was not looked for under."""
    rows: Counter[str] = Counter()
    files: Counter[str] = Counter()
    for path in {life.path for life in lives} & held.known.keys():
        for key, count in held.known[path].items():
            if key not in someone.key_ids:
                rows[key] += count
                files[key] += 1
    for key, count in sorted(rows.items()):
        under = f"key {key}: {someone.lost}" if key else "no key: they hold no pseudonyms"
        yield _unknown(table, files[key], f"{count:,} rows are under {under}")


def _unknown(table: SliceTable, files: int | None, why: str) -> NotLookedInto:
    return NotLookedInto(slice=table.name, files=files, why=why)
