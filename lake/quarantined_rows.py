"""What is kept of a row that does not fit its contract: enough to mend it, and no person.

Keeps true: of a row only that is kept which might stand in its slice too.

    the subject        as `keyid:HMAC`; left out where it is no text
    personal columns   where the value is of the column's type; else left out
    other columns      as they came
    unknown fields,    only where the contract has no subject and no personal column: else they
    rows as text       may hold anybody's data, and only their place is kept

>>> import pyarrow as pa
>>> from backstory.lake.contract import Column
>>> contract = Contract(slice="thumbs", purpose="show it", columns=(
...     Column(name="user", type=pa.string(), role=Role.SUBJECT),
...     Column(name="label", type=pa.int64())))
>>> rejections = Rejections(contract, strict=False)
>>> rejections.add_value("int64", "x", row=3, column="label")
>>> rejections.lay_aside(3, LaidAside({"user": "ann", "label": "x", "mail": "ann@example.com"}))
>>> (row,) = quarantined_rows(rejections, contract, SubjectKey(key_id="k1", secret=b"0" * 16))
>>> row.reasons
['label: int64']
>>> sorted(row.fields), row.fields["user"][:3]
(['label', 'user'], 'k1:')
"""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from pyarrow import types as kind

from backstory.lake.columns import Column, Role
from backstory.lake.contract import Contract
from backstory.lake.errors import InvalidError, Rejection
from backstory.lake.sources.misfits import Misfit
from backstory.lake.sources.rejections import LaidAside, Rejections, described
from backstory.lake.sources.values import column_of
from backstory.lake.subjects import SubjectKey


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedRow:
    """A row in quarantine.

    Attributes:
        row: its number in what came in.
        faults: why it is there.
        fields: what is kept of it, as JSON values; None where it could not be told apart.
        text: the row as it came in, where there are no fields and nobody's data is in it.
    """

    row: int
    faults: tuple[Rejection, ...]
    fields: Mapping[str, Any] | None
    text: str | None

    @property
    def reasons(self) -> list[str]:
        """Its faults without what was found, to be counted by; they come from the contract."""
        return sorted({f"{fault.column or 'row'}: {fault.expected}" for fault in self.faults})

    def content(self) -> str:
        """What is kept, as one line of JSON that depends on nothing else."""
        kept = {"row": self.row, "fields": self.fields, "text": self.text}
        return json.dumps(kept, sort_keys=True, separators=(",", ":"))


def quarantined_rows(
    rejections: Rejections, contract: Contract, key: SubjectKey
) -> list[QuarantinedRow]:
    """The rows that were laid aside, in their order."""
    nobody = LaidAside(None)
    return [
        _row(number, faults, rejections.aside.get(number, nobody), contract, key)
        for number, faults in sorted(rejections.faults.items())
    ]


def _row(
    number: int,
    faults: Sequence[Rejection],
    content: LaidAside,
    contract: Contract,
    key: SubjectKey,
) -> QuarantinedRow:
    is_guarded = bool(contract.personal_columns)
    return QuarantinedRow(
        row=number,
        faults=tuple(faults),
        fields=None if content.fields is None else _fields(content, contract, key),
        text=None if is_guarded else content.text,
    )


def _fields(content: LaidAside, contract: Contract, key: SubjectKey) -> dict[str, Any]:
    found = content.fields or {}
    personal = contract.personal_columns
    kept: dict[str, Any] = {}
    for column in contract.columns:
        value = found.get(column.name)
        if value is None:
            continue
        if column.role is Role.SUBJECT:
            value = _pseudonym(value, key)
        elif column.name in personal and not _fits(value, column, content):
            continue
        if value is not None:
            kept[column.name] = json_value(value, column.type)
    if not personal:
        names = {column.name for column in contract.columns}
        unknown = {str(n): v for n, v in found.items() if n not in names}
        kept |= {n: json_value(v) for n, v in unknown.items() if not n.startswith("_")}
    return kept


def _pseudonym(value: Any, key: SubjectKey) -> str | None:
    try:
        return key.pseudonym(value) if isinstance(value, str) else None
    except InvalidError:
        return None


def _fits(value: Any, column: Column, content: LaidAside) -> bool:
    if column.name in content.fitting:
        return True
    try:
        column_of([value], column.type)
    except Misfit:
        return False
    return True


def json_value(value: Any, type_: Any = None) -> Any:
    """A value as JSON says it; one that JSON has no word for is described, a map is an object."""
    match value:
        case Mapping():
            types = {f.name: f.type for f in type_} if type_ and kind.is_struct(type_) else {}
            return {str(name): json_value(part, types.get(name)) for name, part in value.items()}
        case list() | tuple():
            return _json_list(value, type_)
        case None | bool() | str() | int():
            return value
        case float() if math.isfinite(value):
            return value
        case _:
            return _text(value)


def _text(value: Any) -> str:
    match value:
        case float() | Decimal():
            return str(value)
        case bytes():
            return base64.b64encode(value).decode()
        case date():
            return value.isoformat()
        case _:
            return described(value)


def _json_list(values: Sequence[Any], type_: Any) -> Any:
    if type_ and kind.is_map(type_):
        pairs = [
            [json_value(key, type_.key_type), json_value(item, type_.item_type)]
            for key, item in values
        ]
        return dict(pairs) if kind.is_string(type_.key_type) else pairs
    inside = type_.value_type if type_ and kind.is_list(type_) else None
    return [json_value(value, inside) for value in values]
