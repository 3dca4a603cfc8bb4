"""What became of a batch, as whoever sent it is told.

>>> Outcome("accepted")
<Outcome.ACCEPTED: 'accepted'>
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Outcome(StrEnum):
    """What became of a batch."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The outcome of an append.

    Attributes:
        slice: the table's name.
        outcome: whether the rows are new; empty where there was no row and no offset to record.
        accepted: rows that this append added.
        duplicate: rows that were there already, or whose event id came before.
        rejected: rows that do not fit and are in quarantine.
        version: the Delta version that holds the batch; None where there was nothing to commit.
        contract_version: the contract that the stored rows passed; None likewise.
        source: who sent the batch.
        offset: end position of the batch in its source.
        warnings: how many of its rows miss each expectation that only warns.

    Accepted, duplicate and rejected rows are together what came in.
    """

    slice: str
    outcome: Outcome
    accepted: int
    duplicate: int
    rejected: int
    version: int | None
    contract_version: int | None
    source: str
    offset: int
    warnings: Mapping[str, int] = field(default_factory=dict)
