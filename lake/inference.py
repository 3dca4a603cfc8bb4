"""A first contract from what is there already: an Arrow schema, a JSON Schema, or a sample file.

Keeps true: what comes out is a contract that can be used; all that was guessed in it is said beside
it, and stands as comments in its YAML. Nothing is ever tagged as personal by a guess: where a name
looks as if it were about a person, that is said, and the person who reads it decides.

    inferred = infer_file(Path("monday.jsonl"), name="thumbs/en", purpose="improve the ranker")
    print(inferred.to_yaml())
"""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from backstory.lake.columns import Column, Role
from backstory.lake.contract import MAX_COLUMNS, Contract
from backstory.lake.documents import load_json, unique_fields
from backstory.lake.errors import InvalidError, LimitExceededError, NotFoundError
from backstory.lake.json_schema import fields_of_json_schema
from backstory.lake.location import translate_os_error
from backstory.lake.seen_types import common, has_unseen, settled, type_of_cell, type_of_value
from backstory.lake.sources.files import format_of
from backstory.lake.sources.lines import open_lines
from backstory.lake.types import TIMESTAMP, type_text

MAX_SAMPLE_ROWS = 10_000
MAX_SAMPLE_BYTES = 64 << 20

_ROLES: Mapping[Role, tuple[pa.DataType, frozenset[str]]] = {
    Role.EVENT_ID: (pa.string(), frozenset({"event_id", "eventid", "id", "uuid"})),
    Role.EVENT_TIME: (
        TIMESTAMP,
        frozenset({"at", "ts", "time", "timestamp", "event_time", "created_at", "occurred_at"}),
    ),
    Role.INTERACTION: (
        pa.string(),
        frozenset({"interaction", "interaction_id", "answer_id", "request_id"}),
    ),
    Role.SOURCE: (pa.string(), frozenset({"source"})),
}
_PERSONS = frozenset(
    {
        *("user", "user_id", "userid", "subject", "customer", "customer_id", "account_id"),
        *("visitor_id", "member_id", "person", "username", "author"),
    }
)
_PERSONAL = ("mail", "phone", "name", "address", "birth", "age", "gender", "ip_", "ssn", "iban")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inferred:
    """A contract that was guessed.

    Attributes:
        contract: the guess.
        guesses: what was guessed, and what a person must decide, one line each.
    """

    contract: Contract
    guesses: tuple[str, ...]

    def comments(self) -> str:
        """The guesses as comments of a YAML document."""
        return "".join(f"# {line}\n" for line in self.guesses)

    def to_yaml(self) -> str:
        """The contract's YAML, below its guesses as comments."""
        return self.comments() + self.contract.to_yaml()


@dataclass(slots=True)
class _Sample:
    """The columns of a sample, growing with its rows; `contrary` holds what contradicts itself."""

    contrary: pa.DataType | None = None
    rows: int = 0
    types: dict[str, pa.DataType] = field(default_factory=dict)
    values: dict[str, int] = field(default_factory=dict)
    mixed: dict[str, str] = field(default_factory=dict)

    def take(self, row: Mapping[str, Any], type_of: Callable[[Any], pa.DataType]) -> None:
        """Look at one more row."""
        self.rows += 1
        for name, value in row.items():
            found = type_of(value)
            before = self.types.setdefault(name, pa.null())
            self.values[name] = self.values.get(name, 0) + (found != pa.null())
            both = common(before, found)
            both = self.contrary if both is None else both
            if both is None:
                self.mixed.setdefault(name, f"row {self.rows} has {_text(found)}")
            else:
                self.types[name] = both
        if len(self.types) > MAX_COLUMNS:
            raise LimitExceededError(
                f"the sample has more than {MAX_COLUMNS} columns",
                hint="check that its rows have the same fields",
            )

    def columns(self) -> Iterator[tuple[Column, list[str]]]:
        """Each column with what was guessed of it."""
        for name, type_ in self.types.items():
            guesses = []
            if has_unseen(type_):
                guesses.append("no value was seen of all of it: string is a guess")
            if name in self.mixed:
                guesses.append(f"{self.mixed[name]}: such rows will not fit")
            always = self.values[name] == self.rows
            yield Column(name=name, type=settled(type_), nullable=not always), guesses


def infer_schema(source: Any, *, name: str, purpose: str) -> Inferred:
    """A contract for rows of an Arrow schema, or of an Arrow table or data frame.

    Raises:
        InvalidError: a column has a type that cannot be kept, or there is no schema.
    """
    try:
        schema = source.schema if hasattr(source, "schema") else pa.schema(source)
        columns = [Column.read_in_place(field) for field in pa.schema(schema)]
    except (TypeError, ValueError) as exc:
        raise InvalidError(
            f"a {type(source).__name__} has no Arrow schema",
            hint="give an Arrow schema or table, or the path of a file",
        ) from exc
    return _inferred([(column, []) for column in columns], name, purpose)


def infer_json_schema(text: str, *, name: str, purpose: str) -> Inferred:
    """A contract for the objects that a JSON Schema (draft 2020-12) describes.

    Raises:
        InvalidError: it describes no object, or one that no table can hold.
    """
    return _inferred(list(fields_of_json_schema(load_json(text, "JSON Schema"))), name, purpose)


