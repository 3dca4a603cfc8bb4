"""What was amended, in a few words beside a thing, and in full as a table."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from backstory.cli.figures import REF, TEXT, TIME, moment
from backstory.cli.views import Table

if TYPE_CHECKING:
    from backstory.lineage.store.amendments import Amended, AmendmentRecord

_COLUMNS = (
    ("amended", TIME),
    ("what", REF),
    ("was", TEXT),
    ("is", TEXT),
    ("reason", TEXT),
    ("by", TEXT),
)


def when_and_why(amended: "Amended | None") -> str | None:
    """`2026-11-24T08:00:00Z: rolled out late`; None where it never was."""
    return f"{moment(amended.at)}: {amended.reason}" if amended else None


def amendment_table(found: Sequence["AmendmentRecord"]) -> Table:
    """One line a record that was superseded, added or taken away."""
    rows = [
        (one.at, change.of, _told(change.before), _told(change.after), one.reason, one.actor)
        for one in found
        for change in one.changes
    ]
    return Table(columns=_COLUMNS, rows=rows)


def _told(said: Mapping[str, Any] | None) -> str:
    """`share 0.1, from 2026-…`; what is not so is left out."""
    if said is None:
        return "nothing"
    told = (
        f"{name} {', '.join(value) if isinstance(value, list) else value}"
        for name, value in said.items()
        if value not in (None, [])
    )
    return ", ".join(told) or "nothing"
