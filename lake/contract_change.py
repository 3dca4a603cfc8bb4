"""What changes between two contracts of a table, and whether the table can bear it.

Keeps true: a change that is compatible leaves every row readable as the value that it was, keeps
what was promised to readers and to the people in the rows, and costs no rewriting. Everything else
is breaking. Nothing is looked at but the two contracts.

    compatible: a new column that may be null; a wider type that holds every value; a role for a
        column that had none (but subject); another tag for a column that had one; a new signal, its
        meaning, its end; a shorter retention; descriptions; what is expected of rows that come
    breaking: all else

The order of columns does not count: the table keeps its own, and new ones come last.

>>> from backstory.lake.contract import Column
>>> old = Contract(slice="thumbs", purpose="p", columns=(Column(name="n", type=pa.int32()),))
>>> new = replace(old, columns=(Column(name="n", type=pa.int64()),))
>>> [(change.where, change.what, change.breaking) for change in changes(old, new)]
[('column n', 'type int32 → int64', False)]
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

import pyarrow as pa

from backstory.lake.columns import Column, PersonalData, Role
from backstory.lake.contract import Contract
from backstory.lake.errors import ConflictError, IncompatibleContractError
from backstory.lake.expectations import Expectation
from backstory.lake.signals import Signal
from backstory.lake.sources.widening import widens
from backstory.lake.types import type_text

_EVER = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference between two contracts.

    Attributes:
        where: the part of the contract, such as `column label`.
        what: what it was and what it becomes.
        why: why that breaks something; empty where it does not.
    """

    where: str
    what: str
    why: str = ""

    @property
    def breaking(self) -> bool:
        """Whether the table cannot bear it."""
        return bool(self.why)

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f" ({self.why})" if self.why else "")


def changes(old: Contract, new: Contract) -> tuple[Change, ...]:
    """All differences, in the order in which a contract is read."""
    return (
        *_head(old, new),
        *_columns(old, new),
        *_signals(old, new),
        *_expectations(old, new),
    )


def successor(old: Contract, new: Contract) -> Contract:
    """The next version of a table's contract; the old one itself where nothing changes.

    Raises:
        IncompatibleContractError: naming all breaking points.
        ConflictError: the new contract says that it follows another version.
    """
    # 1 is what a contract says that does not speak of versions.
    if new.version not in {1, old.version, old.version + 1}:
        raise ConflictError(
            f"{old.slice}: its contract is at version {old.version}, and this one says "
            f"{new.version}",
            hint=f"begin with `backstory contract show {old.slice}`, and change that",
        )
    found = changes(old, new)
    if breaking := [str(change) for change in found if change.breaking]:
        raise IncompatibleContractError(new.slice, breaking)
    if not found:
        return old
    wanted = {column.name: column for column in new.columns}
    kept = [wanted.pop(column.name) for column in old.columns]
    return replace(new, version=old.version + 1, columns=(*kept, *wanted.values()))


def _head(old: Contract, new: Contract) -> Iterator[Change]:
    if new.slice != old.slice:
        yield Change(where="slice", what=f"{old.slice} → {new.slice}", why="it is another table's")
    if new.linked != old.linked:
        yield Change(where="linked", what=f"{old.linked} → {new.linked}", why="who writes stays")
    if new.purpose != old.purpose:
        yield Change(
            where="purpose",
            what=f"{old.purpose!r} → {new.purpose!r}",
            why="the rows were given for the old one",
        )
    if new.retention_days != old.retention_days:
        longer = (new.retention_days or _EVER) > (old.retention_days or _EVER)
        yield Change(
            where="retention_days",
            what=f"{_days(old)} → {_days(new)}",
            why="the rows were given to be kept for less" if longer else "",
        )
    if new.description != old.description:
        yield Change(where="description", what="another text")


def _days(contract: Contract) -> str:
    return str(contract.retention_days or "for ever")


