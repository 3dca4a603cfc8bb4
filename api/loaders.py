"""Batches: what many resolvers ask one by one, the store is asked once.

A loader lives as long as its request, and reads what was known at one time: a question of another
time has loaders of its own. All that is asked of one within one turn of the event loop becomes one
call of a batch read, whatever the number of things. A use case that has read them already primes
the loaders, so that nothing is asked twice.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from aiodataloader import DataLoader

from backstory.lineage import abandoning
from backstory.lineage.contracting import ContractVersion, contract_versions
from backstory.lineage.parts import Parts
from backstory.lineage.pinning import Pinned, told
from backstory.lineage.store import models, neighbours, recorded
from backstory.lineage.store import slices as slice_reads
from backstory.lineage.store.amendments import AmendmentRecord, amendments_of
from backstory.lineage.store.deployments import IntervalRecord, intervals_of
from backstory.lineage.store.runs import ReadRecord, RunRecord
from backstory.lineage.tracing import Trace
from backstory.lineage.weighing import PinSize, pin_sizes

_T = TypeVar("_T")
_Read = Callable[[Any, Sequence[int]], Mapping[int, _T]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaders:
    """A request's loaders for one time, by what they give; each takes the numbers of its kind."""

    slices: DataLoader[int, slice_reads.SliceRecord | None]
    rows_added: DataLoader[int, int]
    contracts: DataLoader[int, Sequence[ContractVersion]]
    snapshots: DataLoader[int, slice_reads.SnapshotRecord | None]
    runs: DataLoader[int, RunRecord | None]
    versions: DataLoader[int, models.VersionRecord | None]
    pins: DataLoader[int, Sequence[slice_reads.PinRecord]]
    lives: DataLoader[slice_reads.PinRecord, Pinned]
    sizes: DataLoader[slice_reads.PinRecord, PinSize | None]
    reads: DataLoader[int, Sequence[ReadRecord]]
    readers: DataLoader[int, Sequence[ReadRecord]]
    made: DataLoader[int, Sequence[models.VersionRecord]]
    facets: DataLoader[int, Mapping[str, Any]]
    components: DataLoader[int, Sequence[models.ComponentRecord]]
    trained_on: DataLoader[int, Sequence[int]]
    deployments: DataLoader[int, Sequence[IntervalRecord]]
    intervals: DataLoader[int, Sequence[IntervalRecord]]
    told: DataLoader[int, recorded.Told]
    version_times: DataLoader[int, datetime | None]
    leaf_times: DataLoader[int, datetime | None]
    amendments: DataLoader[int, Sequence[AmendmentRecord]]

    def primed(self, trace: Trace) -> Trace:
        """The trace, after the loaders took over what it has read."""
        by_type: Mapping[type, DataLoader[int, Any]] = {
            slice_reads.SnapshotRecord: self.snapshots,
            RunRecord: self.runs,
            models.VersionRecord: self.versions,
        }
        for number, detail in trace.details.items():
            if type(detail) in by_type:
                by_type[type(detail)].prime(number, detail)
        for number in _of_type(trace, RunRecord):
            self.reads.prime(number, trace.reads.get(number, ()))
        return trace


def make_loaders(parts: Parts, threads: Executor, as_of: datetime | None = None) -> Loaders:
    """A request's loaders for one time.

    Args:
        parts: what they read.
        threads: where they read it.
        as_of: they give what was known then; what is known now where nothing is said.
    """

    def batched(look_up: Callable[[list[Any]], list[Any]]) -> DataLoader[Any, Any]:
        async def batch(keys: list[Any]) -> list[Any]:
            return await asyncio.get_running_loop().run_in_executor(threads, look_up, keys)

        return DataLoader(batch)

    def loader(read: _Read[Any], absent: Any) -> DataLoader[int, Any]:
        def look_up(keys: list[int]) -> list[Any]:
            with parts.store.reader(as_of) as conn:
                found = read(conn, keys)
            return [found.get(key, absent) for key in keys]

        return batched(look_up)

    return Loaders(
        slices=loader(slice_reads.slices_by_id, None),
        rows_added=loader(slice_reads.rows_added, 0),
        contracts=loader(contract_versions, ()),
        snapshots=loader(slice_reads.snapshots, None),
        runs=loader(abandoning.runs_by_id, None),
        versions=loader(models.versions, None),
        pins=loader(slice_reads.pins_of, ()),
        lives=batched(partial(_lives, parts, as_of)),
        sizes=batched(partial(_sizes, parts, as_of)),
        reads=loader(neighbours.reads, ()),
        readers=loader(neighbours.readers, ()),
        made=loader(neighbours.versions_made, ()),
        facets=loader(neighbours.facets, {}),
        components=loader(neighbours.components, ()),
        trained_on=loader(models.trained_on, ()),
        deployments=loader(neighbours.deployments, ()),
        intervals=loader(intervals_of, ()),
        told=loader(recorded.intervals_told, None),
        version_times=loader(recorded.version_times, None),
        leaf_times=loader(recorded.leaf_times, None),
        amendments=loader(amendments_of, ()),
    )


def _lives(parts: Parts, as_of: datetime | None, pins: list[slice_reads.PinRecord]) -> list[Pinned]:
    with parts.store.reader(as_of) as conn:
        return told(parts, conn, pins, as_of or parts.clock())


def _sizes(
    parts: Parts, as_of: datetime | None, pins: list[slice_reads.PinRecord]
) -> list[PinSize | None]:
    """What pins keep, each of their tables weighed once; None for one that has ended since."""
    with parts.store.reader(as_of) as conn:
        snapshots = slice_reads.snapshots(conn, sorted({pin.snapshot for pin in pins}))
    names = {snapshot.slice_name for snapshot in snapshots.values()}
    found = {size.pinned.pin_id: size for size in pin_sizes(parts, slices=names)}
    return [found.get(pin.pin_id) for pin in pins]


def _of_type(trace: Trace, kind: type[Any]) -> Iterable[int]:
    return (number for number, detail in trace.details.items() if isinstance(detail, kind))
