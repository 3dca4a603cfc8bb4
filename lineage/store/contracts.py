"""What the store knows of contracts: every version of a slice, and since when it holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, ScalarSelect, func, select

from backstory.lineage.store import tables as t
from backstory.lineage.store.horizon import horizon, known_in
from backstory.lineage.store.number_list import among
from backstory.lineage.store.prepared import Prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractRecord:
    """One version of a slice's contract.

    Attributes:
        body: its canonical JSON text.
        begins: the first version of the slice under it; None for tables of others.
        at: when that was committed.
        recorded_at: when it was registered.
    """

    slice: int
    version: int
    digest: str
    body: str
    begins: int | None
    at: datetime | None
    recorded_at: datetime


def _first(value: Column[Any]) -> ScalarSelect[Any]:
    # Commits that bring a contract have no source, which an index knows; appends have one.
    return (
        select(func.min(value))
        .where(
            t.commit.c.slice == t.contract.c.slice,
            t.commit.c.source.is_(None),
            t.commit.c.contract_version == t.contract.c.version,
            known_in(t.commit),
        )
        .correlate(t.contract)
        .scalar_subquery()
    )


_CONTRACTS = Prepared(
    select(
        t.contract.c.slice,
        t.contract.c.version,
        t.contract.c.digest,
        t.contract.c.body,
        _first(t.commit.c.version).label("begins"),
        _first(t.commit.c.at).label("at"),
        t.audit_leaf.c.at.label("recorded_at"),
    )
    .join(t.audit_leaf, t.audit_leaf.c.seq == t.contract.c.recorded_seq)
    .where(among(t.contract.c.slice, "ids"), known_in(t.contract))
    .order_by(t.contract.c.slice, t.contract.c.version)
)


def contracts_of(conn: Connection, ids: Sequence[int]) -> dict[int, list[ContractRecord]]:
    """The contracts of slices in order of version, by slice id."""
    found: dict[int, list[ContractRecord]] = {}
    for record in _CONTRACTS.records(conn, ContractRecord, ids=ids) if ids else ():
        found.setdefault(record.slice, []).append(record)
    return found


def in_force(conn: Connection, slice_id: int, version: int) -> str | None:
    """The JSON text of the contract that a slice was under at one of its versions."""
    records = contracts_of(conn, [slice_id]).get(slice_id, [])
    return next((r.body for r in reversed(records) if (r.begins or 0) <= max(version, 0)), None)


def newest_versions(conn: Connection) -> dict[int, int]:
    """The newest registered version of each slice's contract, by slice id."""
    query = select(t.contract.c.slice, func.max(t.contract.c.version)).where(known_in(t.contract))
    rows = conn.execute(query.group_by(t.contract.c.slice), horizon(conn))
    return {row[0]: row[1] for row in rows}
