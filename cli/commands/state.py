"""`backstory state`: the model state behind an interaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from backstory.cli.amendments import when_and_why
from backstory.cli.command import verb
from backstory.cli.errors import Exit
from backstory.cli.figures import (
    DIGEST,
    DIGITS,
    LATE,
    REF,
    STATE,
    TEXT,
    TIME,
    moment,
    recorded,
    span,
)
from backstory.cli.parameters import AS_OF, INSTANT
from backstory.cli.session import Session
from backstory.cli.views import Facts, Sentence, Table, View

if TYPE_CHECKING:
    from backstory.lineage.interaction import Interaction
    from backstory.lineage.state import ModelState, StatePart
    from backstory.lineage.store.loads import LoadRecord

_COLUMNS = (
    ("section", TEXT),
    ("kind", TEXT),
    ("ref", REF),
    ("digest", DIGEST),
    ("status", STATE),
    ("detail", TEXT),
    ("late", LATE),
)

_LOADS = (
    ("host", TEXT),
    ("had loaded", REF),
    ("at", TIME),
    ("process", TEXT),
    ("digest", DIGEST),
)


@verb(
    "state",
    examples=(
        "backstory state int:019a8f3c-5b1e --verify",
        "backstory state --near ranker prod-eu 2026-11-14T09:41Z",
    ),
)
@click.argument("ref", metavar="[INTERACTION]", required=False)
@click.option(
    "--near",
    metavar="MODEL ENVIRONMENT TIME",
    type=(str, str, INSTANT),
    help="The interaction nearest to a time in an environment, where its id is not known.",
)
@click.option("--verify", is_flag=True, help="Hash every part within reach again.")
@AS_OF
def command(
    session: Session,
    ref: str | None,
    near: tuple[str, str, datetime] | None,
    *,
    verify: bool,
    as_of: datetime | None,
) -> Exit | None:
    """Show the model state behind an interaction.

    Everything that determined the answer, part by part, with what is missing, where observed and
    declared disagree, and a run that did not end well. The file that holds the interaction is
    hashed first; its parts are as they were declared, until --verify compares their bytes. What
    differs gives exit code 5.
    """
    from backstory.cli.documents import document
    from backstory.lineage.seeking import state_asked

    with session.home() as home, session.output.working("looking for the interaction"):
        found = state_asked(home, ref, near, verify=verify, as_of=as_of)
    rows = [
        (
            part.section.value,
            part.kind,
            part.ref,
            part.digest,
            part.status.value,
            _told(part),
            part.late,
        )
        for part in found.parts
    ]
    views: list[View] = [_facts(found), Table(columns=_COLUMNS, rows=rows)]
    if found.loads:
        views.append(_loads(found.loads))
    said = (*found.remarks, *found.disagreements)
    views += [Sentence(text=text, state="warning") for text in said]
    session.output.result(document(found), *views)
    return Exit.INTEGRITY if verify and any(map(_differs, found.missing)) else None


def _told(part: "StatePart") -> str | None:
    """What is wrong with a part or else known of it, and how its record was amended."""
    amended = when_and_why(part.amended)
    told = (part.problem or part.detail, amended and f"amended {amended}")
    return "; ".join(filter(None, told)) or None


def _facts(found: "ModelState") -> Facts:
    asked = found.interaction
    return Facts(
        heading=f"int:{asked.id}",
        lines=[
            ("answered by", found.version or asked.model, REF),
            ("at", asked.at, TIME),
            ("recorded", _recorded(asked), TEXT),
            ("environment", asked.environment, TEXT),
            ("read from", _source(found), TEXT),
            ("request", _shortened(asked.request), TEXT),
            ("response", _shortened(asked.response), TEXT),
            ("state", found.digest, DIGITS),
        ],
    )


def _recorded(asked: "Interaction") -> str | None:
    """When it was recorded, where that is not when it was answered."""
    if asked.recorded_at is not None and asked.ahead is not None:
        return f"{moment(asked.recorded_at)}; it says to be {span(asked.ahead)} ahead of the clock"
    return recorded(asked.recorded_at, asked.late)


def _source(found: "ModelState") -> str | None:
    """The table of others that tells of it, and how far that goes."""
    if (read := found.linked) is None:
        return None
    unmapped = ", ".join(read.mapping.unmapped)
    untold = f"; it does not say {unmapped}" if unmapped else ""
    return f"{read.ref}, {read.link.evidence}, at {read.link.uri}{untold}"


def _loads(loads: Sequence["LoadRecord"]) -> Table:
    """What the hosts of its environment had loaded: observed beside declared."""
    rows = [(load.host, load.ref, load.at, load.process, load.digest) for load in loads]
    return Table(columns=_LOADS, rows=rows)


def _shortened(text: str | None, most: int = 200) -> str | None:
    return (
        text if text is None or len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"
    )


def _differs(part: "StatePart") -> bool:
    """Whether its bytes were recorded and are not so now; what nobody captured does not differ."""
    return part.digest is not None
