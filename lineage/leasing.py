"""Leases in a home: a process that reads a slice at a version holds it while it lives.

Only tables of ours are held: nobody here could keep the files of a table that others write.
"""

from collections.abc import Iterator
from dataclasses import replace

from backstory.lake.leases import Lease, Reader, leases_in, sweep
from backstory.lake.snapshot import Snapshot
from backstory.lake.table import SliceTable
from backstory.lineage.parts import Parts
from backstory.lineage.resolving import resolve_slice_at


def under_lease(parts: Parts, snapshot: Snapshot) -> Snapshot:
    """A snapshot that is read under a lease of this process, which begins now."""
    if not snapshot.ours:
        return snapshot
    reader = Reader(
        folder=parts.lake.slice(snapshot.slice).folder,
        slice=snapshot.slice,
        version=snapshot.version,
        size=snapshot.size,
        user=parts.actor.name,
        clock=parts.clock,
    )
    reader.renew()
    return replace(snapshot, reader=reader)


def leases(parts: Parts, ref: str | None = None) -> list[Lease]:
    """The leases that hold now, on one slice or on all.

    Args:
        ref: one slice; all where nothing is said.

    Raises:
        NotFoundError: there is no such slice.
    """
    wanted = resolve_slice_at(parts, ref).slice.name if ref else None
    now = parts.clock()
    return [
        lease
        for table in _own_tables(parts)
        if wanted in {None, table.name}
        for lease in leases_in(table.folder)
        if lease.is_live(now)
    ]


def ended_leases(parts: Parts) -> list[Lease]:
    """The leases of readers that are gone; they hold nothing."""
    now = parts.clock()
    found = (lease for table in _own_tables(parts) for lease in leases_in(table.folder))
    return [lease for lease in found if not lease.is_live(now)]


def sweep_leases(parts: Parts) -> int:
    """Remove the leases of readers that are gone; tells how many there were."""
    now = parts.clock()
    return sum(sweep(table.folder, now) for table in _own_tables(parts))


def _own_tables(parts: Parts) -> Iterator[SliceTable]:
    tables = map(parts.lake.table, parts.lake.names())
    return (table for table in tables if isinstance(table, SliceTable))
