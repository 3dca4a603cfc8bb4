"""Snapshots that somebody uses, pins or names, and the pins that keep them.

A pin is written to the lake first and registered after: a crash in between leaves a snapshot that
is kept without need, never one that is needed and not kept.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from backstory.lake import pins as lake_pins
from backstory.lake.errors import InvalidError, NotFoundError, RefusedError
from backstory.lake.pinned import Pin, Strength, pins_of, reopen
from backstory.lake.snapshot import Snapshot, Table, open_snapshot
from backstory.lineage.graph import EntityKind
from backstory.lineage.parts import Parts
from backstory.lineage.reasons import check_reason
from backstory.lineage.resolving import SliceAt, lost_table, resolve_slice_at
from backstory.lineage.retention import Circumstances, Life, life_of
from backstory.lineage.store import retention, slices, tables, writes
from backstory.lineage.store.unit_of_work import Unit
from backstory.lineage.times import time_text

RECORDED_WITHIN = timedelta(days=1)  # a pin of the lake is recorded in the same command


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """A pin with the snapshot that it keeps.

    Attributes:
        until: when it ends; None where nothing ends it yet.
        retention: the class that decides when it ends; None where none does.
        class_given: whether somebody gave that class; else it is the settings' class of versions.
        in_use: deployments, aliases and runs that it must not end before.
    """

    id: int = field(repr=False)
    pin_id: str
    snapshot: slices.SnapshotRecord
    holder: str
    reason: str
    strength: str
    until: datetime | None
    at: datetime
    retention: str | None
    class_given: bool
    in_use: tuple[str, ...]


def open_at(parts: Parts, found: SliceAt) -> Snapshot:
    """The readable snapshot of a slice at a version, by its pin where it has one.

    Raises:
        GoneError: its files or its log are no longer there.
    """
    try:
        table = parts.lake.table(found.slice.name)
    except NotFoundError as exc:
        raise lost_table(found.slice.name) from exc
    if found.snapshot is not None:
        with suppress(NotFoundError):  # its pins have ended
            return reopen(table, found.snapshot.digest)
    return open_snapshot(table, found.version)


def name_snapshot(
    unit: Unit, found: SliceAt, snapshot: Snapshot, digest: str
) -> slices.SnapshotRecord:
    """Make a slice at a version a node of the graph; does nothing when it is one already."""
    known = slices.snapshot_of(unit.connection, found.slice.id, found.version)
    if known is None:
        entity = writes.add_entity(unit, EntityKind.SNAPSHOT, found.ref, found.ref)
        writes.insert(
            unit,
            tables.snapshot,
            id=entity,
            slice=found.slice.id,
            version=found.version,
            digest=digest,
            rows=snapshot.rows,
            size=snapshot.size,
            files=len(snapshot.manifest.files),
        )
        known = slices.snapshots(unit.connection, [entity])[entity]
    return known


def hold(
    parts: Parts,
    unit: Unit,
    found: SliceAt,
    snapshot: Snapshot,
    *,
    holder: str,
    reason: str,
    strength: Strength | None = None,
    until: datetime | None = None,
) -> tuple[slices.PinRecord, slices.SnapshotRecord]:
    """Pin a snapshot within a unit of work; a holder holds a snapshot once."""
    if found.snapshot is not None:
        for pin in slices.pins_of(unit.connection, [found.snapshot.id]).get(found.snapshot.id, ()):
            if pin.holder == holder:
                return pin, found.snapshot
    kept = lake_pins.pin(
        parts.lake.table(found.slice.name),
        snapshot,
        pin_id=parts.new_id(),
        holder=holder,
        reason=reason,
        strength=strength,
        until=until,
        at=unit.at,
    )
    record = name_snapshot(unit, found, snapshot, kept.digest)
    writes.insert(
        unit,
        tables.pin,
        pin_id=kept.pin_id,
        snapshot=record.id,
        holder=holder,
        reason=reason,
        strength=kept.strength.value,
        until=until,
        at=unit.at,
    )
    return slices.pins_of(unit.connection, [record.id])[record.id][-1], record


def pin(
    parts: Parts,
    ref: str,
    *,
    holder: str | None = None,
    reason: str,
    strength: str | None = None,
    until: datetime | None = None,
) -> Pinned:
    """Keep a snapshot on purpose.

    Args:
        ref: a slice at a version, at a time, or as it is now.
        holder: in whose name; the acting person where nothing is said.
        reason: why; shown to whoever finds the pin in their way.
        strength: "held", "copied" or "watched"; what the table can promise where nothing is said.
        until: when the pin ends by itself; None for never.

    Raises:
        NotFoundError: there is no such version.
        InvalidError: no reason is given, or the pin would have ended already.
        RefusedError: the table cannot promise that strength.
    """
    found = resolve_slice_at(parts, ref)
    hint = "say why this snapshot must be kept, e.g. --reason 'audit 2026-Q4'"
    check_reason(reason, of="a pin", hint=hint)
    if until is not None and until <= parts.clock():
        raise InvalidError(
            f"a pin until {time_text(until)} has ended already", hint="name a later time, or none"
        )
    snapshot = open_at(parts, found)
    with parts.unit("pin", found.ref, reason=reason) as unit:
        kept, _ = hold(
            parts,
            unit,
            found,
            snapshot,
            holder=holder or parts.actor.name,
            reason=reason,
            strength=_strength(strength),
            until=until,
        )
        unit.note(digest=snapshot.digest, strength=kept.strength)
        [pinned] = told(parts, unit.connection, [kept], unit.at)
    return pinned


def release(parts: Parts, pin_id: str, *, reason: str) -> None:
    """End a pin; the store forgets it first, so that no recorded pin is ever without its files.

    Raises:
        NotFoundError: no pin has that id, or it has ended.
        InvalidError: no reason is given.
        RefusedError: its version is in use, or a class that somebody gave it is not over.
    """
    with parts.unit("pin.release", f"pin:{pin_id}", reason=reason) as unit:
        found = _held(parts, unit, pin_id)
        hint = "say why it may go, e.g. --reason 'the audit is over'"
        check_reason(reason, of="a pin", hint=hint)
        _check_life(unit, found)
        writes.end(unit, tables.pin, found.id)
    lake_pins.release(parts.lake.table(found.snapshot.slice_name), pin_id)


def release_ended(parts: Parts, pin_id: str) -> Pinned | None:
    """End a pin whose time is over; None where meanwhile it is not, or somebody else ended it."""
    with parts.unit("pin.release", f"pin:{pin_id}", reason="its time is over") as unit:
        try:
            found = _held(parts, unit, pin_id)
        except NotFoundError:
            return None
        if found.until is None or found.until > unit.at:
            return None
        writes.end(unit, tables.pin, found.id)
    lake_pins.release(parts.lake.table(found.snapshot.slice_name), pin_id)
    return found


def _held(parts: Parts, unit: Unit, pin_id: str) -> Pinned:
    found = slices.pin_by_id(unit.connection, pin_id)
    if found is None or found[1] is not None:
        raise NotFoundError(f"no pin {pin_id} holds now", hint="see `backstory pin --list`")
    [pinned] = told(parts, unit.connection, [found[0]], unit.at)
    return pinned


def _check_life(unit: Unit, pinned: Pinned) -> None:
    """Refuse to let go by hand of what a version in use, or a class that was given, still needs."""
    if pinned.in_use:
        raise RefusedError(
            f"pin {pinned.pin_id} keeps what {pinned.holder} read, and {pinned.in_use[0]} uses it",
            hint="end that deployment or run, or move that alias, first",
        )
    is_over = pinned.until is not None and pinned.until <= unit.at
    if pinned.class_given and not is_over:
        until = time_text(pinned.until) if pinned.until else "for ever"
        raise RefusedError(
            f"pin {pinned.pin_id} holds until {until}, by its class {pinned.retention}",
            hint=f"give it another class: `backstory retain pin:{pinned.pin_id} --class NAME`",
        )


def pins(parts: Parts, ref: str | None = None, *, as_of: datetime | None = None) -> list[Pinned]:
    """The pins that hold now, of one slice or of all.

    When each ends follows from what is known of its holder and from `[retention]` of the settings;
    see `backstory.lineage.retention`.

    Args:
        ref: one slice; all where nothing is said.
        as_of: as it was known then; as it is known now where nothing is said.
    """
    wanted = resolve_slice_at(parts, ref, as_of).slice.name if ref else None
    with parts.store.reader(as_of) as conn:
        return told(parts, conn, _records(conn, wanted), as_of or parts.clock())


def pin_records(
    parts: Parts, ref: str | None = None, *, as_of: datetime | None = None
) -> list[slices.PinRecord]:
    """The pins that hold now as they were recorded, of one slice or of all."""
    wanted = resolve_slice_at(parts, ref, as_of).slice.name if ref else None
    with parts.store.reader(as_of) as conn:
        return _records(conn, wanted)


def _records(conn: Any, slice_name: str | None) -> list[slices.PinRecord]:
    ids = slices.pinned_snapshots(conn, slice_name)
    held = slices.pins_of(conn, ids)
    return [pin for snapshot in ids for pin in held.get(snapshot, ())]


def told(parts: Parts, conn: Any, found: Sequence[slices.PinRecord], at: datetime) -> list[Pinned]:
    """Pins with what they keep and how long they hold, as it looks at an instant."""
    about = retention.circumstances(conn, found)
    return told_of(parts, conn, found, about, at)


def told_of(
    parts: Parts,
    conn: Any,
    found: Sequence[slices.PinRecord],
    about: Mapping[int, Circumstances],
    at: datetime,
) -> list[Pinned]:
    """The same, of pins whose circumstances are known."""
    snapshots = slices.snapshots(conn, sorted({pin.snapshot for pin in found}))
    return [
        _pinned(pin, snapshots[pin.snapshot], life_of(about[pin.id], parts.settings.retention, at))
        for pin in found
    ]


def ended(parts: Parts) -> list[Pinned]:
    """The pins whose time is over; they hold until somebody lets them go."""
    now = parts.clock()
    return [pinned for pinned in pins(parts) if pinned.until is not None and pinned.until <= now]


def unrecorded(parts: Parts) -> list[tuple[Table, Pin]]:
    """Pins that a killed command left in the lake: older than any command takes to record one."""
    with parts.store.reader() as conn:
        held = slices.pins_of(conn, slices.pinned_snapshots(conn))
    known = {pin.pin_id for pins in held.values() for pin in pins}
    limit = parts.clock() - RECORDED_WITHIN
    tables = [parts.lake.table(name) for name in parts.lake.names()]
    found = ((table, pin) for table in tables for pin in pins_of(table))
    return [(table, pin) for table, pin in found if pin.pin_id not in known and pin.at < limit]


def _strength(text: str | None) -> Strength | None:
    try:
        return None if text is None else Strength(text)
    except ValueError as exc:
        raise InvalidError(
            f"{text!r} is not a strength", hint=f"one of {', '.join(s.value for s in Strength)}"
        ) from exc


def _pinned(record: slices.PinRecord, snapshot: slices.SnapshotRecord, life: Life) -> Pinned:
    return Pinned(
        id=record.id,
        pin_id=record.pin_id,
        snapshot=snapshot,
        holder=record.holder,
        reason=record.reason,
        strength=record.strength,
        at=record.at,
        **asdict(life),
    )


def with_life(pinned: Pinned, life: Life) -> Pinned:
    """The pin as it is with another life."""
    return replace(pinned, **asdict(life))
