"""One column of a table: its type, its role, and how near it is to a person.

Keeps true: a column that exists has a printable name, a plain type, and a role that fits the type.
What columns may stand together is the contract's matter.

>>> Column(name="at", type=TIMESTAMP, role=Role.EVENT_TIME).to_document()
{'type': 'timestamp', 'role': 'event_time'}
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import pyarrow as pa

from backstory.lake.documents import check_fields, near
from backstory.lake.errors import InvalidError
from backstory.lake.types import (
    TIMESTAMP,
    WALL_CLOCK,
    canonical,
    field_names,
    leaf_types,
    parse_type,
    type_text,
)

MAX_COLUMN_NAME = 128

SYSTEM_FIELDS = (
    pa.field("_source", pa.string(), nullable=False),
    pa.field("_offset", pa.int64(), nullable=False),
    pa.field("_ingested_at", TIMESTAMP, nullable=False),
)
SYSTEM_COLUMNS = tuple(field.name for field in SYSTEM_FIELDS)

_NAME = re.compile(r"\w[\w-]*")  # what Delta, Parquet paths and SQL all take without quoting rules
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_Word = TypeVar("_Word", bound=StrEnum)


class Role(StrEnum):
    """What a column is to Backstory."""

    EVENT_ID = "event_id"
    EVENT_TIME = "event_time"
    SUBJECT = "subject"
    INTERACTION = "interaction_id"
    CONVERSATION = "conversation_id"
    POSITION = "position"
    SOURCE = "source"


class PersonalData(StrEnum):
    """How near a column's values are to a person."""

    NONE = "none"
    DIRECT = "direct"
    INDIRECT = "indirect"
    SPECIAL = "special"
    SECRET = "secret"  # noqa: S105 - a tag, not a secret


_ROLE_TYPES = {Role.EVENT_TIME: TIMESTAMP, Role.POSITION: pa.int64()}
_SPOKEN: Mapping[type[StrEnum], str] = {Role: "role", PersonalData: "tag of personal data"}


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
        where = f"column {self.name}"
        if not self.name or not self.name.isprintable() or len(self.name) > MAX_COLUMN_NAME:
            raise InvalidError(
                f"column {self.name[:80]!r} needs a printable name of at most {MAX_COLUMN_NAME} "
                "characters",
                hint="choose a shorter one of letters, digits, '_' and '-'",
            )
        check_text(where, self.description)
        with _located(where):
            plain = canonical(self.type)
        if plain != self.type:
            raise InvalidError(
                f"{where}: type {self.type} is no plain type", hint=f"use {type_text(plain)}"
            )
        # Lists may differ in the name of their items; words may be given as text.
        object.__setattr__(self, "type", plain)
        object.__setattr__(self, "personal", _member(PersonalData, self.personal, where))
        if self.role is not None:
            object.__setattr__(self, "role", _member(Role, self.role, where))
            self._check_role(self.role)

    def _check_role(self, role: Role) -> None:
        wanted = _ROLE_TYPES.get(role, pa.string())
        if self.type != wanted:
            raise InvalidError(
                f"column {self.name}: role {role} needs type {type_text(wanted)}, "
                f"not {type_text(self.type)}",
                hint="change the type, or take the role away",
            )

    @classmethod
    def read_in_place(cls, field: pa.Field) -> "Column":
        """The column that describes a field which others write.

        Raises:
            InvalidError: its type cannot be read without loss.
        """
        with _located(f"column {field.name}"):
            plain = canonical(field.type)
        return cls(name=field.name, type=plain, nullable=field.nullable)

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
        fields = check_fields(document, f"column {name}", _COLUMN_FIELDS, ["type"])
        with _located(f"column {name}"):
            fields["type"] = parse_type(fields["type"])
        return cls(name=name, **fields)


_COLUMN_FIELDS: Mapping[str, tuple[type, ...]] = {
    "type": (str,),
    "role": (str,),
    "personal": (str,),
    "nullable": (bool,),
    "description": (str,),
}


@contextmanager
def _located(where: str) -> Iterator[None]:
    try:
        yield
    except InvalidError as exc:
        raise InvalidError(f"{where}: {exc.message}", hint=exc.hint) from exc


def _member(kind: type[_Word], word: str, where: str) -> _Word:
    try:
        return kind(word)
    except ValueError as exc:
        words = [member.value for member in kind]
        raise InvalidError(
            f"{where}: {word!r} is no {_SPOKEN[kind]}", hint=near(word, words)
        ) from exc


def check_text(where: str, text: str) -> None:
    """Refuse text that terminals, YAML or encodings take for something else.

    Raises:
        InvalidError: it has control characters, odd line ends or lone surrogates.
    """
    if found := _UNSAFE.search(text):
        raise InvalidError(
            f"{where}: a text has the control character {found[0]!r}",
            hint="take that character out",
        )


def check_writable(column: Column, slice_name: str) -> None:
    """Refuse a column that we could not write for every reader.

    Raises:
        InvalidError: its name is reserved or unsafe, or its type names no instant.
    """
    where = f"{slice_name}: column {column.name!r}"
    if column.name.startswith("_"):
        raise InvalidError(
            f"{where}: names that start with '_' are Backstory's own",
            hint="choose a name that starts with a letter",
        )
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
