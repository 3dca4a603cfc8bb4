"""The gate: the only way into a slice.

Keeps true: behind it every row fits its contract, nothing is missing that must be there, and no
subject is readable. It writes nothing and keeps nothing of what it refused.

>>> from backstory.lake.contract import Column, Role
>>> contract = Contract(slice="thumbs", purpose="show it", columns=(
...     Column(name="user", type=pa.string(), role=Role.SUBJECT),))
>>> key = SubjectKey(key_id="k1", secret=b"0123456789abcdef")
>>> pass_gate([{"user": "user-1"}], contract, key)["user"][0].as_py()[:11]
'k1:9671a701'
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from backstory.lake.contract import Contract, Role
from backstory.lake.errors import RefusedError
from backstory.lake.sources.objects import read_objects
from backstory.lake.sources.rejections import Rejections
from backstory.lake.sources.typed import conform
from backstory.lake.subjects import SubjectKey


def pass_gate(rows: Any, contract: Contract, key: SubjectKey, *, before: int = 0) -> pa.Table:
    """Check rows against their contract, then hide their subjects.

    1. Every column and value fits the contract's types.
    2. Nothing is null that may not be.
    3. The subject becomes `keyid:HMAC`, whatever it looked like before.

    Args:
        rows: what `conform` takes, or a list of dicts.
        contract: of the slice that they go to.
        key: hides the subjects.
        before: rows of the same input that came before, for messages.

    Returns:
        The contract's columns, in its order.

    Raises:
        BatchRejectedError: a row does not fit; all of the batch is refused.
        RefusedError: the table is written by others.
    """
    if contract.linked:
        raise RefusedError(
            f"{contract.slice} is a linked table: others write it",
            hint="make a slice of your own to append to",
        )
    found = read_objects(rows, contract) if _is_objects(rows) else rows
    typed = conform(found, contract, before=before)
    _check_nulls(typed, contract, before)
    return _hide_subjects(typed, contract, key)


def _is_objects(rows: Any) -> bool:
    return isinstance(rows, Sequence) and not isinstance(rows, str | bytes)


def _check_nulls(table: pa.Table, contract: Contract, before: int) -> None:
    rejections = Rejections(contract)
    for column in contract.columns:
        values = table.column(column.name)
        if column.nullable or not values.null_count:
            continue
        for place in pc.indices_nonzero(values.is_null()).to_pylist():
            if rejections.full:
                break
            rejections.add("a value", "null", row=before + place + 1, column=column.name)
    rejections.check()


def _hide_subjects(table: pa.Table, contract: Contract, key: SubjectKey) -> pa.Table:
    column = contract.column_with(Role.SUBJECT)
    if column is None:
        return table
    place = table.schema.get_field_index(column.name)
    return table.set_column(place, table.schema.field(place), key.pseudonyms(table.column(place)))
