"""Every write to a store: small functions over a unit of work, and no other INSERT anywhere.

But for `transfer`, which lays rows that were written here into an empty database, log and all, and
for `outbox`, which no leaf vouches for.

Each written row goes into the unit's leaf by its hash, so that a row changed behind our back is
found. Nothing here decides anything; use cases do.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Table

from backstory.lake.errors import ConflictError
from backstory.lineage.store import tables
from backstory.lineage.store.reads import entity_by_key
from backstory.lineage.store.rows import (
    ENDED,
    as_stored,
    ended_hash,
    recorded_column,
    row_hash,
)
from backstory.lineage.store.unit_of_work import Unit


def insert(unit: Unit, table: Table, /, **row: Any) -> int:
    """Write one row and give its key (0 where the table's key is not a number of ours).

    Raises:
        ConflictError: a row with that key is there already.
    """
    row[recorded_column(table).name] = unit.seq
    result = unit.connection.execute(sa.insert(table), row)
    key: int = 0
    if "id" in table.c:
        key = row["id"] = row.get("id") or result.inserted_primary_key[0]  # type: ignore[index]
    stored = {name: as_stored(table.c[name], value) for name, value in row.items()}
    unit.wrote(table.name, row_hash(table.name, stored))
    return key


def end(unit: Unit, table: Table, key: int, /) -> None:
    """Say that a row holds no longer.

    Raises:
        ConflictError: somebody ended it before.
    """
    result = unit.connection.execute(
        sa.update(table)
        .where(table.c.id == sa.bindparam("its_id"), table.c[ENDED].is_(None))
        .values({ENDED: sa.bindparam("ended_by")}),
        {"its_id": key, "ended_by": unit.seq},
    )
    if result.rowcount != 1:
        raise ConflictError(f"{table.name} {key} has been ended already")
    unit.wrote(table.name, ended_hash(table.name, key))


def add_entity(unit: Unit, kind: str, key: str, label: str) -> int:
    """The number of a thing in the graph, made on first use.

    Raises:
        ConflictError: the key belongs to a thing of another kind.
    """
    known = entity_by_key(unit.connection, key)
    if known is None:
        return insert(unit, tables.entity, kind=kind, key=key, label=label)
    if known.kind != kind:
        raise ConflictError(f"{key} is a {known.kind}, not a {kind}")
    return known.id


def add_edge(
    unit: Unit,
    src: int,
    dst: int,
    kind: str,
    evidence: str,
    *,
    run: int | None = None,
    rows: int | None = None,
    share: float | None = None,
) -> None:
    """Say that `dst` came from `src`; saying it twice changes nothing."""
    if unit.connection.execute(_EDGE, {"s": src, "d": dst, "k": kind, "r": run or 0}).first():
        return
    insert(
        unit,
        tables.edge,
        src=src,
        dst=dst,
        kind=kind,
        run=run,
        evidence=evidence,
        rows=rows,
        share=share,
    )


_EDGE = sa.select(tables.edge.c.id).where(
    tables.edge.c.src == sa.bindparam("s"),
    tables.edge.c.dst == sa.bindparam("d"),
    tables.edge.c.kind == sa.bindparam("k"),
    sa.func.coalesce(tables.edge.c.run, 0) == sa.bindparam("r"),
    tables.edge.c.ended_seq.is_(None),
)


def claim_name(unit: Unit, name: str, entity: int) -> None:
    """Take a name for a slice or a model; they share one namespace.

    Raises:
        ConflictError: the name belongs to something else.
    """
    owner = unit.connection.execute(_OWNER, {"name": name}).first()
    if owner is None:
        insert(unit, tables.name, name=name, entity=entity)
    elif owner.entity != entity:
        raise ConflictError(f"the name {name!r} belongs to {owner.key}", hint="choose another name")


_OWNER = (
    sa.select(tables.name.c.entity, tables.entity.c.key)
    .join(tables.entity, tables.entity.c.id == tables.name.c.entity)
    .where(tables.name.c.name == sa.bindparam("name"))
)
