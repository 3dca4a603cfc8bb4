"""A read of a run, recorded: the snapshot pinned, the selection, and where its rows came from.

The training then reads exactly what is kept. The loop share is counted here: how many of the rows
read were given on answers of each earlier model version.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backstory.lake.matching import matching, naming_of
from backstory.lake.pinned import reopen
from backstory.lake.reading import Reading, read
from backstory.lineage.answer_tables import answer_tables, rows_by_version
from backstory.lineage.graph import EdgeKind, Evidence
from backstory.lineage.openlineage.events import InputDescription
from backstory.lineage.parts import Parts
from backstory.lineage.pinning import hold, open_at
from backstory.lineage.resolving import SliceAt
from backstory.lineage.store import models, tables, writes
from backstory.lineage.store.unit_of_work import Unit
from backstory.lineage.trigger import CommitRange


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What of a snapshot is read, and what for."""

    role: str
    columns: Sequence[str] | None
    where: str | None


def record_read(
    parts: Parts,
    unit: Unit,
    run: int,
    found: SliceAt,
    *,
    selection: Selection,
    holder: str,
    cause: CommitRange | None,
) -> tuple[Reading, InputDescription]:
    """Pin a snapshot for a run and record what the run reads of it.

    Args:
        run: the run's node.
        holder: in whose name it is pinned.
        cause: the commits that caused the run, where a trigger named some.

    Raises:
        InvalidError: the condition is not one scalar expression on the slice's columns.
        GoneError: the snapshot's files are no longer there.
    """
    table = parts.lake.table(found.slice.name)
    snapshot = open_at(parts, found)
    reading = read(snapshot, selection.columns, selection.where)
    _, kept = hold(parts, unit, found, snapshot, holder=holder, reason=f"read by {holder}")
    if kept.digest != snapshot.digest:  # of a table of others, the copy or the hashed list counts
        snapshot = reopen(table, kept.digest)
        reading = read(snapshot, selection.columns, selection.where)
    writes.insert(
        unit,
        tables.run_read,
        run=run,
        snapshot=kept.id,
        role=selection.role,
        columns=list(selection.columns) if selection.columns is not None else None,
        filter=selection.where,
        rows=reading.rows,
    )
    _add_loop_edges(unit, run, kept.id, _loop_shares(parts, unit, reading), reading.rows)
    if cause is not None and cause.slice == found.slice.name and cause.last <= found.version:
        triggered, observed = EdgeKind.TRIGGERED, Evidence.OBSERVED
        writes.add_edge(unit, kept.id, run, triggered, observed, run=run, rows=cause.rows)
    unit.note(snapshot=found.ref, digest=snapshot.digest, rows=reading.rows)
    return reading, InputDescription(
        slice=found.slice.name,
        uri=table.uri,
        snapshot=snapshot,
        at=found.commit.at if found.commit else None,
        role=selection.role,
        columns=selection.columns,
        filter=selection.where,
        rows_read=reading.rows,
    )


def _loop_shares(parts: Parts, unit: Unit, reading: Reading) -> dict[tuple[str, int], int]:
    """How many of the rows read were given on answers of each earlier model version."""
    snapshot = reading.snapshot
    naming = naming_of(parts.lake.table(snapshot.slice).contract)
    if naming is None:
        return {}
    rows = snapshot.batches(naming.columns, reading.where)
    with matching(rows, naming, what=str(snapshot)) as matched:
        found = rows_by_version(matched, answer_tables(parts, unit.connection))
    return {(model, number): n for (model, number), n in found.items() if number is not None}


def _add_loop_edges(
    unit: Unit, run: int, snapshot: int, shares: Mapping[tuple[str, int], int], total: int
) -> None:
    for (model, number), rows in shares.items():
        version = models.version(unit.connection, model, number)
        if version is not None:
            writes.add_edge(
                unit,
                version.id,
                snapshot,
                EdgeKind.FEEDBACK_ON,
                Evidence.INFERRED,
                run=run,
                rows=rows,
                share=rows / total,
            )
