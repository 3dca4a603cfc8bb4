"""What a run tells of the quality of what it read: metrics of the columns, and what was asserted.

It is told when the run ends, from profiles that were kept with each commit, so that no training
waits for it and no row is read: an input with a file that has no usable profile is told without.
Metrics are of the whole snapshot, whatever condition the run read it under. No word of a row is
among them.
"""

from collections.abc import Iterator
from dataclasses import replace

from backstory.lake.contract import Contract
from backstory.lake.errors import BackstoryError
from backstory.lake.profile import Profile
from backstory.lake.profiled import kept_profile
from backstory.lineage.openlineage.events import (
    Assertion,
    InputDescription,
    Quality,
    RunDescription,
)
from backstory.lineage.parts import Parts
from backstory.lineage.trigger import Drift, Evaluated

MAX_FILES_TOLD = 10_000


def with_quality(parts: Parts, described: RunDescription) -> RunDescription:
    """The run with the quality of its inputs, where that is known without reading them."""
    found: dict[str, Quality | None] = {}
    for read in described.inputs:
        if read.snapshot.digest not in found:
            found[read.snapshot.digest] = _quality(parts, read, described.trigger)
    inputs = tuple(replace(i, quality=found[i.snapshot.digest]) for i in described.inputs)
    return replace(described, inputs=inputs)


def _quality(parts: Parts, read: InputDescription, trigger: Evaluated | None) -> Quality | None:
    if len(read.snapshot.manifest.files) > MAX_FILES_TOLD:
        return None
    try:
        table = parts.lake.table(read.slice)
        profile = kept_profile(table, read.snapshot)
    except BackstoryError:  # what is known of the run is recorded all the same
        return None
    if profile is None:
        return None
    asserted = (*_not_null(table.contract, profile), *_drifted(read.slice, trigger))
    return Quality(profile=profile, assertions=asserted)


def _not_null(contract: Contract, profile: Profile) -> Iterator[Assertion]:
    for column in contract.columns:
        found = profile.columns.get(column.name)
        if found is not None and not column.nullable:
            yield Assertion(
                assertion="not_null",
                column=column.name,
                success=found.nulls == 0,
                expected="0",
                actual=str(found.nulls),
            )


def _drifted(name: str, evaluated: Evaluated | None) -> Iterator[Assertion]:
    """A run that drift started says what had drifted, and how far."""
    trigger = evaluated.trigger if evaluated else None
    if isinstance(trigger, Drift) and trigger.slice == name and evaluated and evaluated.value:
        yield Assertion(
            assertion=trigger.metric,
            column=trigger.column,
            success=evaluated.value <= trigger.limit,
            expected=f"{trigger.limit:g}",
            actual=f"{evaluated.value:g}",
        )
