"""Interactions in: one request that a deployed model answered, or many at once.

A model's interactions are rows of its own table `_interactions/<model>`, made on first use under
the contract of table v1. Rows pass the same gate and the same exactly-once append as feedback.
The time and the external id of an interaction determine its id.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from backstory.lake.contract import Column, Contract, PersonalData, Role
from backstory.lake.errors import ConflictError, InvalidError, NotFoundError
from backstory.lake.location import interactions_of
from backstory.lake.receipt import Receipt
from backstory.lake.types import parse_type
from backstory.lake.versions import column_bounds
from backstory.lineage.catch_up import register_commits
from backstory.lineage.graph import EntityKind
from backstory.lineage.ids import InteractionId, interaction_id
from backstory.lineage.ingest import append
from backstory.lineage.interaction import (
    INTERACTION_COLUMNS,
    AnsweredBy,
    Interaction,
    Part,
    json_text,
)
from backstory.lineage.lateness import lead
from backstory.lineage.parts import Parts
from backstory.lineage.resolving import resolve_version
from backstory.lineage.store import names, slices
from backstory.lineage.store.models import VersionRecord
from backstory.lineage.times import EPOCH, in_utc, time_text

SOURCE = "interactions"

_log = logging.getLogger(__name__)


def interactions(parts: Parts, model: str) -> "InteractionLog":
    """The log of a model's interactions.

    Raises:
        InvalidError: the name belongs to a slice, or is no name.
    """
    with parts.store.reader() as conn:
        known = names.named(conn, model)
    if known is not None and known[0] != EntityKind.MODEL:
        raise InvalidError(
            f"{model!r} is a {known[0]}, not a model",
            hint="choose another name; slices and models share one namespace",
        )
    if known is None:
        raise NotFoundError(
            f"no model is called {model!r}",
            hint="an interaction speaks of a registered version; see `backstory models`",
        )
    return InteractionLog(parts=parts, model=model)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An interaction that was recorded.

    Attributes:
        ref: `int:` and its id.
        at: when it was answered.
        ahead: how far that was ahead of our clock: one of them is wrong; None where it was not.
    """

    ref: str
    at: datetime
    ahead: timedelta | None


