"""What a home holds of a person, for whoever asks for it by right.

Steps, numbered as in the code:

1. The person's pseudonyms, under every key of the home.
2. Tables of ours, interactions among them: the subject index says in which data files there are
   rows, the lives of files say in which versions. Both outlive the data.
3. Tables that others write: read as they are now, and as they were in snapshots.
4. The snapshots that hold some: who keeps them, who read them, and how many of the person's rows
   each run read. Where its selection is known it is put to the person's rows again.
5. The versions that came of it, and where they serve.

Nothing is recorded of the question: the audit log holds no personal data.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from backstory.lake import lookup
from backstory.lake.errors import BackstoryError
from backstory.lake.snapshot import Snapshot, open_snapshot
from backstory.lake.unhidden import FoundRows, count_unhidden, find_unhidden, summed_up
from backstory.lineage import linked_interactions
from backstory.lineage.catch_up import catch_up
from backstory.lineage.parts import Parts
from backstory.lineage.person import Person, person
from backstory.lineage.pinning import open_at
from backstory.lineage.resolving import SliceAt
from backstory.lineage.store import slices
from backstory.lineage.store.interaction_links import LinkRecord, links
from backstory.lineage.subject import Known, NotLookedInto, Subject, SubjectInteractions
from backstory.lineage.subject_tables import TableRows, rows_in
from backstory.lineage.subject_uses import CountRows, HeldTable, surest, told, versions_told

MAX_REFS = 1_000  # interactions of a model that are named


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """One question, and what was found on the way.

    Attributes:
        answers: interactions with the person.
        unknown: where nobody could look.
    """

    parts: Parts
    someone: Person
    as_of: datetime | None
    answers: list[SubjectInteractions] = field(default_factory=list)
    unknown: list[NotLookedInto] = field(default_factory=list)

    def snapshots(self, record: slices.SliceRecord) -> list[slices.SnapshotRecord]:
        """The snapshots of a table."""
        with self.parts.store.reader(self.as_of) as conn:
            found = slices.snapshots_between(conn, record.id, 0, record.last_version)
        return list(found.values())

    def miss(self, record: slices.SliceRecord, why: str, files: int | None = None) -> None:
        """Say that something could not be looked into."""
        self.unknown.append(NotLookedInto(slice=record.name, files=files, why=why))


def subject(
    parts: Parts,
    raw: str | None = None,
    *,
    pseudonym: str | None = None,
    as_of: datetime | None = None,
) -> Subject:
    """What the home holds of a person: rows, snapshots, runs, versions, deployments, answers.

    Args:
        raw: what the person is called where the feedback comes from; it is written nowhere.
        pseudonym: `keyid:HMAC`, in the place of `raw`.
        as_of: as it was known then; as it is known now where nothing is said.

    Raises:
        InvalidError: neither of the two is given, or both; or it is none.
        NotFoundError: the subject keys are gone, without which nobody is found by a name.
    """
    someone = person(parts, raw, pseudonym)  # 1
    catch_up(parts)
    with parts.store.reader(as_of) as conn:
        records = slices.slices(conn)
        linked = links(conn)
    search = _Search(parts=parts, someone=someone, as_of=as_of)
    found: list[HeldTable] = []
    for record in records:
        try:
            if record.flavour == "linked":
                own = [link for link in linked if link.slice == record.id]
                found += _of_others(search, record, own)  # 3
            else:
                found += _of_ours(search, record)  # 2
        except BackstoryError as exc:
            search.miss(record, exc.message)
    tables = [told(parts, one, as_of) for one in found]  # 4
    sure: dict[int, Known] = {}
    for _, known in tables:
        sure = surest(sure, known)
    return Subject(
        pseudonyms=someone.pseudonyms,
        slices=[table for table, _ in tables],
        interactions=search.answers,
        versions=versions_told(parts, sure, as_of),  # 5
        unknown=search.unknown,
    )


def _of_ours(search: _Search, record: slices.SliceRecord) -> Iterator[HeldTable]:
    rows, missing = rows_in(search.parts, record, search.someone, search.as_of)
    search.unknown.extend(missing)
    if rows is None or not rows.lives:
        return
    known = search.snapshots(record)
    now = rows.at(record.last_version)
    yield HeldTable(
        record=record,
        now=now,
        files=len(rows.files),
        held=list(rows.held),
        snapshots={one.id: (one, held) for one in known if (held := rows.at(one.version))},
        count=partial(_count, rows, search.someone),
    )
    if record.flavour == "interactions" and now:
        model = record.name.removeprefix(slices.INTERACTIONS_PREFIX)
        try:
            found = _answers(search, rows)
        except BackstoryError as exc:
            search.miss(record, f"when the answers were given: {exc.message}")
            found = FoundRows(rows=now, first=None, last=None, newest=[])
        refs = [f"int:{row['id']}" for row in found.newest]
        search.answers.append(_answered(model, record, found, refs))


def _count(rows: TableRows, someone: Person, snapshot: Snapshot, where: str | None) -> int:
    """How many of the person's rows meet a condition; only files that hold some are read."""
    few = lookup.within(snapshot, rows.paths_at(snapshot.version))
    return few.count(lookup.having(rows.column, someone.pseudonyms, where, snapshot.full_schema))


