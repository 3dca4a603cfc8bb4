"""`backstory triggers`: the triggers of the settings, and which of them are due."""

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from backstory.cli.command import Family, verb
from backstory.cli.figures import TEXT, count, duration, number
from backstory.cli.session import Session
from backstory.cli.views import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstory.lineage.standing import StandingTrigger

_COLUMNS = (
    ("trigger", TEXT),
    ("model", TEXT),
    ("kind", TEXT),
    ("value", TEXT),
    ("limit", TEXT),
    ("due", TEXT),
    ("reason", TEXT),
)
_NONE = "no trigger stands in the settings"
_MODEL = click.option("--model", metavar="NAME", help="Triggers of this model only.")


@verb("list", examples=("backstory triggers", "backstory triggers --model ranker --json"))
@_MODEL
def _list(session: Session, model: str | None) -> None:
    """List the triggers of the settings.

    Each with what is seen now, its limit, whether it is due, and the reason.
    """
    with session.home() as home:
        _show(session, home.triggers(model), empty=_NONE)


@verb("due", examples=("backstory triggers due", "backstory triggers due --model ranker --json"))
@_MODEL
def _due(session: Session, model: str | None) -> None:
    """List the triggers that are due.

    It ends with 0 whether there are any or not; with --json their list is empty if not.
    """
    with session.home() as home:
        _show(session, home.triggers_due(model), empty="nothing is due")


def _show(session: Session, found: "Sequence[StandingTrigger]", *, empty: str) -> None:
    from backstory.cli.documents import documents

    rows = [
        (
            one.name,
            one.model,
            str(one.kind),
            _amount(one, one.value),
            _amount(one, one.limit),
            "unknown" if one.due is None else "yes" if one.due else "no",
            one.reason,
        )
        for one in found
    ]
    session.output.result(documents(found), Table(columns=_COLUMNS, rows=rows), empty=empty)


def _amount(one: "StandingTrigger", value: float | None) -> str | None:
    if value is None:
        return None
    if one.kind == "schedule":
        return duration(timedelta(seconds=value))
    return number(value) if one.kind == "drift" else count(int(value), "row")


command = Family(
    "triggers",
    default="list",
    commands=[_list, _due],
    examples=("backstory triggers", "backstory triggers due --model ranker"),
)
