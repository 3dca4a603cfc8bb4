"""The triggers of the settings against a home: which of them are due now, and why.

    for standing in home.triggers_due():
        print(standing.model, "because", standing.reason)

One that cannot be evaluated says so and hides no other.
"""

from dataclasses import dataclass

from backstory.lake.errors import BackstoryError, InvalidError, NotFoundError
from backstory.lineage.parts import Parts
from backstory.lineage.trigger import Trigger, TriggerKind, kind_of
from backstory.lineage.trigger_settings import NamedTrigger
from backstory.lineage.triggering import evaluate


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingTrigger:
    """A trigger of the settings with what is seen of it now.

    Attributes:
        value, limit: the numbers that are compared: rows, seconds, or a statistic; None where
            nothing was seen.
        due: whether its model is to be trained; None where that cannot be told, as its slice is
            not there.
        reason: the same in words.
    """

    name: str
    model: str
    kind: TriggerKind
    value: float | None
    limit: float | None
    due: bool | None
    reason: str


def triggers(parts: Parts, model: str | None = None) -> list[StandingTrigger]:
    """The triggers of the settings, of one model or of all, evaluated now."""
    named = parts.settings.triggers
    return [_standing(parts, one) for one in named if model in (None, one.model)]


def triggers_due(parts: Parts, model: str | None = None) -> list[StandingTrigger]:
    """Those of them that are due."""
    return [standing for standing in triggers(parts, model) if standing.due]


def trigger(parts: Parts, model: str, name: str) -> Trigger:
    """A model's trigger of the settings, by name, to begin a run with.

    Raises:
        NotFoundError: none is called so.
        InvalidError: it is another model's.
    """
    named = {one.name: one for one in parts.settings.triggers}
    if name not in named:
        raise NotFoundError(
            f"no trigger in the settings is called {name!r}",
            hint=f"there is {', '.join(named)}" if named else "write it as [triggers.NAME]",
        )
    if named[name].model != model:
        raise InvalidError(
            f"the trigger {name} is of {named[name].model}, not of {model}",
            hint="`backstory triggers` lists them all",
        )
    return named[name].trigger


def _standing(parts: Parts, named: NamedTrigger) -> StandingTrigger:
    seen, unknown = None, ""
    try:
        seen = evaluate(parts, named.model, named.trigger)
    except BackstoryError as exc:  # the others are to be told all the same
        unknown = exc.message
    return StandingTrigger(
        name=named.name,
        model=named.model,
        kind=kind_of(named.trigger),
        value=seen.value if seen else None,
        limit=seen.limit if seen else None,
        due=seen.due if seen else None,
        reason=seen.reason if seen else unknown,
    )
