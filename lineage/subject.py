"""What a home holds of one person, as values: where rows lie, who read them, what came of it.

Keeps true: what is not known is told beside what is, and never counted as nothing. It holds
pseudonyms, never what a person is called.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from backstory.lineage.store.deployments import IntervalRecord
from backstory.lineage.store.slices import PinRecord


class Known(StrEnum):
    """How sure it is how many of a person's rows a run read."""

    EXACT = "exact"
    SELECTION_UNKNOWN = "upper bound, selection unknown"
    ROWS_GONE = "upper bound, rows are gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectRead:
    """A run that read a snapshot with rows of the person.

    Attributes:
        run: its id.
        role: what it read them for; None where only an event told of it.
        filter: the condition that it put to the rows.
        rows: how many of the person's rows it read, or could have read at most.
        known: which of the two it is.
        versions: the model versions that the run made.
    """

    run: str
    model: str | None
    state: str
    role: str | None
    filter: str | None
    rows: int
    known: Known
    versions: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectSnapshot:
    """A snapshot that holds rows of the person.

    Attributes:
        rows: how many.
        pins: what keeps it.
        reads: which runs read it.
        declared: versions that are said to be trained on it, with no run of ours in between.
    """

    ref: str
    at: datetime | None
    rows: int
    pins: Sequence[PinRecord]
    reads: Sequence[SubjectRead]
    declared: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectSlice:
    """A table that holds rows of the person, or held some.

    Attributes:
        name: the slice; a table of interactions too.
        version: its newest version.
        rows: how many rows of the person it has there.
        files: how many data files hold or held some.
        held: the versions that hold some, as first and last; None for a last one that still does.
        snapshots: those of its snapshots that hold some.
    """

    name: str
    version: int
    rows: int
    files: int
    held: Sequence[tuple[int, int | None]]
    snapshots: Sequence[SubjectSnapshot]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectInteractions:
    """The answers of a model that were given to the person.

    Attributes:
        table: where they lie.
        rows: how many.
        first, last: when the first and the last was given.
        refs: the newest of them.
    """

    model: str
    table: str
    rows: int
    first: datetime | None
    last: datetime | None
    refs: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectVersion:
    """A model version that rows of the person went into, or may have gone into.

    Attributes:
        known: exact where a run of ours read some for sure.
        deployments: where it serves and served.
    """

    ref: str
    at: datetime
    known: Known
    deployments: Sequence[IntervalRecord]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotLookedInto:
    """Where rows of the person may be, and nobody can tell.

    Attributes:
        slice: the table.
        files: how many of its data files it is about; None where that is not known.
        why: why not.
    """

    slice: str
    files: int | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """All that a home holds of a person.

    Attributes:
        pseudonyms: what the person is called here, under each key.
        unknown: where nobody could look.
    """

    pseudonyms: Sequence[str]
    slices: Sequence[SubjectSlice]
    interactions: Sequence[SubjectInteractions]
    versions: Sequence[SubjectVersion]
    unknown: Sequence[NotLookedInto] = field(default=())
