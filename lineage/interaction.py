"""Interactions: one request that a deployed model answered, and what shaped the answer.

Keeps true: an `Interaction` in hand is within its bounds, its texts are JSON, its time is UTC, and
its row has exactly the columns of `INTERACTION_COLUMNS`, the table's contract as plain data
(table v1). It does not know where rows are written.

>>> from datetime import UTC, datetime
>>> at = datetime(2026, 11, 14, 9, 41, tzinfo=UTC)
>>> answer = Interaction(id="019a", at=at, model="reader", version=3, request="[0,1]", response="8")
>>> Interaction.from_row(answer.to_row()) == answer
True
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from backstory.lake.errors import InvalidError, LimitExceededError
from backstory.lineage.lateness import lateness, lead
from backstory.lineage.times import in_utc

MAX_TEXT_BYTES = 1024 * 1024  # of request, response, and each part's detail
MAX_WORD_BYTES = 4 * 1024  # of every other text
MAX_PARTS = 1000
MAX_ATTRIBUTES = 1000


class PartStatus(StrEnum):
    """How sure a part is. A recorder says one of the first two; the others are found out."""

    DECLARED = "declared"  # somebody said so, and it is within reach
    EXTERNAL = "external"  # it lies outside our reach, such as a hosted model
    VERIFIED = "verified"  # its bytes are what was recorded
    MISSING = "missing"  # it is not there
    ERASED = "erased"  # it was removed on purpose


class AnsweredBy(StrEnum):
    """Who gave the answer in the end."""

    MODEL = "model"
    CACHE = "cache"
    FALLBACK = "fallback"
    HUMAN = "human"


class InteractionColumn(NamedTuple):
    """One column of the interaction table, in the words of a slice contract."""

    name: str
    type: str
    role: str | None = None
    nullable: bool = True
    personal: str = "none"


INTERACTION_COLUMNS = (
    InteractionColumn("id", "string", role="event_id", nullable=False),
    InteractionColumn("at", "timestamp", role="event_time", nullable=False),
    InteractionColumn("model", "string", nullable=False),
    InteractionColumn("version", "int64"),
    InteractionColumn("environment", "string"),
    InteractionColumn("variant", "string"),
    InteractionColumn("subject", "string", role="subject", personal="direct"),
    InteractionColumn("conversation", "string", personal="indirect"),
    InteractionColumn("turn", "int64"),
    InteractionColumn("external_id", "string", personal="indirect"),
    InteractionColumn("request", "string", nullable=False, personal="indirect"),
    InteractionColumn("response", "string", personal="indirect"),
    InteractionColumn(
        "parts",
        "list<struct<kind: string, ref: string, digest: string, detail: string, status: string>>",
        personal="indirect",
    ),
    InteractionColumn("answered_by", "string", nullable=False),
    InteractionColumn("latency_ms", "float64"),
    InteractionColumn("attributes", "map<string, string>", personal="indirect"),
)

RECORDED_COLUMN = "_ingested_at"  # a system column: who writes a row cannot set it


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One thing that shaped an answer beyond the version itself.

    Attributes:
        kind: an open word: prompt, chunk, item, features, tool, sampling, hosted_model …
        ref: what it is called where it lives.
        digest: SHA-256 of its bytes, 64 hex digits, where it has bytes.
        detail: JSON text: score, position, propensity, values, parameters, fingerprint …
    """

    kind: str
    ref: str
    digest: str | None = None
    detail: str | None = None
    status: PartStatus = PartStatus.DECLARED

    def __post_init__(self) -> None:
        for name in ("kind", "ref"):
            value = getattr(self, name)
            if not value:
                raise InvalidError(
                    f"a part's {name} is empty", hint="name it, or leave the part out"
                )
            _check_size(f"a part's {name}", value, MAX_WORD_BYTES)
        if self.digest is not None and not _is_digest(self.digest):
            raise InvalidError(
                f"part {self.ref!r}: {self.digest[:80]!r} is not a digest",
                hint="a digest is the 64 lower-case hex digits of a SHA-256",
            )
        _check_json(f"detail of part {self.ref!r}", self.detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """One request that a deployed model answered.

    Attributes:
        version: number of the model version that is said to have answered; None where unknown.
        variant: arm of an experiment.
        subject: the person; a pseudonym once it has been read back.
        request, response: JSON text; no response where none was given. Only a table that others
            write may leave the request out.
        parts: in the order in which they took effect.
        recorded_at: when its row was written; None before it is.
    """

    id: str
    at: datetime
    model: str
    request: str | None
    response: str | None = None
    version: int | None = None
    environment: str | None = None
    variant: str | None = None
    subject: str | None = None
    conversation: str | None = None
    turn: int | None = None
    external_id: str | None = None
    parts: tuple[Part, ...] = ()
    answered_by: AnsweredBy = AnsweredBy.MODEL
    latency_ms: float | None = None
    attributes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    recorded_at: datetime | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", in_utc(self.at))
        _check_json("request", self.request)
        _check_json("response", self.response)
        for name in _WORDS:
            _check_size(name, getattr(self, name), MAX_WORD_BYTES)
        if len(self.parts) > MAX_PARTS:
            raise LimitExceededError(
                f"{len(self.parts)} parts are more than {MAX_PARTS}",
                hint="record the parts that mattered, or join some",
            )
        if len(self.attributes) > MAX_ATTRIBUTES:
            raise LimitExceededError(
                f"{len(self.attributes)} attributes are more than {MAX_ATTRIBUTES}",
                hint="put them into the request or a part's detail",
            )
        for key, value in self.attributes.items():
            _check_size(f"attribute {key[:80]!r}", key + value, MAX_WORD_BYTES)

    @property
    def late(self) -> timedelta | None:
        """How long after the answer it was recorded; None where that was in time."""
        return lateness(self.at, self.recorded_at)

    @property
    def ahead(self) -> timedelta | None:
        """How far its time lies ahead of its record: the clock that gave it was wrong."""
        return lead(self.at, self.recorded_at)

    def to_row(self) -> dict[str, Any]:
        """The row of the interaction table."""
        row = {column.name: getattr(self, column.name) for column in INTERACTION_COLUMNS}
        row["answered_by"] = self.answered_by.value
        row["attributes"] = dict(self.attributes)
        row["parts"] = [
            {
                "kind": part.kind,
                "ref": part.ref,
                "digest": part.digest,
                "detail": part.detail,
                "status": part.status.value,
            }
            for part in self.parts
        ]
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Interaction":
        """Read a row as Arrow gives it, where it was asked for with when it was written."""
        values = {column.name: row[column.name] for column in INTERACTION_COLUMNS}
        values["answered_by"] = AnsweredBy(row["answered_by"])
        values["attributes"] = MappingProxyType(dict(row["attributes"] or {}))
        values["parts"] = tuple(
            Part(**{**part, "status": PartStatus(part["status"])}) for part in row["parts"] or ()
        )
        return cls(**values, recorded_at=row.get(RECORDED_COLUMN))


def json_text(value: Any, what: str = "value") -> str:
    """The compact JSON text of a request, a response or a part's detail.

    Raises:
        InvalidError: it has no JSON form; NaN and infinities have none.
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as exc:
        raise InvalidError(
            f"{what} has no JSON form: {exc}",
            hint="give text, numbers, lists and mappings of these",
        ) from exc


_WORDS = ("id", "model", "environment", "variant", "subject", "conversation", "external_id")


def _check_json(what: str, text: str | None) -> None:
    if text is None:
        return
    _check_size(what, text, MAX_TEXT_BYTES)
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:
        raise InvalidError(
            f"{what} is not JSON text: {exc}", hint="pass the JSON text, as json.dumps gives it"
        ) from exc


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _check_size(what: str, text: str | None, limit: int) -> None:
    try:
        size = len(text.encode()) if text is not None else 0
    except UnicodeEncodeError as exc:
        raise InvalidError(
            f"{what} is not Unicode text: {exc.reason}",
            hint="give text that can be written as UTF-8",
        ) from exc
    if size > limit:
        raise LimitExceededError(
            f"{what} has {size:,} bytes, more than {limit:,}",
            hint="keep it as an artifact or elsewhere, and record its name",
        )


def _is_digest(text: str) -> bool:
    return len(text) == 64 and all(c in "0123456789abcdef" for c in text)
