"""What the rows of one table are: columns, roles, personal data, purpose, retention.

Keeps true: a contract that exists is valid (names, types, roles), and its JSON text, and so its
digest, follows from what it says alone. It looks at no row: that is the gate's work.

>>> contract = Contract.from_yaml('''
... slice: thumbs/en
... purpose: improve the ranker
... columns:
...   event_id: {type: string, role: event_id, nullable: false}
...   at: {type: timestamp, role: event_time}
...   user: {type: string, role: subject, personal: direct}
...   label: {type: int64}
... ''')
>>> Contract.from_json(contract.to_json()) == contract
True
>>> sorted(contract.personal_columns)
['user']
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import pyarrow as pa
import yaml

from backstory.lake.documents import MAX_DOCUMENT_BYTES, check_fields, load_json, load_yaml, near
from backstory.lake.errors import InvalidError, LimitExceededError
from backstory.lake.location import check_name, check_table_name
from backstory.lake.types import (
    TIMESTAMP,
    WALL_CLOCK,
    canonical,
    field_names,
    leaf_types,
    parse_type,
    type_text,
)

MAX_COLUMNS = 1_000
MAX_CONTRACT_BYTES = MAX_DOCUMENT_BYTES
MAX_COLUMN_NAME = 128

SYSTEM_FIELDS = (
    pa.field("_source", pa.string(), nullable=False),
    pa.field("_offset", pa.int64(), nullable=False),
    pa.field("_ingested_at", TIMESTAMP, nullable=False),
)
SYSTEM_COLUMNS = tuple(field.name for field in SYSTEM_FIELDS)

_FORMAT = "backstory-contract v1"
_NAME = re.compile(r"\w[\w-]*")  # what Delta, Parquet paths and SQL all take without quoting rules
_Word = TypeVar("_Word", bound=StrEnum)


class Role(StrEnum):
    """What a column is to Backstory."""

    EVENT_ID = "event_id"
    EVENT_TIME = "event_time"
    SUBJECT = "subject"
    INTERACTION = "interaction_id"
    SOURCE = "source"


class PersonalData(StrEnum):
    """How near a column's values are to a person."""

    NONE = "none"
    DIRECT = "direct"
    INDIRECT = "indirect"
    SPECIAL = "special"
    SECRET = "secret"  # noqa: S105 - a tag, not a secret


