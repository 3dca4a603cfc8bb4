"""Declared against observed: what was said to serve, beside what processes really loaded.

What a process loads is never refused. A load agrees with a declaration when its bytes are those of
a version that is declared there, whatever it was called; where it does not, that is said in words.
No load is no disagreement: nobody may have looked.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from backstory.lineage.store import models
from backstory.lineage.store.amendments import Amended, marks
from backstory.lineage.store.deployments import IntervalRecord, intervals
from backstory.lineage.store.loads import LoadRecord, last_loads
from backstory.lineage.times import time_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Served(IntervalRecord):
    """A deployment interval with what was observed of it.

    Attributes:
        loads: the last load on each host of its environment that loaded this version, while the
            interval serves at the time that was asked for.
        disagreements: which hosts had loaded what is not declared there, in words.
        amended: when the record of its deployment was last amended, and why.
    """

    loads: tuple[LoadRecord, ...] = ()
    disagreements: tuple[str, ...] = ()
    amended: Amended | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenLoad(LoadRecord):
    """A load beside what was declared where and when it happened.

    Attributes:
        agrees: whether that was declared to serve there then; None where the process did not say
            where it serves.
    """

    agrees: bool | None


def seen(conn: Any, loads: Sequence[LoadRecord]) -> list[SeenLoad]:
    """The loads, each compared with the deployments of its environment at its time."""
    places = sorted({load.environment for load in loads if load.environment is not None})
    serving = [i for place in places for i in intervals(conn, environment=place)]
    versions = models.versions(conn, sorted({i.model_version for i in serving}))

    def agrees(load: LoadRecord) -> bool | None:
        if load.environment is None:
            return None
        return any(
            same_bytes(load, versions[interval.model_version])
            for interval in serving
            if (interval.environment, interval.model) == (load.environment, load.model)
            and interval.covers(load.at)
        )

    return [
        SeenLoad(**{f.name: getattr(load, f.name) for f in fields(load)}, agrees=agrees(load))
        for load in loads
    ]


def served(conn: Any, found: Sequence[IntervalRecord], at: datetime) -> list[Served]:
    """The intervals, and beside those that serve at a time what was observed until then."""
    serving = [i for i in found if i.covers(at)]
    loads = last_loads(conn, sorted({i.environment for i in serving}), at) if serving else {}
    versions = models.versions(conn, [i.model_version for i in serving]) if loads else {}
    declared: dict[tuple[str, str], list[models.VersionRecord]] = {}
    for interval in serving if loads else ():
        place = interval.environment, interval.model
        declared.setdefault(place, []).append(versions[interval.model_version])
    amended = marks(conn, sorted({i.deployment for i in found}))
    return [
        replace(_beside(i, loads, declared, versions, at), amended=amended.get(i.deployment))
        for i in found
    ]


def undeclared(
    environment: str, declared: Sequence[models.VersionRecord], loads: Iterable[LoadRecord]
) -> Iterator[str]:
    """A sentence for each load of what is not declared in an environment."""
    names = " and ".join(version.ref for version in declared) or "nothing"
    for load in loads:
        if not any(same_bytes(load, version) for version in declared):
            yield (
                f"{environment}: declared {names}, host {load.host} loaded {load.ref} "
                f"at {time_text(load.at)}"
            )


def same_bytes(load: LoadRecord, version: models.VersionRecord) -> bool:
    """Whether a process that loaded this runs that version."""
    return load.model_version == version.id or load.digest == version.digest


def _beside(
    interval: IntervalRecord,
    loads: Mapping[tuple[str, str], Sequence[LoadRecord]],
    declared: Mapping[tuple[str, str], Sequence[models.VersionRecord]],
    versions: Mapping[int, models.VersionRecord],
    at: datetime,
) -> Served:
    place = interval.environment, interval.model
    known = {field.name: getattr(interval, field.name) for field in fields(interval)}
    if not interval.covers(at) or place not in loads:
        return Served(**known)
    mine = versions[interval.model_version]
    return Served(
        **known,
        loads=tuple(load for load in loads[place] if same_bytes(load, mine)),
        disagreements=tuple(undeclared(interval.environment, declared[place], loads[place])),
    )
