"""What the store knows of what decides how long pins hold: classes, failures, and uses of versions.

Every question is asked once for all pins, whatever their number.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, or_, select

from backstory.lineage.graph import deployment_key, run_key
from backstory.lineage.retention import Circumstances, Use
from backstory.lineage.run import OPEN, RunState
from backstory.lineage.store import runs
from backstory.lineage.store import tables as t
from backstory.lineage.store.deployments import intervals_of_versions
from backstory.lineage.store.horizon import known_in
from backstory.lineage.store.number_list import among
from backstory.lineage.store.prepared import Prepared
from backstory.lineage.store.slices import PIN, PinRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRecord:
    """A retention class that was given, and holds now.

    Attributes:
        holder: to all that this run or version holds.
        pin: to this pin alone.
    """

    id: int
    holder: int | None
    pin: int | None
    name: str
    reason: str


_CLASS = (t.retention.c.id, t.retention.c.holder, t.retention.c.pin, t.retention.c.name)
_CLASSES = Prepared(
    select(*_CLASS, t.retention.c.reason)
    .where(
        or_(among(t.retention.c.holder, "holders"), among(t.retention.c.pin, "pins")),
        known_in(t.retention),
    )
    .order_by(t.retention.c.id)
)
_HOLDERS = Prepared(
    select(t.pin.c.id, t.entity.c.id)
    .join(t.entity, t.entity.c.key == t.pin.c.holder)
    .where(among(t.pin.c.id, "ids"))
)
_VERSIONS = Prepared(
    select(
        t.model_version.c.id,
        t.model_version.c.run,
        t.model_version.c.model,
        t.model_version.c.number,
        t.model_version.c.at,
    ).where(
        or_(among(t.model_version.c.id, "holders"), among(t.model_version.c.run, "holders")),
        known_in(t.model_version),
    )
)
_NAMED = Prepared(
    select(
        t.alias.c.model_version,
        t.alias.c.model,
        t.alias.c.alias,
        t.alias.c.from_at,
        t.alias.c.until_at,
    ).where(among(t.alias.c.model_version, "ids"), known_in(t.alias))
)
_ENDED = (
    select(t.run_state.c.id)
    .where(
        t.run_state.c.run == t.run.c.id,
        or_(*(t.run_state.c.state == state.value for state in RunState if state.ended)),
        known_in(t.run_state),
    )
    .exists()
)
_READING = Prepared(
    select(t.run_read.c.snapshot, t.run.c.run_id)
    .join(t.run, t.run.c.id == t.run_read.c.run)
    .where(among(t.run_read.c.snapshot, "ids"), known_in(t.run_read), ~_ENDED)
    .distinct()
)

_HELD_BY = Prepared(
    select(*PIN)
    .join(t.entity, t.entity.c.key == t.pin.c.holder)
    .where(among(t.entity.c.id, "ids"), known_in(t.pin))
    .order_by(t.pin.c.id)
)


def classes_given(
    conn: Connection, *, holders: Sequence[int] = (), pins: Sequence[int] = ()
) -> list[ClassRecord]:
    """The classes that hold now, of some holders and some pins."""
    return _CLASSES.records(conn, ClassRecord, holders=holders, pins=pins)


def circumstances(conn: Connection, pins: Sequence[PinRecord]) -> dict[int, Circumstances]:
    """What decides how long pins hold, by pin."""
    if not pins:
        return {}
    ids = [pin.id for pin in pins]
    holder_of: dict[int, int] = dict(_HOLDERS.rows(conn, ids=ids))
    holders = sorted(set(holder_of.values()))
    given = classes_given(conn, holders=holders, pins=ids)
    of_pin = {one.pin: one.name for one in given if one.pin is not None}
    of_holder = {one.holder: one.name for one in given if one.holder is not None}
    run_of = runs.runs_by_id(conn, holders)
    uses, reading = _uses(conn, holders), _reading(conn, {pin.snapshot for pin in pins})
    found = {}
    for pin in pins:
        holder = holder_of.get(pin.id, 0)
        run = run_of.get(holder)
        found[pin.id] = Circumstances(
            at=pin.at,
            until=pin.until,
            own_class=of_pin.get(pin.id),
            holders_class=of_holder.get(holder),
            ended_at=run.ended if run else None,
            failed=run is not None and run.state in {RunState.FAILED, RunState.ABORTED},
            going=run is not None and run.state in OPEN,
            uses=uses.get(holder, ()),
            read_by=reading.get(pin.snapshot, ()),
        )
    return found


def _uses(conn: Connection, holders: Sequence[int]) -> Mapping[int, Sequence[Use]]:
    """When the versions of runs were registered, deployed and named by an alias, by holder."""
    rows = _VERSIONS.rows(conn, holders=holders)
    wanted = set(holders)
    holder_of = {version: run if run in wanted else version for version, run, *_ in rows}
    found: dict[int, list[Use]] = defaultdict(list)
    for version, _, model, number, at in rows:
        found[holder_of[version]].append(Use(what=f"{model}@{number}", from_at=at, until_at=at))
    for interval in intervals_of_versions(conn, list(holder_of)):
        where = deployment_key(interval.environment, interval.number)
        use = Use(what=where, from_at=interval.from_at, until_at=interval.until_at)
        found[holder_of[interval.model_version]].append(use)
    for version, model, alias, since, until in _NAMED.rows(conn, ids=list(holder_of)):
        use = Use(what=f"{model}@{alias}", from_at=since, until_at=until)
        found[holder_of[version]].append(use)
    return found


def _reading(conn: Connection, snapshots: Iterable[int]) -> Mapping[int, Sequence[str]]:
    """The runs that read snapshots and have not ended, by snapshot."""
    found: dict[int, list[str]] = defaultdict(list)
    for snapshot, run_id in _READING.rows(conn, ids=sorted(snapshots)):
        found[snapshot].append(run_key(run_id))
    return found


def pins_held_by(conn: Connection, holder: int) -> list[PinRecord]:
    """The pins of a run or a version that hold now."""
    return _HELD_BY.records(conn, PinRecord, ids=[holder])
