"""`backstory drift`: how far the values of one slice, version or range lie from another's."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from backstory.cli.command import verb
from backstory.cli.commands.profile import heading
from backstory.cli.figures import SHARE, TEXT, Kind, number
from backstory.cli.parameters import AS_OF, REF_TEXT
from backstory.cli.session import Session
from backstory.cli.views import Table

if TYPE_CHECKING:
    from backstory.lake.drift import ColumnDrift

_STATISTIC = Kind(people=lambda value: f"{value:.4f}", plain=str, right=True)
_COLUMNS = (
    ("column", TEXT),
    ("psi", _STATISTIC),
    ("js", _STATISTIC),
    ("ks", _STATISTIC),
    ("nulls before", SHARE),
    ("nulls after", SHARE),
    ("new", TEXT),
    ("missing", TEXT),
)
_SHOWN = 3  # values that are new or missing


@verb(
    "drift",
    examples=(
        "backstory drift thumbs/en@41 thumbs/en@42..58",
        "backstory drift ranker@7 thumbs/en --column stars --json",
    ),
)
@click.argument("a", type=REF_TEXT)
@click.argument("b", type=REF_TEXT)
@click.option("--column", "columns", metavar="NAME", multiple=True, help="These columns only.")
@AS_OF
def command(
    session: Session, a: str, b: str, columns: tuple[str, ...], *, as_of: datetime | None
) -> None:
    """Show how far the values of B lie from those of A, column by column.

    Each is a slice at a version or a time, the commits that SLICE@M..N names, or a model version,
    which stands for what it was trained on. Told are the population stability index (psi), the
    Jensen-Shannon divergence in bits (js), the Kolmogorov-Smirnov distance (ks), and values that
    only one of the two has, from what was kept with each commit: rows are read only of files
    without that.
    """
    from backstory.cli.documents import document

    with session.home() as home:
        found = home.drift(a, b, columns=columns, as_of=as_of)
    rows = [
        (
            one.column,
            one.psi,
            one.js,
            one.ks,
            one.base_nulls,
            one.head_nulls,
            _named(one.new),
            _named(one.missing),
        )
        for one in sorted(found.columns, key=_moved, reverse=True)
    ]
    views = (heading(found.base), heading(found.head), Table(columns=_COLUMNS, rows=rows))
    session.output.result(document(found), *views)


def _moved(one: "ColumnDrift") -> float:
    return -1.0 if one.psi is None else one.psi


def _named(values: tuple[object, ...] | None) -> str | None:
    if not values:
        return None
    more = f" and {number(len(values) - _SHOWN)} more" if len(values) > _SHOWN else ""
    return ", ".join(map(str, values[:_SHOWN])) + more
