"""Inputs, components, parameters and triggers as one word each, as a command line has them.

    --input thumbs/en@58:test        a slice, at a version or time, and what it is for
    --where thumbs/en:test=stars>1   the condition on the input of that slice, and role
    --component prompt:greeting@4=prompts/greeting.txt
    --param rate=0.1
    --trigger threshold:thumbs/en:rows=10000

>>> parse_inputs(["thumbs/en", "thumbs/en@58:test"], ["thumbs/en:test=stars = 1"])[1]
Input(ref='thumbs/en@58', role='test', where='stars = 1')
>>> parse_trigger("schedule:nightly:every=1d")
Schedule(name='nightly', every=datetime.timedelta(days=1))
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from backstory.lake.errors import InvalidError
from backstory.lineage.refs import ComponentRef, parse_ref
from backstory.lineage.trigger import Decay, Drift, Manual, Schedule, Threshold, Trigger

DEFAULT_ROLE = "train"
_ROLE = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_DURATION = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_FIELDS = {
    "schedule": {"every"},
    "threshold": {"rows"},
    "drift": {"metric", "column", "limit", "measured"},
    "decay": {"column", "value", "limit"},
}
_FORMS = (
    "manual:REASON, schedule:NAME:every=1d, threshold:SLICE:rows=N, "
    "drift:SLICE:metric=psi,column=C,limit=X, drift:SLICE:metric=M,limit=X,measured=Y, "
    "decay:SLICE:column=C,value=V,limit=SHARE"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """What a command reads: a slice's ref, what it is for, and the rows that it takes."""

    ref: str
    role: str = DEFAULT_ROLE
    where: str | None = None

    @property
    def slice(self) -> str:
        """The slice's name."""
        return self.ref.removeprefix("slice:").partition("@")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """What a version is composed with, and its file or folder; None for what lives elsewhere."""

    kind: str
    name: str
    version: str
    path: Path | None = None


def parse_component(text: str) -> Component:
    """Read `KIND:NAME@VERSION` with `=PATH` behind it, where its bytes are here.

    Raises:
        InvalidError: it is none.
    """
    named, equals, path = text.partition("=")
    try:
        ref = parse_ref(f"component:{named}")
    except InvalidError as exc:
        raise _no_component(text) from exc
    if not isinstance(ref, ComponentRef) or (equals and not path):
        raise _no_component(text)
    kept = Path(path) if equals else None
    return Component(kind=ref.kind, name=ref.name, version=ref.version, path=kept)


def parse_inputs(inputs: Sequence[str], conditions: Sequence[str] = ()) -> list[Input]:
    """Read inputs, and bind each condition to those that it names.

    Raises:
        InvalidError: a condition names no input.
    """
    found = [_input(text) for text in inputs]
    for text in conditions:
        name, equals, where = text.partition("=")
        slice_name, colon, role = name.strip().partition(":")
        meant = [i for i in found if i.slice == slice_name and (not colon or i.role == role)]
        if not equals or not where.strip() or not meant:
            raise InvalidError(
                f"the condition {text!r} belongs to no input",
                hint="name the input before it, like --where 'thumbs/en=stars > 1'",
            )
        found = [replace(i, where=where.strip()) if i in meant else i for i in found]
    return found


def parse_param(text: str) -> tuple[str, Any]:
    """Read `name=value`: JSON where it is some, else text.

    Raises:
        InvalidError: there is no name.
    """
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise InvalidError(f"{text!r} is no parameter", hint="write it like rate=0.1")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


def parse_trigger(text: str) -> Trigger:
    """Read a trigger.

    Raises:
        InvalidError: it is none.
    """
    kind, _, rest = text.partition(":")
    if kind == "manual":
        return Manual(rest)
    name, _, settings = rest.rpartition(":")
    given = dict(part.partition("=")[::2] for part in settings.split(","))
    needed = _FIELDS.get(kind, set())
    if not name or not needed or not given.keys() <= needed or "" in given.values():
        raise _no_trigger(text)
    try:
        if kind == "schedule":
            return Schedule(name, every=parse_duration(given["every"]))
        if kind == "threshold":
            return Threshold(name, rows=int(given["rows"]))
        limit = float(given["limit"])
        if kind == "decay":
            return Decay(name, column=given["column"], value=given["value"], limit=limit)
        measured = float(given["measured"]) if "measured" in given else None
        metric, column = given["metric"], given.get("column")
        return Drift(name, metric=metric, limit=limit, column=column, measured=measured)
    except (KeyError, ValueError) as exc:
        raise _no_trigger(text) from exc


def parse_duration(text: str) -> timedelta:
    """Read `30m`, `6h`, `1d`, `2w`.

    Raises:
        InvalidError: it is no duration.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise InvalidError(f"{text!r} is no duration", hint="write it like 30m, 6h, 1d or 2w")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _input(text: str) -> Input:
    # A time has colons too, but what stands behind its last one begins with a digit.
    ref, colon, role = text.rpartition(":")
    if colon and ref != "slice" and _ROLE.fullmatch(role):
        return Input(ref=ref, role=role)
    return Input(ref=text)


def _no_component(text: str) -> InvalidError:
    return InvalidError(
        f"{text[:200]!r} is no component",
        hint="write it like prompt:greeting@4 or base_model:bert@2=models/bert",
    )


def _no_trigger(text: str) -> InvalidError:
    return InvalidError(f"{text!r} is no trigger", hint=f"one of {_FORMS}")