_ROLE_TYPES = {
    Role.EVENT_ID: pa.string(),
    Role.EVENT_TIME: TIMESTAMP,
    Role.SUBJECT: pa.string(),
    Role.INTERACTION: pa.string(),
    Role.SOURCE: pa.string(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a contract.

    Attributes:
        name: unique in its contract, whatever the case.
        type: one of the plain types of `backstory.lake.types`.
        role: what the column is to Backstory, if anything.
        personal: how near its values are to a person.
        nullable: whether a value may be missing.
        description: for people.
    """

    name: str
    type: pa.DataType
    role: Role | None = None
    personal: PersonalData = PersonalData.NONE
    nullable: bool = True
    description: str = ""

    def __post_init__(self) -> None:
        if not self.name or not self.name.isprintable() or len(self.name) > MAX_COLUMN_NAME:
            raise InvalidError(
                f"column {self.name[:80]!r} needs a printable name of at most {MAX_COLUMN_NAME} "
                "characters"
            )
        _check_text(f"column {self.name}", self.description)
        try:
            plain = canonical(self.type)
        except InvalidError as exc:
            raise InvalidError(f"column {self.name}: {exc.message}", hint=exc.hint) from exc
        if plain != self.type:
            raise InvalidError(
                f"column {self.name}: type {self.type} is no plain type",
                hint=f"use {type_text(plain)}",
            )
        object.__setattr__(self, "type", plain)  # lists may differ in the name of their items
        wanted = _ROLE_TYPES.get(self.role) if self.role else None
        if wanted is not None and self.type != wanted:
            raise InvalidError(
                f"column {self.name}: role {self.role} needs type {type_text(wanted)}, "
                f"not {type_text(self.type)}"
            )

    def to_document(self) -> dict[str, Any]:
        """What the column says, without its name and defaults."""
        document: dict[str, Any] = {"type": type_text(self.type)}
        if self.role is not None:
            document["role"] = self.role.value
        if self.personal is not PersonalData.NONE:
            document["personal"] = self.personal.value
        if not self.nullable:
            document["nullable"] = False
        if self.description:
            document["description"] = self.description
        return document

    @classmethod
    def from_document(cls, name: str, document: object) -> "Column":
        """Read what `to_document` gives.

        Raises:
            InvalidError: a field is unknown or of the wrong kind.
        """
        where = f"column {name}"
        fields = check_fields(document, where, _COLUMN_FIELDS, ["type"])
        role = fields.get("role")
        return cls(
            name=name,
            type=parse_type(fields["type"]),
            role=None if role is None else _member(Role, role, where),
            personal=_member(PersonalData, fields.get("personal", "none"), where),
            nullable=fields.get("nullable", True),
            description=fields.get("description", ""),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """The contract of one table.

    Attributes:
        slice: the table's name.
        columns: at least one, in the table's order.
        purpose: why the feedback is kept; never empty.
        version: counts the contracts of one table from 1.
        retention_days: after how many days a row may go; None keeps it.
        signals: the words that its events may use.
        description: for people.
        linked: it describes a table that others write: any column names, wall clocks too, no
            system columns, and no way in through the gate.
    """

    slice: str
    columns: tuple[Column, ...]
    purpose: str
    version: int = 1
    retention_days: int | None = None
    signals: tuple[str, ...] = ()
    description: str = ""
    linked: bool = False

    def __post_init__(self) -> None:
        check_table_name(self.slice)
        if not self.purpose.strip():
            raise InvalidError(
                f"{self.slice}: a contract needs a purpose",
                hint="say in one line why this feedback is kept",
            )
        if self.version < 1 or (self.retention_days is not None and self.retention_days < 1):
            raise InvalidError(f"{self.slice}: version and retention_days count from 1")
        for text in (self.purpose, self.description, *self.signals):
            _check_text(self.slice, text)
        if len(set(self.signals)) != len(self.signals) or not all(self.signals):
            raise InvalidError(f"{self.slice}: signals are distinct words")
        self._check_columns()
        if len(self.to_json().encode()) > MAX_CONTRACT_BYTES:
            raise LimitExceededError(
                f"{self.slice}: the contract is larger than {MAX_CONTRACT_BYTES} bytes"
            )

    def _check_columns(self) -> None:
        if not self.columns:
            raise InvalidError(f"{self.slice}: a contract needs columns")
        if len(self.columns) > MAX_COLUMNS:
            raise LimitExceededError(
                f"{self.slice}: {len(self.columns)} columns, at most {MAX_COLUMNS} are taken"
            )
        _check_distinct(f"{self.slice}: column", [column.name for column in self.columns])
        _check_distinct(f"{self.slice}: role", [c.role for c in self.columns if c.role])
        if not self.linked:
            for column in self.columns:
                _check_writable(column, self.slice)

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the contract's own columns."""
        return pa.schema([pa.field(c.name, c.type, nullable=c.nullable) for c in self.columns])

    @property
    def stored_schema(self) -> pa.Schema:
        """The Arrow schema on disk: the contract's columns, then the system columns."""
        return self.schema if self.linked else pa.schema([*self.schema, *SYSTEM_FIELDS])

    @property
    def personal_columns(self) -> frozenset[str]:
        """Columns whose values must not be shown or summarised: the tagged ones and the subject."""
        return frozenset(
            column.name
            for column in self.columns
            if column.personal is not PersonalData.NONE or column.role is Role.SUBJECT
        )

    @property
    def digest(self) -> str:
        """SHA-256 of the JSON text, 64 hex digits."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def column_with(self, role: Role) -> Column | None:
        """The column that has a role, if any has."""
        return next((column for column in self.columns if column.role is role), None)

    def to_json(self) -> str:
        """The canonical JSON text: sorted keys, defaults left out."""
        columns = [{"name": column.name, **column.to_document()} for column in self.columns]
        document = {"format": _FORMAT, **self._head(), "columns": columns}
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Contract":
        """Read the JSON text.

        Raises:
            InvalidError: the text is no contract.
        """
        return _contract(load_json(text, "contract"))

    def to_yaml(self) -> str:
        """The YAML text that people edit."""
        columns = {column.name: column.to_document() for column in self.columns}
        return yaml.safe_dump(
            {**self._head(), "columns": columns},
            sort_keys=False,
            default_flow_style=None,
            allow_unicode=True,
            width=MAX_CONTRACT_BYTES,
        )

    @classmethod
    def from_yaml(cls, text: str) -> "Contract":
        """Read a contract that somebody wrote.

        Raises:
            InvalidError: the text is no contract, or claims a reserved name.
        """
        contract = _contract(load_yaml(text, "contract"))
        check_name(contract.slice)
        return contract

    def _head(self) -> dict[str, Any]:
        optional = {
            "version": self.version if self.version != 1 else None,
            "retention_days": self.retention_days,
            "signals": list(self.signals),
            "description": self.description,
            "linked": self.linked,
        }
        head = {"slice": self.slice, "purpose": self.purpose}
        return head | {name: value for name, value in optional.items() if value}


def infer_contract(
    name: str, schema: pa.Schema, *, purpose: str = "read in place, written by others"
) -> Contract:
    """The contract that describes a table written by others.

    It guesses no role and no personal data: those are for people to say.

    Raises:
        InvalidError: a column has a type that cannot be read without loss.
    """
    return Contract(
        slice=name,
        purpose=purpose,
        columns=tuple(_inferred(field) for field in schema),
        linked=True,
    )


def _inferred(field: pa.Field) -> Column:
    try:
        plain = canonical(field.type)
    except InvalidError as exc:
        raise InvalidError(f"column {field.name}: {exc.message}", hint=exc.hint) from exc
    return Column(name=field.name, type=plain, nullable=field.nullable)


_COLUMN_FIELDS: Mapping[str, tuple[type, ...]] = {
    "type": (str,),
    "role": (str,),
    "personal": (str,),
    "nullable": (bool,),
    "description": (str,),
}
_CONTRACT_FIELDS: Mapping[str, tuple[type, ...]] = {
    "format": (str,),
    "slice": (str,),
    "purpose": (str,),
    "version": (int,),
    "retention_days": (int,),
    "signals": (list,),
    "description": (str,),
    "linked": (bool,),
    "columns": (dict, list),
}


def _contract(document: Mapping[str, Any]) -> Contract:
    fields = check_fields(document, "contract", _CONTRACT_FIELDS, ["slice", "purpose", "columns"])
    if fields.pop("format", _FORMAT) != _FORMAT:
        raise InvalidError(f"contract has another format than {_FORMAT}", hint="upgrade backstory")
    signals = fields.pop("signals", [])
    if not all(isinstance(signal, str) for signal in signals):
        raise InvalidError("contract: signals are a list of words", hint="put them in quotes")
    columns = tuple(Column.from_document(*named) for named in _named(fields.pop("columns")))
    return Contract(columns=columns, signals=tuple(signals), **fields)


def _named(columns: dict[str, Any] | list[Any]) -> Iterable[tuple[str, object]]:
    if isinstance(columns, dict):
        yield from columns.items()
        return
    for place, column in enumerate(columns, start=1):
        if not isinstance(column, dict) or not isinstance(column.get("name"), str):
            raise InvalidError(f"contract: column {place} of the list has no name")
        yield column["name"], {key: value for key, value in column.items() if key != "name"}


def _member(kind: type[_Word], word: str, where: str) -> _Word:
    try:
        return kind(word)
    except ValueError as exc:
        words = [member.value for member in kind]
        raise InvalidError(
            f"{where}: unknown {kind.__name__.lower()} {word!r}", hint=near(word, words)
        ) from exc


def _check_text(where: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise InvalidError(f"{where}: a text is no valid Unicode") from exc


def _check_distinct(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            raise InvalidError(f"{what} {name!r} stands there twice (case does not count)")
        seen.add(name.casefold())


def _check_writable(column: Column, slice_name: str) -> None:
    where = f"{slice_name}: column {column.name!r}"
    if column.name.startswith("_"):
        raise InvalidError(f"{where}: names that start with '_' are Backstory's own")
    if WALL_CLOCK in leaf_types(column.type):
        raise InvalidError(
            f"{where}: a wall clock without zone names no instant", hint="use timestamp"
        )
    names = [column.name, *field_names(column.type)]
    if not all(_NAME.fullmatch(name) for name in names):
        raise InvalidError(
            f"{where}: names are letters, digits, '_' and '-'",
            hint="Delta, Parquet and SQL read such names alike",
        )
