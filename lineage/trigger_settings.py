"""Triggers that stand in the settings: a name, the model that they are for, and the condition.

    [triggers.enough]
    model = "ranker"
    when = "threshold:thumbs/en:rows=10000"

The condition is written as on the command line. Only what Backstory can evaluate by itself stands
there: a schedule, a threshold, a decay, or a drift of psi, js or ks; the others are always due.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backstory.lake.errors import InvalidError
from backstory.lake.location import check_name
from backstory.lineage.input_text import parse_trigger
from backstory.lineage.trigger import Decay, Drift, Schedule, Threshold

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_KEYS = {"model", "when"}


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedTrigger:
    """A trigger of a model, by name."""

    name: str
    model: str
    trigger: Schedule | Threshold | Drift | Decay


def read_triggers(section: object, path: Path) -> tuple[NamedTrigger, ...]:
    """Read the `[triggers]` of a settings file, in their order.

    Raises:
        InvalidError: one is not written like that.
    """
    if not isinstance(section, dict):
        raise InvalidError(f"{path}: triggers is not a table", hint="write [triggers.NAME]")
    return tuple(_read(name, value, f"{path}: triggers.{name}") for name, value in section.items())


def _read(name: str, value: Any, where: str) -> NamedTrigger:
    if not _NAME.fullmatch(name) or name == "manual":
        raise InvalidError(
            f"{where}: {name!r} is no name of a trigger",
            hint="up to 63 of a-z, 0-9, _ and -, a letter first; manual has a meaning already",
        )
    if not isinstance(value, dict) or value.keys() != _KEYS:
        raise InvalidError(
            f"{where}: a trigger has a model and a when, and nothing else",
            hint='write it like model = "ranker" and when = "threshold:thumbs/en:rows=10000"',
        )
    if not all(isinstance(text, str) for text in value.values()):
        raise InvalidError(f"{where}: model and when are texts", hint="put them in quotes")
    try:
        model, trigger = check_name(value["model"]), parse_trigger(value["when"])
    except InvalidError as exc:
        raise InvalidError(f"{where}: {exc.message}", hint=exc.hint) from exc
    if not isinstance(trigger, Schedule | Threshold | Drift | Decay) or (
        isinstance(trigger, Drift) and trigger.statistic is None
    ):
        raise InvalidError(
            f"{where}: {value['when']!r} is no schedule, threshold, decay or measurable drift",
            hint="psi, js and ks are measured; what you measure is told to `run --trigger`",
        )
    return NamedTrigger(name=name, model=model, trigger=trigger)
