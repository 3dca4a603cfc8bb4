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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import yaml

from backstory.lake.columns import (
    SYSTEM_COLUMNS,
    SYSTEM_FIELDS,
    Column,
    PersonalData,
    Role,
    check_text,
    check_writable,
)
from backstory.lake.documents import MAX_DOCUMENT_BYTES, check_fields, load_json, load_yaml
from backstory.lake.errors import InvalidError, LimitExceededError
from backstory.lake.expectations import MAX_EXPECTATIONS, Expectation
from backstory.lake.location import check_name, check_table_name
from backstory.lake.signals import Signal, signals_of

__all__ = [
    "MAX_COLUMNS",
    "MAX_CONTRACT_BYTES",
    "SYSTEM_COLUMNS",
    "SYSTEM_FIELDS",
    "Column",
    "Contract",
    "PersonalData",
    "Role",
    "infer_contract",
]

MAX_COLUMNS = 1_000
MAX_CONTRACT_BYTES = MAX_DOCUMENT_BYTES
DEFAULT_REJECTED_SHARE = 0.5  # where the contract names none: more bad than good is another file
DUPLICATE_WINDOW_ROWS = 200_000  # likewise
MAX_DUPLICATE_WINDOW_ROWS = 10_000_000

_FORMAT = "backstory-contract v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """The contract of one table.

    Attributes:
        slice: the table's name.
        columns: at least one, in the table's order.
        purpose: why the feedback is kept; never empty.
        version: counts the contracts of one table from 1.
        retention_days: after how many days a row may go; None keeps it.
        signals: what its events may say; a word stands for a signal of that name.
        description: for people.
        expectations: what is expected of values beyond their types.
        max_rejected_share: a batch with a larger share of rejected rows is refused whole; 1 never.
        duplicate_window: so many of the newest rows are searched for an event id that comes again;
            None for the default, 0 for none.
        linked: it describes a table that others write: any column names, wall clocks too, no
            system columns, and no way in through the gate.
    """

    slice: str
    columns: tuple[Column, ...]
    purpose: str
    version: int = 1
    retention_days: int | None = None
    signals: tuple[Signal, ...] = ()
    description: str = ""
    expectations: tuple[Expectation, ...] = ()
    max_rejected_share: float = DEFAULT_REJECTED_SHARE
    duplicate_window: int | None = None
    linked: bool = False

    def __post_init__(self) -> None:
        check_table_name(self.slice)
        object.__setattr__(self, "columns", tuple(self.columns))
        object.__setattr__(self, "signals", signals_of(self.signals))
        object.__setattr__(self, "expectations", tuple(self.expectations))
        if not self.purpose.strip():
            raise InvalidError(
                f"{self.slice}: a contract needs a purpose",
                hint="say in one line why this feedback is kept",
            )
        if self.version < 1 or (self.retention_days is not None and self.retention_days < 1):
            raise InvalidError(
                f"{self.slice}: version and retention_days count from 1",
                hint="write 1 or more, or leave them out",
            )
        for text in (self.purpose, self.description):
            check_text(self.slice, text)
        self._check_columns()
        self._check_quality()
        if len(self.to_json().encode()) > MAX_CONTRACT_BYTES:
            raise LimitExceededError(
                f"{self.slice}: the contract is larger than {MAX_CONTRACT_BYTES} bytes",
                hint="shorten its descriptions",
            )

    def _check_columns(self) -> None:
        if not self.columns:
            raise InvalidError(
                f"{self.slice}: a contract needs columns",
                hint="list them under columns, each with its type",
            )
        if len(self.columns) > MAX_COLUMNS:
            raise LimitExceededError(
                f"{self.slice}: {len(self.columns)} columns, at most {MAX_COLUMNS} are taken",
                hint="put what belongs together into a struct, or make two slices",
            )
        _check_distinct(f"{self.slice}: column", [column.name for column in self.columns])
        _check_distinct(f"{self.slice}: role", [str(c.role) for c in self.columns if c.role])
        if not self.linked:
            for column in self.columns:
                check_writable(column, self.slice)

    def _check_quality(self) -> None:
        if len(self.expectations) > MAX_EXPECTATIONS:
            raise LimitExceededError(
                f"{self.slice}: {len(self.expectations)} expectations, at most {MAX_EXPECTATIONS} "
                "are taken",
                hint="put several into one row rule",
            )
        for expectation in self.expectations:
            expectation.check_columns(self.columns)
        if not 0 <= self.max_rejected_share <= 1:
            raise InvalidError(
                f"{self.slice}: max_rejected_share is not between 0 and 1",
                hint="0.1 refuses a batch of which more than a tenth is rejected",
            )
        if not 0 <= (self.duplicate_window or 0) <= MAX_DUPLICATE_WINDOW_ROWS:
            raise LimitExceededError(
                f"{self.slice}: duplicate_window is not between 0 and {MAX_DUPLICATE_WINDOW_ROWS}",
                hint="say in how many of the newest rows an event id is searched; 0 for none",
            )

    @property
    def compared_rows(self) -> int:
        """In how many of the newest rows an event id is searched; none where rows have no id.

        What a model answered is recorded as it is said, also twice.
        """
        if self.column_with(Role.EVENT_ID) is None or self.slice.startswith("_"):
            return 0
        window = self.duplicate_window
        return DUPLICATE_WINDOW_ROWS if window is None else window

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
        document = {"format": _FORMAT, **self.head(), "columns": columns}
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Contract":
        """Read the JSON text.

        Raises:
            InvalidError: the text is no contract.
        """
        return cls.from_document(load_json(text, "contract"))

    def to_yaml(self) -> str:
        """The YAML text that people edit."""
        columns = {column.name: column.to_document() for column in self.columns}
        return yaml.safe_dump(
            {**self.head(), "columns": columns},
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
        contract = cls.from_document(load_yaml(text, "contract"))
        check_name(contract.slice)
        return contract

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Contract":
        """Read the mapping that a text of it holds.

        Raises:
            InvalidError: a field is unknown, missing or of the wrong kind.
        """
        fields = check_fields(
            document, "contract", _CONTRACT_FIELDS, ["slice", "purpose", "columns"]
        )
        if fields.pop("format", _FORMAT) != _FORMAT:
            raise InvalidError(
                f"contract has another format than {_FORMAT}", hint="upgrade backstory"
            )
        signals = signals_of(fields.pop("signals", []))
        expectations = tuple(
            Expectation.from_document(place, said)
            for place, said in enumerate(fields.pop("expectations", []), start=1)
        )
        columns = tuple(Column.from_document(*named) for named in _named(fields.pop("columns")))
        if "max_rejected_share" in fields:
            fields["max_rejected_share"] = float(fields["max_rejected_share"])
        return cls(columns=columns, signals=signals, expectations=expectations, **fields)

    def head(self) -> dict[str, Any]:
        """What it says beside its columns, without defaults."""
        optional: dict[str, Any] = {
            "version": self.version if self.version != 1 else None,
            "retention_days": self.retention_days,
            "signals": [signal.to_document() for signal in self.signals],
            "description": self.description,
            "expectations": [expectation.to_document() for expectation in self.expectations],
            "linked": self.linked,
        }
        head: dict[str, Any] = {"slice": self.slice, "purpose": self.purpose}
        head |= {name: value for name, value in optional.items() if value}
        if self.max_rejected_share != DEFAULT_REJECTED_SHARE:
            head["max_rejected_share"] = self.max_rejected_share
        if self.duplicate_window is not None:
            head["duplicate_window"] = self.duplicate_window
        return head


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
        columns=tuple(Column.read_in_place(field) for field in schema),
        linked=True,
    )


_CONTRACT_FIELDS: Mapping[str, tuple[type, ...]] = {
    "format": (str,),
    "slice": (str,),
    "purpose": (str,),
    "version": (int,),
    "retention_days": (int,),
    "signals": (list, dict),
    "description": (str,),
    "expectations": (list,),
    "max_rejected_share": (int, float),
    "duplicate_window": (int,),
    "linked": (bool,),
    "columns": (dict, list),
}


def _named(columns: dict[str, Any] | list[Any]) -> Iterable[tuple[str, object]]:
    if isinstance(columns, dict):
        yield from columns.items()
        return
    for place, column in enumerate(columns, start=1):
        if not isinstance(column, dict) or not isinstance(column.get("name"), str):
            raise InvalidError(
                f"contract: column {place} of the list has no name",
                hint="write it like {name: label, type: int64}",
            )
        yield column["name"], {key: value for key, value in column.items() if key != "name"}


def _check_distinct(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            raise InvalidError(
                f"{what} {name!r} stands there twice (case does not count)",
                hint="rename one of the two",
            )
        seen.add(name.casefold())
