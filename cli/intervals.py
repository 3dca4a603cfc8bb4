"""Deployment intervals as a table, the same after deploying as when asking."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from backstory.cli.figures import LATE, REF, SHARE, STATE, TEXT, TIME
from backstory.cli.views import Table
from backstory.lineage.graph import deployment_key

if TYPE_CHECKING:
    from backstory.lineage.store.deployments import IntervalRecord

_COLUMNS = (
    ("deployment", REF),
    ("version", REF),
    ("mode", STATE),
    ("share", SHARE),
    ("from", TIME),
    ("until", TIME),
    ("loaded", TEXT),
    ("late", LATE),
    ("end late", LATE),
    ("amended", TEXT),
)


def interval_table(
    found: Sequence["IntervalRecord"],
    loads: Mapping[int, str] | None = None,
    amended: Mapping[int, str] | None = None,
) -> Table:
    """One line an interval; who loaded it, and how its record was amended, by the interval's id."""
    rows = [
        (
            deployment_key(interval.environment, interval.number),
            f"{interval.model}@{interval.version}",
            interval.mode,
            interval.share,
            interval.from_at,
            interval.until_at,
            (loads or {}).get(interval.id),
            interval.late,
            interval.end_late,
            (amended or {}).get(interval.id),
        )
        for interval in found
    ]
    return Table(columns=_COLUMNS, rows=rows)