def _columns(old: Contract, new: Contract) -> Iterator[Change]:
    before = {column.name: column for column in old.columns}
    after = {column.name: column for column in new.columns}
    for name, column in before.items():
        if name in after:
            yield from _column(column, after[name])
        else:
            yield Change(where=f"column {name}", what="removed", why="stored rows have it")
    for name, column in after.items():
        if name not in before:
            yield Change(
                where=f"column {name}",
                what=f"new, {type_text(column.type)}",
                why="" if column.nullable else "stored rows have no value for it",
            )


def _column(old: Column, new: Column) -> Iterator[Change]:
    where = f"column {old.name}"
    if new.type != old.type:
        yield Change(
            where=where,
            what=f"type {type_text(old.type)} → {type_text(new.type)}",
            why="" if can_widen(old.type, new.type) else "not every value fits, or not as it was",
        )
    if new.nullable != old.nullable:
        why = "readers were promised a value" if new.nullable else "stored rows may have none"
        yield Change(where=where, what=f"nullable {_yes(old)} → {_yes(new)}", why=why)
    if new.role != old.role:
        yield Change(
            where=where,
            what=f"role {old.role or 'none'} → {new.role or 'none'}",
            why=_role(old, new),
        )
    if new.personal != old.personal:
        yield Change(
            where=where,
            what=f"personal {old.personal} → {new.personal}",
            why=_personal(old.personal, new.personal),
        )
    if new.description != old.description:
        yield Change(where=where, what="another description")


def _yes(column: Column) -> str:
    return str(column.nullable).lower()


def _role(old: Column, new: Column) -> str:
    if old.role is not None:
        return "stored rows are understood by it"
    return "stored rows hold people as they are" if new.role is Role.SUBJECT else ""


def _personal(old: PersonalData, new: PersonalData) -> str:
    if old is PersonalData.NONE:
        return "files that are written tell its lowest and highest value"
    return "what was promised to people holds" if new is PersonalData.NONE else ""


def can_widen(old: pa.DataType, new: pa.DataType) -> bool:
    """Whether files with the old type can be read as the new one, value for value.

    As for input (`widens`), but parts keep their places: a struct's fields stand in one order.
    """
    if old.num_fields != new.num_fields:
        return False
    places = range(old.num_fields)
    return widens(old, new) and all(
        old.field(place).name == new.field(place).name
        and can_widen(old.field(place).type, new.field(place).type)
        for place in places
    )


def _signals(old: Contract, new: Contract) -> Iterator[Change]:
    before = {signal.name: signal for signal in old.signals}
    after = {signal.name: signal for signal in new.signals}
    for name, signal in before.items():
        if name in after:
            yield from _signal(signal, after[name])
        else:
            why = "stored rows may use it; give it an end with until"
            yield Change(where=f"signal {name}", what="removed", why=why)
    for name in after:
        if name not in before:
            yield Change(where=f"signal {name}", what="new")


def _signal(old: Signal, new: Signal) -> Iterator[Change]:
    where = f"signal {old.name}"
    if new.meaning != old.meaning:
        yield Change(where=where, what=f"means {new.meaning!r}")
    for name in ("since", "until"):
        was, becomes = getattr(old, name), getattr(new, name)
        if was != becomes:
            yield Change(where=where, what=f"{name} {_time(was)} → {_time(becomes)}")


def _expectations(old: Contract, new: Contract) -> Iterator[Change]:
    """What is expected of rows that come; each commit names the contract that its rows passed."""
    for expectation in new.expectations:
        if expectation not in old.expectations:
            yield Change(where=_expected_of(expectation), what=f"expects {expectation}")
    for expectation in old.expectations:
        if expectation not in new.expectations:
            yield Change(where=_expected_of(expectation), what=f"no longer expects {expectation}")
    for name in ("max_rejected_share", "duplicate_window"):
        was, becomes = getattr(old, name), getattr(new, name)
        if was != becomes:
            yield Change(where=name, what=f"{was} → {becomes}")


def _expected_of(expectation: Expectation) -> str:
    return "rows" if expectation.column is None else f"column {expectation.column}"


def _time(at: datetime | None) -> str:
    return at.isoformat().replace("+00:00", "Z") if at else "unsaid"
