"""The gate: the only way into a slice.

Keeps true: behind it every row fits its contract, nothing is missing that must be there, and no
subject is readable. It writes nothing. Strict, it refuses a batch for one row that does not fit;
lenient, it lays such rows aside for the quarantine, in which no subject is readable either, and
lets the good ones pass, unless too many do not fit.

>>> from backstory.lake.contract import Column, Role
>>> contract = Contract(slice="thumbs", purpose="show it", columns=(
...     Column(name="user", type=pa.string(), role=Role.SUBJECT),))
>>> key = SubjectKey(key_id="k1", secret=b"0123456789abcdef")
>>> pass_gate([{"user": "user-1"}], contract, key)["user"][0].as_py()[:11]
'k1:9671a701'
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from backstory.lake.batch import Batch
from backstory.lake.contract import Contract, Role
from backstory.lake.errors import RefusedError
from backstory.lake.expectations import Check, Expectation, Severity
from backstory.lake.quarantined_rows import quarantined_rows
from backstory.lake.sources.objects import read_objects
from backstory.lake.sources.rejections import MAX_REJECTED_ROWS, LaidAside, Rejections
from backstory.lake.sources.typed import conform, row_values
from backstory.lake.subjects import SubjectKey

_NULL = "null"
_NONE_HIDDEN: Mapping[str, bool] = MappingProxyType({})


def pass_gate(
    rows: Any, contract: Contract, key: SubjectKey, *, at: datetime | None = None
) -> pa.Table:
    """Check rows against their contract, then hide their subjects; one fault refuses all.

    Args:
        rows: what `conform` takes, or a list of dicts.
        contract: of the slice that they go to.
        key: hides the subjects.
        at: when they come in; now where nothing is said.

    Returns:
        The contract's columns, in its order.

    Raises:
        BatchRejectedError: a row does not fit; all of the batch is refused.
        RefusedError: the table is written by others.
    """
    rejections = Rejections(contract)
    typed = type_rows(rows, contract, rejections)
    return judge(typed, contract, key, rejections, at=at or datetime.now(UTC)).rows


def type_rows(rows: Any, contract: Contract, rejections: Rejections) -> pa.Table:
    """The rows of which every column and value fits the contract's types.

    Raises:
        BatchRejectedError: one does not, and refuses the batch.
        RefusedError: the table is written by others.
    """
    if contract.linked:
        raise RefusedError(
            f"{contract.slice} is a linked table: others write it",
            hint="make a slice of your own to append to",
        )
    read = read_objects if _is_objects(rows) else conform
    return read(rows, contract, rejections)


def judge(
    typed: pa.Table,
    contract: Contract,
    key: SubjectKey,
    rejections: Rejections,
    *,
    at: datetime,
    hidden: Mapping[str, bool] = _NONE_HIDDEN,
    most: float | None = None,
) -> Batch:
    """Ask of typed rows what their contract expects, and hide their subjects.

    1. Nothing is null that may not be.
    2. Every expectation is met that does not only warn; one that looks at other rows sees those
       that met the rest.
    3. Not too many rows are laid aside.
    4. The subject becomes `keyid:HMAC`, whatever it looked like before.

    Args:
        typed: what `type_rows` or `read_file` returned with these rejections.
        contract: of the slice that they go to.
        key: hides the subjects.
        rejections: the faults so far.
        at: when the rows come in.
        most: the share of rows that may be laid aside; the contract's where nothing is said.
        hidden: pseudonyms that are none to be hidden, those of rows that were in quarantine, and
            whether their subjects met what is expected of them; now nobody can tell any more.

    Raises:
        BatchRejectedError: a row refuses the batch, or too many do not fit.
    """
    untyped = quarantined_rows(rejections, contract, key)
    expected = [*_must_be_there(contract), *contract.expectations]
    soft = [one for one in expected if one.severity is Severity.WARN]
    single = [one for one in expected if one not in soft and one.check is not Check.UNIQUE]
    among = [one for one in expected if one not in soft and one.check is Check.UNIQUE]
    good = _ask(typed, single, contract, rejections, at=at, hidden=hidden)
    good = _ask(good, among, contract, rejections, at=at, hidden=hidden)
    share = contract.max_rejected_share if most is None else most
    rejections.check_share(len(typed) + len(untyped), share)
    rows = _hide_subjects(good, contract, key, hidden)
    given = rows if good is typed else _hide_subjects(typed, contract, key, hidden)
    return Batch(
        rows=rows,
        typed=None if given is rows else given,
        untyped=tuple(row.content() for row in untyped),
        rejected=tuple(quarantined_rows(rejections, contract, key)),
        warnings=_warnings(good, soft, at),
    )


def _warnings(table: pa.Table, expectations: Sequence[Expectation], at: datetime) -> dict[str, int]:
    """How many rows miss each expectation that only warns."""
    counts = {
        f"{one.column or 'row'}: {one}": pc.sum(one.misses(table, at=at)).as_py() or 0
        for one in expectations
    }
    return {reason: count for reason, count in counts.items() if count}


def _is_objects(rows: Any) -> bool:
    return isinstance(rows, Sequence) and not isinstance(rows, str | bytes)


def _must_be_there(contract: Contract) -> list[Expectation]:
    return [
        Expectation(check=Check.NOT_NULL, value=True, column=column.name)
        for column in contract.columns
        if not column.nullable
    ]


def _ask(
    table: pa.Table,
    expectations: Sequence[Expectation],
    contract: Contract,
    rejections: Rejections,
    *,
    at: datetime,
    hidden: Mapping[str, bool],
) -> pa.Table:
    """The rows that meet the expectations; the others are laid aside.

    Raises:
        BatchRejectedError: a row refuses the batch.
    """
    at_fault: set[int] = set()
    for expectation in expectations:
        missed = expectation.misses(table, at=at)
        if hidden and _is_of_subject(expectation, contract):
            met = pa.array([subject for subject, is_met in hidden.items() if is_met], pa.string())
            missed = pc.and_not(missed, pc.is_in(table[expectation.column], value_set=met))
        if not pc.any(missed).as_py():
            continue
        places = pc.indices_nonzero(missed)[: MAX_REJECTED_ROWS + 1].to_pylist()
        for place in places:
            _note(table, place, expectation, rejections)
            if rejections.full:
                break
        at_fault.update(places)
    rejections.check()
    return _without(table, sorted(at_fault), contract, rejections) if at_fault else table


def _is_of_subject(expectation: Expectation, contract: Contract) -> bool:
    subject = contract.column_with(Role.SUBJECT)
    return subject is not None and expectation.column == subject.name


def _note(table: pa.Table, place: int, expectation: Expectation, rejections: Rejections) -> None:
    row = rejections.number_of(place)
    whole = expectation.severity is Severity.REFUSE
    expected = str(expectation)
    if expectation.column is None:
        rejections.add(expected, "a row that does not meet it", row=row, whole=whole)
    elif expectation.check is Check.NOT_NULL:
        rejections.add(expected, _NULL, row=row, column=expectation.column, whole=whole)
    else:
        found = next(row_values(table.select([expectation.column]).slice(place, 1)))
        value = found[expectation.column]
        rejections.add_value(expected, value, row=row, column=expectation.column, whole=whole)


def _without(
    table: pa.Table, places: list[int], contract: Contract, rejections: Rejections
) -> pa.Table:
    """The rows at other places; those at these are laid aside."""
    numbers = [rejections.number_of(place) for place in places]
    at_fault = table.take(pa.array(places, pa.int64()))
    size = at_fault.nbytes // len(places)
    for number, row in zip(numbers, row_values(at_fault), strict=True):
        fitting = frozenset(column.name for column in contract.columns)
        rejections.lay_aside(number, LaidAside(row, fitting), size=size)
    taken = set(places)
    good = [place for place in range(table.num_rows) if place not in taken]
    rejections.keep(good)
    return table.take(pa.array(good, pa.int64()))


def _hide_subjects(
    table: pa.Table, contract: Contract, key: SubjectKey, hidden: Mapping[str, bool]
) -> pa.Table:
    column = contract.column_with(Role.SUBJECT)
    if column is None:
        return table
    place = table.schema.get_field_index(column.name)
    values = table.column(place)
    pseudonyms = key.pseudonyms(values)
    if hidden:
        known = pc.is_in(values, value_set=pa.array(sorted(hidden), pa.string()))
        pseudonyms = pc.if_else(known, values, pseudonyms)
    return table.set_column(place, table.schema.field(place), pseudonyms)
