"""Feedback beside the answers that it speaks of.

Keeps true: of one table of answers, a row of feedback speaks of at most one. Where it names an
interaction, that is the one with this id, else the newest until then that the calling system calls
so. Where it names none, it is the last one of its conversation until then.

Rows are read once, and of the answers only those that may be meant: by the range of the ids that
are named, or `MATCH_WINDOW` before the feedback. It knows no model and no store.

    naming = Naming(interaction="answer", time="at")
    with matching(snapshot.batches(naming.columns), naming, what=str(snapshot)) as matched:
        print(matched.counts(matched.add(answers)), matched.unmatched())
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from backstory.lake.contract import Contract, Role
from backstory.lake.engine import engine_errors, quoted
from backstory.lake.lookup import may_hold, sql_value
from backstory.lake.snapshot import Snapshot

MATCH_WINDOW = timedelta(days=365)  # how long after an answer feedback may speak of it
CLOCK_SLACK = timedelta(minutes=5)  # how far the clocks of who answers and who asks may differ

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_BY_UUID = f"coalesce(regexp_full_match(interaction, '{_UUID}'), false)"
_NUMBER = "_row"
_EVER = "TIMESTAMPTZ 'infinity'"
_ITEM = (
    "(list_filter(a.parts, lambda p: p.kind = 'item' AND "
    "TRY_CAST(json_extract_string(p.detail, '$.position') AS BIGINT) = f.position)[1]).ref"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """The columns by which feedback says what it speaks of.

    Attributes:
        interaction: an interaction's id, or what the calling system calls it.
        conversation: a conversation's id.
        position: the position of an item in the answer, counted as the answer's parts count it.
        time: when the feedback was given; None where no column says it.
    """

    interaction: str | None = None
    conversation: str | None = None
    position: str | None = None
    time: str | None = None

    @property
    def columns(self) -> list[str]:
        """The columns, each once."""
        named = (self.interaction, self.conversation, self.position, self.time)
        return list(dict.fromkeys(name for name in named if name is not None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """A table of interactions, and the columns that say what is needed of them.

    Attributes:
        snapshot: where they lie.
        version: the column of the model version, where there is one.
        conversation: that of the conversation.
        external_id: that of what the calling system calls it, where it is not the id.
        parts: that of what shaped the answer, where it is read as a list.
    """

    snapshot: Snapshot
    id: str = "id"
    at: str = "at"
    version: str | None = "version"
    conversation: str | None = "conversation"
    external_id: str | None = "external_id"
    parts: str | None = "parts"


def naming_of(contract: Contract) -> Naming | None:
    """How the rows of a contract name what they speak of; None where they do not."""
    roles = (Role.INTERACTION, Role.CONVERSATION, Role.POSITION, Role.EVENT_TIME)
    interaction, conversation, position, time = (
        column.name if (column := contract.column_with(role)) else None for role in roles
    )
    if interaction is None and conversation is None:
        return None
    return Naming(
        interaction=interaction,
        conversation=conversation,
        position=position,
        time=time or (None if contract.linked else "_ingested_at"),
    )


class Matched:
    """Rows of feedback, to be matched with one table of answers after the other."""

    def __init__(self, con: duckdb.DuckDBPyConnection, naming: Naming) -> None:
        self._con = con
        self._naming = naming
        self._tables: list[str] = []

    def add(self, answers: Answers) -> str:
        """Match the rows with a table.

        Returns:
            What to call the table by in the other methods.

        Raises:
            BackstoryError: it cannot be read; the rows speak of none of its answers then.
        """
        name = f"m{len(self._tables)}"
        with engine_errors(str(answers.snapshot)):
            _load_answers(self._con, self._naming, answers)
            self._con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {_matches(self._naming)}")
        self._tables.append(name)
        return name

    def counts(self, table: str) -> dict[Any, int]:
        """Rows that speak of an answer in a table, by version as its column says it."""
        found = self._con.execute(f"SELECT version, count(*) FROM {table} GROUP BY ALL").fetchall()
        return {version: rows for version, rows in found}  # noqa: C416 - a typed dict of a row list

    def unmatched(self) -> int:
        """Rows that speak of no answer in any table."""
        seen = " UNION ".join(f"SELECT r FROM {table}" for table in self._tables)
        without = f"WHERE r NOT IN ({seen})" if seen else ""
        return int(self._con.execute(f"SELECT count(*) FROM f {without}").fetchall()[0][0])

    def rows(self, table: str) -> pa.Table:
        """Row number from 0, answer's id, its version and the item, where a table has an answer."""
        query = f"SELECT r, id, version, item FROM {table} ORDER BY r"
        return self._con.sql(query).to_arrow_table()


@contextmanager
def matching(rows: pa.RecordBatchReader, naming: Naming, *, what: str) -> Iterator[Matched]:
    """Read rows of feedback, to match them with tables of answers.

    Args:
        rows: with at least the columns of the naming.
        naming: how they name what they speak of.
        what: whose rows they are, for messages.
    """
    with engine_errors(what), duckdb.connect(":memory:") as con:
        con.execute("SET TimeZone='UTC'")
        con.register("feedback", _numbered(rows, naming.columns))
        con.execute(f"CREATE TEMP TABLE f AS SELECT {_feedback(naming)} FROM feedback")
        yield Matched(con, naming)