def infer_file(
    path: Path,
    *,
    name: str,
    purpose: str,
    format: str | None = None,  # noqa: A002 - the word that users know
) -> Inferred:
    """A contract for the rows of a file, after a look at the first `MAX_SAMPLE_ROWS` of them.

    Args:
        path: JSON lines or CSV, compressed or not, Parquet or Arrow.
        name: the slice's name.
        purpose: why the feedback is kept.
        format: what it is, where its name does not tell.

    Raises:
        InvalidError: it cannot be read, or has a column that no table can hold.
        NotFoundError: there is no such file.
    """
    if not path.exists():
        raise NotFoundError(f"{path.name}: there is no such file", hint="check its path")
    match format or format_of(path):
        case "parquet":
            return infer_schema(_read(path, pq.read_schema), name=name, purpose=purpose)
        case "arrow":
            return infer_schema(_read(path, _arrow_schema), name=name, purpose=purpose)
        case "csv":
            sample = _sampled(path, _cells, type_of_cell, pa.string())  # a cell is a text at least
        case "jsonl":
            sample = _sampled(path, _objects, type_of_value)
        case other:
            raise InvalidError(
                f"unknown format {other!r}", hint="known are jsonl, csv, parquet and arrow"
            )
    return _inferred(list(sample.columns()), name, purpose, sampled=sample.rows)


def _sampled(
    path: Path,
    rows_of: Callable[[Iterator[str]], Iterator[Mapping[str, Any]]],
    type_of: Callable[[Any], pa.DataType],
    contrary: pa.DataType | None = None,
) -> _Sample:
    sample = _Sample(contrary=contrary)
    with open_lines(path, path.name) as lines:
        try:
            for row in islice(rows_of(_text_lines(lines)), MAX_SAMPLE_ROWS):
                sample.take(row, type_of)
        except (ValueError, csv.Error, RecursionError) as exc:
            raise InvalidError(
                f"{path.name}: row {sample.rows + 1} cannot be read: {exc}",
                hint="infer from a file whose first rows are in order, or mend it",
            ) from exc
    if not sample.types:
        raise InvalidError(f"{path.name} has no rows", hint="infer from a file that has some")
    return sample


def _text_lines(lines: Iterator[bytes]) -> Iterator[str]:
    size = 0
    for line in lines:
        size += len(line)
        if size > MAX_SAMPLE_BYTES:
            return
        yield line.decode()


def _objects(lines: Iterator[str]) -> Iterator[Mapping[str, Any]]:
    for line in lines:
        if line.isspace():
            continue
        found = json.loads(line, object_pairs_hook=unique_fields)
        if not isinstance(found, dict):
            raise ValueError("it is no JSON object")  # noqa: TRY004 - the reader of rows tells it
        yield found


def _cells(lines: Iterator[str]) -> Iterator[Mapping[str, str]]:
    records = csv.reader(lines, strict=True)
    header = next(records, [])
    if len(set(header)) != len(header) or not all(header):
        raise ValueError("its header does not name every column once")
    for record in records:
        if record and len(record) != len(header):
            raise ValueError(f"it has {len(record)} cells, its header {len(header)}")
        if record:
            yield dict(zip(header, record, strict=True))


def _arrow_schema(path: Path) -> pa.Schema:
    with pa.OSFile(str(path)) as file:
        try:
            return pa.ipc.open_file(file).schema
        except pa.ArrowInvalid:
            file.seek(0)
            return pa.ipc.open_stream(file).schema


def _read(path: Path, read: Callable[[Path], pa.Schema]) -> pa.Schema:
    try:
        return read(path)
    except OSError as exc:
        if exc.errno is not None:
            raise translate_os_error(exc, f"cannot read {path.name}") from exc
        raise _damaged(path) from exc
    except (pa.ArrowException, UnicodeDecodeError) as exc:
        raise _damaged(path) from exc


def _damaged(path: Path) -> InvalidError:
    return InvalidError(
        f"cannot read {path.name}: it is damaged or something else",
        hint="write the file again, or say what it is with --format",
    )


def _inferred(
    columns: list[tuple[Column, list[str]]], name: str, purpose: str, *, sampled: int = 0
) -> Inferred:
    guesses = list(_always(columns, sampled))
    guesses += [f"{column.name}: {line}" for column, lines in columns for line in lines]
    given: set[Role] = set()
    found = []
    for column, _ in columns:
        role = _role(column, given)
        if role is not None:
            given.add(role)
            guesses.append(f"{column.name}: guessed from its name that it is the {role}")
        found.append(replace(column, role=role) if role else column)
        if hint := _person(column.name):
            guesses.append(f"{column.name}: {hint}")
    contract = Contract(slice=name, purpose=purpose, columns=tuple(found))
    return Inferred(contract=contract, guesses=tuple(guesses))


def _always(columns: list[tuple[Column, list[str]]], sampled: int) -> Iterator[str]:
    """What was never missing in a sample may be missing later."""
    always = [column.name for column, _ in columns if sampled and not column.nullable]
    if always:
        yield (
            f"{', '.join(always)}: had a value in all {sampled} rows, so nullable is false; take "
            "that out where one may be missing, for once rows are stored it is a promise"
        )


def _role(column: Column, given: set[Role]) -> Role | None:
    return next(
        (
            role
            for role, (type_, names) in _ROLES.items()
            if column.type == type_ and column.name.lower() in names and role not in given
        ),
        None,
    )


def _person(name: str) -> str:
    """What a person must decide about a column whose name looks like one."""
    word = name.lower()
    if word in _PERSONS:
        return "is it a person? then say role: subject and personal: direct; nothing was tagged"
    if any(part in f"{word}_" for part in _PERSONAL):
        return "is it about a person? then tag it with personal; nothing was tagged"
    return ""


def _text(type_: pa.DataType) -> str:
    return type_text(settled(type_))
