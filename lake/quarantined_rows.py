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

_ALL = "all of the row"
_UNKNOWN = "fields that the contract lacks"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedRow:
    """A row in quarantine.

    Attributes:
        row: its number in what came in.
        faults: why it is there.
        fields: what is kept of it, as JSON values; None where it could not be told apart.
        text: the row as it came in, where there are no fields and nobody's data is in it.
        left_out: what is not kept and has to be added before the row can go on: columns, or words.
    """

    row: int
    faults: tuple[Rejection, ...]
    fields: Mapping[str, Any] | None
    text: str | None
    left_out: tuple[str, ...]

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
    personal = contract.personal_columns
    if content.fields is None:
        text = None if personal else content.text
        return QuarantinedRow(
            row=number, faults=tuple(faults), fields=None, text=text, left_out=(_ALL,)
        )
    fields = {}
    left_out = []
    for column in contract.columns:
        value = content.fields.get(column.name)
        kept = _kept(value, column, content, contract, key)
        if kept is not None:
            fields[column.name] = json_value(kept, column.type)
        elif value is not None:
            left_out.append(column.name)
    names = {column.name for column in contract.columns}
    unknown = {str(name): v for name, v in content.fields.items() if name not in names}
    if personal and unknown:
        left_out.append(_UNKNOWN)
    else:
        fields |= {n: json_value(v) for n, v in unknown.items() if not n.startswith("_")}
    return QuarantinedRow(
        row=number, faults=tuple(faults), fields=fields, text=None, left_out=tuple(left_out)
    )


def _kept(
    value: Any, column: Column, content: LaidAside, contract: Contract, key: SubjectKey
) -> Any:
    """What may be kept of a value; None for nothing."""
    if value is None:
        return None
    if column.role is Role.SUBJECT:
        return _pseudonym(value, key)
    is_open = column.name not in contract.personal_columns
    return value if is_open or _fits(value, column, content) else None


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