def beside(rows: pa.Table, found: Sequence[tuple[pa.Table, Callable[[Any], str]]]) -> pa.Table:
    """Rows of feedback with three columns more: answer, version and item that each speaks of.

    Args:
        rows: the rows that were matched, in their order.
        found: what each table of answers has (`Matched.rows`), and how it calls a version; of two
            tables the first counts.
    """
    spoken: dict[str, list[str | None]] = {
        name: [None] * rows.num_rows for name in ("_answer", "_version", "_item")
    }
    for matches, version in reversed(found):
        for row in matches.to_pylist():
            said = row["id"], version(row["version"]), row["item"]
            for column, value in zip(spoken.values(), said, strict=True):
                column[row["r"]] = value
    for name, values in spoken.items():
        rows = rows.append_column(name, pa.array(values, pa.string()))
    return rows


def _numbered(rows: pa.RecordBatchReader, columns: Sequence[str]) -> pa.RecordBatchReader:
    """The columns, and each row's number, which no engine that works side by side can mix up."""

    def batches() -> Iterator[pa.RecordBatch]:
        first = 0
        for batch in rows:
            numbers = pa.array(range(first, first + batch.num_rows), pa.int64())
            first += batch.num_rows
            yield batch.select(columns).append_column(_NUMBER, numbers)

    schema = pa.schema([*(rows.schema.field(name) for name in columns), (_NUMBER, pa.int64())])
    return pa.RecordBatchReader.from_batches(schema, batches())


def _feedback(naming: Naming) -> str:
    at = "NULL::TIMESTAMPTZ" if naming.time is None else quoted(naming.time)
    return (
        f"{_NUMBER} AS r, {_text(naming.interaction)} AS interaction, "
        f"{_text(naming.conversation)} AS conversation, "
        f"CAST({_column(naming.position)} AS BIGINT) AS position, {at} AS at"
    )


def _load_answers(con: duckdb.DuckDBPyConnection, naming: Naming, table: Answers) -> None:
    """The answers that may be meant, one for an id."""
    snapshot, where = _within_reach(con, naming, table)
    said = (table.id, table.at, table.version, table.conversation, table.external_id, table.parts)
    columns = list(dict.fromkeys(name for name in said if name is not None))
    con.register("answers", snapshot.batches(columns, where))
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE a AS SELECT DISTINCT ON (id) {_text(table.id)} AS id, "
        f"{quoted(table.at)} AS at, {_column(table.version)} AS version, "
        f"{_text(table.conversation)} AS conversation, {_text(table.external_id)} AS external_id, "
        f"{_column(table.parts)}::STRUCT(kind VARCHAR, ref VARCHAR, detail VARCHAR)[] AS parts "
        'FROM answers ORDER BY id, "at"'
    )


def _within_reach(
    con: duckdb.DuckDBPyConnection, naming: Naming, table: Answers
) -> tuple[Snapshot, str | None]:
    """The files and the condition of the answers that some row of feedback may mean."""
    ids_of_ours = table.snapshot.ours  # UUIDs, and of no other form
    if naming.time is None or not (ids_of_ours or _is_text(table)):
        return table.snapshot, None
    named = _BY_UUID if ids_of_ours else "interaction IS NOT NULL"
    otherwise = f"NOT {_BY_UUID}" if ids_of_ours else "true"
    in_time = f"FILTER ({otherwise} AND coalesce(interaction, conversation) IS NOT NULL)"
    low, high, first, last = con.execute(
        f"SELECT min(interaction) FILTER ({named}), max(interaction) FILTER ({named}), "
        f"epoch_us(min(f.at) {in_time}), epoch_us(max(f.at) {in_time}) FROM f"
    ).fetchall()[0]
    spans: list[tuple[str, Any, Any]] = []
    if low is not None:
        spans.append((table.id, low, high))
    if first is not None:
        begin = _EPOCH + timedelta(microseconds=first) - MATCH_WINDOW
        spans.append((table.at, begin, _EPOCH + timedelta(microseconds=last) + CLOCK_SLACK))
    return _between(table.snapshot, spans)


def _is_text(table: Answers) -> bool:
    """Whether ids compare as the texts that feedback names them by."""
    return bool(pa.types.is_string(table.snapshot.full_schema.field(table.id).type))


def _between(snapshot: Snapshot, spans: Sequence[tuple[str, Any, Any]]) -> tuple[Snapshot, str]:
    """The files and the condition of rows that lie in one of some spans."""
    paths = {f.path for span in spans for f in may_hold(snapshot, *span).manifest.files}
    kept = tuple(file for file in snapshot.manifest.files if file.path in paths)
    terms = [
        f"{quoted(column)} BETWEEN {sql_value(low)} AND {sql_value(high)}"
        for column, low, high in spans
    ]
    manifest = replace(snapshot.manifest, files=kept)
    return replace(snapshot, manifest=manifest), " OR ".join(terms) or "false"


def _matches(naming: Naming) -> str:
    slack = f"INTERVAL '{CLOCK_SLACK.total_seconds():.0f} seconds'"
    item = _ITEM if naming.position is not None else "NULL"
    said = f"SELECT f.r, a.id, a.version, {item} AS item FROM"
    by_id = f"{said} f JOIN a ON f.interaction = a.id"
    by_name = (
        f"{said} (SELECT * FROM f ANTI JOIN a ON f.interaction = a.id) f "
        "ASOF JOIN a ON f.interaction = a.external_id "
        f"AND coalesce(f.at + {slack}, {_EVER}) >= a.at"
    )
    by_conversation = (
        f"{said} (SELECT * FROM f WHERE interaction IS NULL) f "
        f"ASOF JOIN a ON f.conversation = a.conversation AND coalesce(f.at, {_EVER}) >= a.at"
    )
    return f"{by_id} UNION ALL {by_name} UNION ALL {by_conversation}"


def _column(name: str | None) -> str:
    return "NULL" if name is None else quoted(name)


def _text(name: str | None) -> str:
    return f"CAST({_column(name)} AS VARCHAR)"
