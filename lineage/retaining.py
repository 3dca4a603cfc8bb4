"""Retention classes given by people: how long is kept what a version was trained on.

A class that is given takes the place of the one before, which stays in the record; nothing is
released here. Given again, it changes nothing.

    retain(home, "ranker@7", retention="audit", reason="the regulator asked for ten years")
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from backstory.lake.errors import InvalidError, NotFoundError
from backstory.lineage.parts import Parts
from backstory.lineage.pinning import Pinned, told_of, with_life
from backstory.lineage.reasons import check_reason
from backstory.lineage.refs import parse_ref
from backstory.lineage.resolving import SliceAt, resolve_ref
from backstory.lineage.retention import life_of
from backstory.lineage.store import models, slices, tables, writes
from backstory.lineage.store import retention as classes
from backstory.lineage.store.unit_of_work import Unit

_PIN = "pin:"
_HINT = "say why, e.g. --reason 'the regulator asks for ten years'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retained:
    """A pin that was given a class, or would be.

    Attributes:
        pinned: the pin as it is with the class.
        before: the pin as it was.
        over: whether its time is over now, so that `doctor --fix` would release it.
    """

    pinned: Pinned
    before: Pinned
    over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """What gets a class: all that a run or version holds, or single pins."""

    ref: str
    holder: int | None
    pins: Sequence[slices.PinRecord]


def retain(
    parts: Parts, ref: str, *, retention: str, reason: str = "", dry_run: bool = False
) -> list[Retained]:
    """Give a retention class to what keeps a version's training data, or to single pins.

    Args:
        ref: a model version, for the pins of its run; a snapshot, for all of its pins; or `pin:ID`.
        retention: a class of the settings.
        reason: why, for the audit log and whoever asks later.
        dry_run: change nothing, and tell what would be.

    Returns:
        Every pin that it is given to, with its end before and now. A class of its own goes before
        that of its version.

    Raises:
        NotFoundError: there is no such class or thing, or nothing is pinned for it.
        InvalidError: no reason is given, or the ref names something else.
    """
    parts.settings.retention.check(retention)
    if dry_run:
        with parts.store.reader() as conn:
            return _foreseen(parts, conn, _target(parts, conn, ref), retention, parts.clock())
    check_reason(reason, of="a class", hint=_HINT)
    with parts.unit("retain", ref, reason=reason) as unit:
        target = _target(parts, unit.connection, ref)
        foreseen = _foreseen(parts, unit.connection, target, retention, unit.at)
        _give(unit, target, retention, reason)
    return foreseen


def give_at_start(unit: Unit, run: int, name: str) -> None:
    """Give a class to all that a run which begins will hold."""
    reason = "given when its run began"
    writes.insert(unit, tables.retention, holder=run, name=name, reason=reason)
    unit.note(retention=name)


def _target(parts: Parts, conn: Any, ref: str) -> _Target:
    if ref.startswith(_PIN):
        found = slices.pin_by_id(conn, ref.removeprefix(_PIN))
        if found is None or found[1] is not None:
            raise NotFoundError(f"no {ref[:80]} holds now", hint="see `backstory pins`")
        return _Target(ref=ref, holder=None, pins=[found[0]])
    thing = resolve_ref(conn, parse_ref(ref), parts.clock)
    if isinstance(thing, models.VersionRecord):
        holder = thing.id if thing.run is None else thing.run
        target = _Target(ref=thing.ref, holder=holder, pins=classes.pins_held_by(conn, holder))
    elif isinstance(thing, SliceAt):
        snapshot = thing.snapshot.id if thing.snapshot else 0
        held = slices.pins_of(conn, [snapshot]).get(snapshot, [])
        target = _Target(ref=thing.ref, holder=None, pins=held)
    else:
        raise InvalidError(
            f"{ref!r} is neither a model version nor a snapshot nor a pin",
            hint="write it like ranker@7, thumbs/en@58 or pin:ID",
        )
    if not target.pins:
        raise NotFoundError(f"nothing is pinned for {target.ref}", hint="see `backstory pins`")
    return target


def _foreseen(parts: Parts, conn: Any, target: _Target, name: str, now: datetime) -> list[Retained]:
    """The pins of a target as they are, and as they are with a class."""
    about = classes.circumstances(conn, target.pins)
    found = []
    for before in told_of(parts, conn, target.pins, about, now):
        was = about[before.id]
        given = (
            replace(was, own_class=name)
            if target.holder is None
            else replace(was, holders_class=name)
        )
        life = life_of(given, parts.settings.retention, now)
        over = life.until is not None and life.until <= now
        found.append(Retained(pinned=with_life(before, life), before=before, over=over))
    return found


def _give(unit: Unit, target: _Target, name: str, reason: str) -> None:
    """Write the class in the place of the one before."""
    holders = [] if target.holder is None else [target.holder]
    pins = [pin.id for pin in target.pins] if target.holder is None else []
    before = classes.classes_given(unit.connection, holders=holders, pins=pins)
    same = {(one.holder, one.pin) for one in before if one.name == name}
    for one in before:
        if one.name != name:
            writes.end(unit, tables.retention, one.id)
    places = [(holder, None) for holder in holders] + [(None, pin) for pin in pins]
    for holder, pin in places:
        if (holder, pin) not in same:
            writes.insert(unit, tables.retention, holder=holder, pin=pin, name=name, reason=reason)
    if unit.changed:
        unit.note(
            retention=name, before=sorted({one.name for one in before}), pins=len(target.pins)
        )
