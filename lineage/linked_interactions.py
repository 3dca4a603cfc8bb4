"""Interactions in tables that others write: by id, by what others call them, nearest to a time.

A table is read in place, as it is now; as of a time, at the version that was known then. Delta's
statistics of the id and the time say which files may hold a row. These files have no digest of
ours, so what is found is as good as its source: imported, or declared.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from backstory.lake import lookup
from backstory.lake.errors import BackstoryError, LimitExceededError, UnavailableError
from backstory.lake.snapshot import Snapshot, open_snapshot
from backstory.lake.types import describe_type
from backstory.lineage.interaction import Interaction
from backstory.lineage.interaction_mapping import InteractionMapping
from backstory.lineage.parts import Parts
from backstory.lineage.store import slices
from backstory.lineage.store.interaction_links import LinkRecord, links
from backstory.lineage.times import EPOCH

MAX_ROWS_LOOKED_AT = 100_000  # in the time that the beginning of an id spans

_MILLISECOND = timedelta(milliseconds=1)
_REST = timedelta(microseconds=999)
_LAST = 253_402_300_799_999  # milliseconds up to the end of the year 9999
_MAX_DIGITS = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """A table of others at the version at which it is read."""

    link: LinkRecord
    mapping: InteractionMapping
    snapshot: Snapshot

    @property
    def ref(self) -> str:
        """`ranker/interactions@3`."""
        return f"{self.link.slice_name}@{self.snapshot.version}"


Found = tuple[Interaction, Linked]

_log = logging.getLogger(__name__)


def openings(
    parts: Parts, as_of: datetime | None, model: str | None = None
) -> list[Callable[[], Linked]]:
    """What opens each table that is linked, of one model or of all, at the version known then."""
    with parts.store.reader(as_of) as conn:
        known = links(conn, model)
        versions = slices.last_versions(conn) if as_of and known else {}
    return [
        partial(open_link, parts, link, versions[link.slice_name][1] if as_of else None)
        for link in known
    ]


def open_link(parts: Parts, link: LinkRecord, version: int | None = None) -> Linked:
    """A linked table, with every column that is mapped.

    Raises:
        NotFoundError, GoneError: the table or version is not there.
        UnavailableError: a column that is mapped is gone, or of another type.
    """
    snapshot = open_snapshot(parts.lake.table(link.slice_name), version)
    mapping = InteractionMapping.from_json(link.mapping)
    for problem in mapping.problems(types_of(snapshot)):
        raise UnavailableError(
            f"{link.uri}: {problem}",
            hint=f"link them anew with `backstory interactions link {link.model} {link.uri}`",
        )
    return Linked(link=link, mapping=mapping, snapshot=snapshot)


def types_of(snapshot: Snapshot) -> dict[str, str]:
    """The type of each column, as contracts write it."""
    return {field.name: describe_type(field.type) for field in snapshot.full_schema}


def by_id(
    parts: Parts, low: str, high: str, as_of: datetime | None = None, *, needed: bool = True
) -> list[Found]:
    """Interactions of others whose id lies between two.

    Args:
        low: the lowest id.
        high: the highest one.
        as_of: as it was known then; as it is now where nothing is said.
        needed: whether a table that cannot be read matters where no other one holds any.

    Raises:
        LimitExceededError: too many rows have a time that fits.
        BackstoryError: a table cannot be read.
    """
    return _everywhere(parts, as_of, lambda place: _by_id(parts, place, low, high), needed=needed)


def by_external_id(parts: Parts, texts: Sequence[str], as_of: datetime | None) -> list[Found]:
    """Interactions of others that a system calls so.

    Raises:
        BackstoryError: a table cannot be read, and no other one holds any.
    """
    return _everywhere(parts, as_of, lambda place: _by_name(parts, place, texts), needed=True)


def subject_columns(conn: Any, slice_id: int) -> set[str]:
    """The columns of a linked slice that name people, as links say that hold."""
    return {
        column
        for link in links(conn)
        if link.slice == slice_id
        if (column := link.mapping["columns"].get("subject")) is not None
    }


def hidden(
    parts: Parts, rows: list[dict[str, Any]], columns: Collection[str]
) -> list[dict[str, Any]]:
    """Rows with pseudonyms in the columns that name people."""
    return [
        {
            name: parts.key.pseudonym(str(value))
            if name in columns and value is not None
            else value
            for name, value in row.items()
        }
        for row in rows
    ]


def nearest_id(
    place: Linked, environment: str, at: datetime, within: timedelta | None
) -> tuple[timedelta, datetime, str] | None:
    """How far from a time the nearest interaction of an environment lies, its time and its id."""
    columns, always = place.mapping.columns, place.mapping.environment
    if "environment" not in columns and always != environment:
        return None
    row = lookup.nearest(
        place.snapshot,
        columns["at"],
        at,
        within,
        columns=list(dict.fromkeys((columns["id"], columns["at"]))),
        equal={} if always else {columns["environment"]: environment},
    )
    if row is None or not _named(place.mapping, row):
        return None
    time = row[columns["at"]]
    return abs(time - at), time, place.mapping.interaction_id(row)


def _everywhere(
    parts: Parts,
    as_of: datetime | None,
    search: Callable[[Linked], Iterator[Found]],
    *,
    needed: bool,
) -> list[Found]:
    """What all tables hold; one that cannot be read matters where nothing else is found."""
    found: list[Found] = []
    failed: BackstoryError | None = None
    for opened in openings(parts, as_of):
        try:
            found += search(opened())
        except LimitExceededError:
            raise
        except BackstoryError as exc:
            failed = failed or exc
    if failed is not None and needed and not found:
        raise failed
    return found


def _by_id(parts: Parts, place: Linked, low: str, high: str) -> Iterator[Found]:
    column, time = place.mapping.columns["id"], place.mapping.columns["at"]
    spans: list[tuple[str, Any, Any]] = [(time, *_times_of(low, high))]
    if types_of(place.snapshot)[column] == "string":
        spans.append((column, low, high))
    rows = [row for span in spans for row in _keys(place, *span)]
    called = {
        (row[column], row[time])
        for row in rows
        if _named(place.mapping, row) and low <= place.mapping.interaction_id(row) <= high
    }
    for own, at in sorted(called)[: lookup.MAX_ROWS_FOUND]:
        yield from (found for found in _rows(parts, place, column, own) if found[0].at == at)


def _by_name(parts: Parts, place: Linked, texts: Sequence[str]) -> Iterator[Found]:
    named = {
        place.mapping.columns[name]
        for name in ("id", "external_id")
        if name in place.mapping.columns
    }
    types = types_of(place.snapshot)
    seen: set[str] = set()
    for column in sorted(named):
        for text in texts:
            value = text if types[column] == "string" else _whole(text)
            for found in _rows(parts, place, column, value) if value is not None else ():
                if found[0].id not in seen:
                    seen.add(found[0].id)
                    yield found


def _rows(parts: Parts, place: Linked, column: str, value: Any) -> Iterator[Found]:
    """The interactions whose column has a value."""
    rows = lookup.rows_between(
        place.snapshot,
        column,
        value,
        value,
        columns=place.mapping.read,
        most=lookup.MAX_ROWS_FOUND,
    )
    for row in rows:
        if _named(place.mapping, row):
            model, hidden = place.link.model, parts.key.pseudonym
            yield place.mapping.interaction(row, model, pseudonym=hidden), place


def _keys(place: Linked, column: str, low: Any, high: Any) -> list[dict[str, Any]]:
    """Id and time of the rows whose column lies between two values."""
    columns = dict.fromkeys((place.mapping.columns["id"], place.mapping.columns["at"]))
    rows = lookup.rows_between(
        place.snapshot, column, low, high, columns=list(columns), most=MAX_ROWS_LOOKED_AT + 1
    )
    if len(rows) > MAX_ROWS_LOOKED_AT:
        raise LimitExceededError(
            f"more than {MAX_ROWS_LOOKED_AT:,} interactions of {place.link.model} may have that id",
            hint="write more of it",
        )
    return rows


def _named(mapping: InteractionMapping, row: dict[str, Any]) -> bool:
    """Whether a row has what makes its id."""
    own, at = row[mapping.columns["id"]], row[mapping.columns["at"]]
    return own is not None and at is not None and at >= EPOCH


def _times_of(low: str, high: str) -> tuple[datetime, datetime]:
    """The times between which ids lie: a UUIDv7 begins with its milliseconds."""
    begin, end = (min(int(text.replace("-", "")[:12], 16), _LAST) for text in (low, high))
    return EPOCH + begin * _MILLISECOND, EPOCH + end * _MILLISECOND + _REST


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else None