@dataclass(frozen=True, kw_only=True)
class InteractionLog:
    """What a model answered, written down."""

    parts: Parts
    model: str

    def record(
        self,
        *,
        request: Any,
        response: Any,
        version: str | VersionRecord | None = None,
        at: datetime | None = None,
        external_id: str | None = None,
        environment: str | None = None,
        variant: str | None = None,
        subject: str | None = None,
        conversation: str | None = None,
        turn: int | None = None,
        parts: Sequence[Part] = (),
        answered_by: str = "model",
        latency_ms: float | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> InteractionId:
        """Record one interaction.

        Args:
            request: what was asked; any JSON value.
            response: what was answered; any JSON value.
            version: the model version that answered, as a ref or a record.
            at: when; now where nothing is said.
            external_id: what the calling system calls it; with the time it makes the id.
            environment: where the version served.
            subject: the person asked for; only a pseudonym of it reaches the disk.
            parts: what shaped the answer beyond the version.

        A time that has not come is recorded and warned of: `state_of` says how far ahead of the
        clock it is, and `doctor` that there is one.

        Returns:
            The interaction's id, for feedback to name.
        """
        interaction = self._interaction(
            request=request,
            response=response,
            version=self._number(version),
            at=at,
            external_id=external_id,
            environment=environment,
            variant=variant,
            subject=subject,
            conversation=conversation,
            turn=turn,
            parts=parts,
            answered_by=answered_by,
            latency_ms=latency_ms,
            attributes=attributes,
        )
        self.record_many([interaction])
        if at is not None and lead(interaction.at, self.parts.clock()):
            _log.warning("int:%s: %s is in the future", interaction.id, time_text(interaction.at))
        return InteractionId(interaction.id)

    def record_answers(self, answers: Iterable[Mapping[str, Any]]) -> list[Recorded]:
        """Record interactions that are given as `record` takes them, in one commit.

        Args:
            answers: the arguments of `record` by name, for each interaction.

        Returns:
            What each of them is called, and how far ahead its time is.
        """
        numbers: dict[Any, int | None] = {}
        made = []
        for answer in answers:
            version = answer.get("version")
            if version not in numbers:
                numbers[version] = self._number(version)
            made.append(self._interaction(**{**answer, "version": numbers[version]}))
        self.record_many(made)
        now = self.parts.clock()
        return [Recorded(ref=f"int:{one.id}", at=one.at, ahead=lead(one.at, now)) for one in made]

    def _interaction(
        self,
        *,
        request: Any,
        response: Any,
        at: datetime | None = None,
        external_id: str | None = None,
        parts: Sequence[Part] = (),
        answered_by: str = "model",
        attributes: Mapping[str, str] | None = None,
        **words: Any,
    ) -> Interaction:
        when = _when(at or self.parts.clock())
        return Interaction(
            id=interaction_id(when, external_id),
            at=when,
            model=self.model,
            request=json_text(request, "request"),
            response=None if response is None else json_text(response, "response"),
            external_id=external_id,
            parts=tuple(parts),
            answered_by=_answered_by(answered_by),
            attributes=attributes or {},
            **words,
        )

    def record_many(
        self, rows: Iterable[Interaction] | Any, *, source: str = SOURCE, offset: int | None = None
    ) -> Receipt:
        """Record many interactions in one commit, exactly once.

        Args:
            rows: `Interaction`s, or an Arrow table or data frame with the columns of table v1.
            source: who sends them.
            offset: end position of this batch in its source.
        """
        self._ensure_table()
        if not hasattr(rows, "columns"):
            rows = [row.to_row() if isinstance(row, Interaction) else row for row in rows]
        name = interactions_of(self.model)
        return append(self.parts, name, rows, source=source, offset=offset, strict=True)

    def _number(self, version: str | VersionRecord | None) -> int | None:
        if version is None:
            return None
        found = version if isinstance(version, VersionRecord) else None
        if found is None:
            found = resolve_version(self.parts, str(version))
        if found.model != self.model:
            raise InvalidError(
                f"{found.ref} is not a version of {self.model}", hint="name a version of that model"
            )
        return found.number

    def _ensure_table(self) -> None:
        name = interactions_of(self.model)
        if name in self.parts.lake.names():
            return
        try:
            self.parts.lake.create(
                interaction_contract(self.model),
                at=self.parts.clock(),
                table_id=self.parts.new_id(),
            )
        except ConflictError:
            return  # another process made it in this instant
        register_commits(self.parts, name)


def _when(at: datetime) -> datetime:
    """A time that an id can tell."""
    when = in_utc(at)
    if when < EPOCH:
        raise InvalidError(
            f"{time_text(when)} lies before 1970", hint="say when the interaction was answered"
        )
    return when


def ahead_of_time(parts: Parts) -> list[str]:
    """The models with interactions of ours whose time lies behind their recording.

    By the statistics of their data files, so that no row is read.
    """
    with parts.store.reader() as conn:
        recorded = [r for r in slices.slices(conn, flavours=("interactions",)) if r.last_at]
        times = {record.name: slices.file_times(conn, record.id) for record in recorded}
    return [
        record.name.removeprefix(slices.INTERACTIONS_PREFIX)
        for record in recorded
        for bounds in [
            column_bounds(
                parts.lake.folder(record.name), record.last_version, "at", name=record.name
            )
        ]
        if any(
            path in times[record.name] and lead(last, times[record.name][path])
            for path, (_, last) in bounds.items()
        )
    ]


def _answered_by(text: str) -> AnsweredBy:
    try:
        return AnsweredBy(text)
    except ValueError as exc:
        known = ", ".join(one.value for one in AnsweredBy)
        raise InvalidError(f"nothing answers as {text!r}", hint=f"one of {known}") from exc


def interaction_contract(model: str) -> Contract:
    """The contract of a model's interaction table."""
    return Contract(
        slice=interactions_of(model),
        purpose=f"what {model} answered",
        columns=tuple(
            Column(
                name=column.name,
                type=parse_type(column.type),
                role=Role(column.role) if column.role else None,
                nullable=column.nullable,
                personal=PersonalData(column.personal),
            )
            for column in INTERACTION_COLUMNS
        ),
    )