def _answers(search: _Search, rows: TableRows) -> FoundRows:
    snapshot = open_snapshot(rows.table, rows.record.last_version)
    few = lookup.within(snapshot, rows.paths_at(snapshot.version))
    mine = lookup.having(rows.column, search.someone.pseudonyms, None, snapshot.full_schema)
    return summed_up(few.arrow(["id", "at"], mine), at="at", most=MAX_REFS)


def _answered(
    model: str, record: slices.SliceRecord, found: FoundRows, refs: list[str]
) -> SubjectInteractions:
    return SubjectInteractions(
        model=model,
        table=record.name,
        rows=found.rows,
        first=found.first,
        last=found.last,
        refs=refs,
    )


def _of_others(
    search: _Search, record: slices.SliceRecord, held: Sequence[LinkRecord]
) -> Iterator[HeldTable]:
    mapped = [link for link in held if link.mapping["columns"].get("subject")]
    if not mapped:
        search.miss(record, "others write it, and no link says which column names people")
    elif not search.someone.wanted.can_be_told:
        search.miss(record, "others write it with ids that only the lost key could match")
    else:
        for link in mapped:
            _answers_of_others(search, record, link)
        columns = dict.fromkeys(link.mapping["columns"]["subject"] for link in mapped)
        count = partial(_count_in_columns, list(columns), search.someone)
        yield from _rows_of_others(search, record, count)


def _answers_of_others(search: _Search, record: slices.SliceRecord, link: LinkRecord) -> None:
    version = record.last_version if search.as_of else None
    place = linked_interactions.open_link(search.parts, link, version)
    names = place.mapping.columns
    found = find_unhidden(
        place.snapshot,
        names["subject"],
        search.someone.wanted,
        key=names["id"],
        at=names["at"],
        most=MAX_REFS,
    )
    if found.rows:
        refs = [f"int:{place.mapping.interaction_id(row)}" for row in found.newest]
        search.answers.append(_answered(link.model, record, found, refs))


def _rows_of_others(
    search: _Search, record: slices.SliceRecord, count: CountRows
) -> Iterator[HeldTable]:
    """The rows in a table of others as it is now, and in each of its snapshots that is there."""
    holding: dict[int, tuple[slices.SnapshotRecord, int]] = {}
    for one in search.snapshots(record):
        place = SliceAt(slice=record, version=one.version, commit=None, snapshot=one)
        try:
            if rows := count(open_at(search.parts, place), None):
                holding[one.id] = one, rows
        except BackstoryError as exc:
            search.miss(record, f"{one.ref} cannot be read: {exc.message}", one.files)
    now = count(open_snapshot(search.parts.lake.table(record.name), record.last_version), None)
    if now or holding:
        held = [(record.last_version, None)] if now else []
        yield HeldTable(record=record, now=now, files=0, held=held, snapshots=holding, count=count)


def _count_in_columns(
    columns: Sequence[str], someone: Person, snapshot: Snapshot, where: str | None
) -> int:
    return max(count_unhidden(snapshot, column, someone.wanted, where) for column in columns)
