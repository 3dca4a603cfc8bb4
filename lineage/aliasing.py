"""Aliases: words that name a version of a model, and their moves.

A move ends what the alias named before and begins what it names now; the moves before stay.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from backstory.lake.errors import InvalidError, RefusedError
from backstory.lake.location import check_name
from backstory.lineage.deploying import valid_time
from backstory.lineage.lateness import lateness
from backstory.lineage.parts import Parts
from backstory.lineage.resolving import ModelNamed, resolve, resolve_version
from backstory.lineage.store import models, names, tables, writes
from backstory.lineage.store.amendments import Amended, amended_moves
from backstory.lineage.store.recorded import alias_times
from backstory.lineage.times import MAX_CLOCK_SKEW, time_text


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasMove:
    """An alias that names a version from an instant on.

    Attributes:
        at: since when.
        recorded_at: when that was first told.
        amended: when the record of the move was last amended, and why.
    """

    model: str
    alias: str
    version: models.VersionRecord
    before: models.VersionRecord | None
    at: datetime
    recorded_at: datetime
    amended: Amended | None = None

    @property
    def late(self) -> timedelta | None:
        """How late the move was told; None where that was in time."""
        return lateness(self.at, self.recorded_at)


def alias(
    parts: Parts, version: str, name: str, *, at: datetime | None = None, reason: str = ""
) -> AliasMove:
    """Let an alias name a version from now on, or from a time on.

    Raises:
        InvalidError: an alias that reads like a version or a time, or a time that is not over.
        RefusedError: the alias has moved later than that time already.
    """
    _check_alias(name)
    found = resolve_version(parts, version)
    since = valid_time(parts, at)
    check_over(parts, since, f"{found.model}@{name}")
    with parts.unit("alias", f"{found.model}@{name}", reason=reason) as unit:
        moves = models.alias_rows(unit.connection, found.model, name)
        last = moves[-1] if moves else None
        if last is not None and last.from_at > since:
            raise RefusedError(
                f"{found.model}@{name} has moved at {time_text(last.from_at)} already",
                hint="give a later --at",
            )
        named = {"model": found.model, "alias": name}
        if last is not None:
            writes.end(unit, tables.alias, last.id)
            until = {"from_at": last.from_at, "until_at": since}
            writes.insert(unit, tables.alias, **named, model_version=last.model_version, **until)
        writes.insert(unit, tables.alias, **named, model_version=found.id, from_at=since)
        before = last.model_version if last is not None and last.until_at is None else None
        unit.note(to=found.ref, since=since.isoformat())
        known = models.versions(unit.connection, [i for i in (found.id, before) if i])
    return AliasMove(
        model=found.model,
        alias=name,
        version=known[found.id],
        before=known[before] if before else None,
        at=since,
        recorded_at=unit.at,
    )


def aliases(
    parts: Parts, model: str | None = None, *, as_of: datetime | None = None
) -> list[AliasMove]:
    """The moves of the aliases of a model, or of all models: each alias's newest first.

    Args:
        model: a model, or a version of it for the moves to that version.
        as_of: as it was known then; as it is known now where nothing is said.

    Raises:
        InvalidError: neither a model nor one of its versions.
    """
    found = resolve(parts, model, as_of) if model is not None else None
    if found is not None and not isinstance(found, ModelNamed | models.VersionRecord):
        raise InvalidError(f"{model!r} is not a model", hint="see `backstory models`")
    with parts.store.reader(as_of) as conn:
        if found is None:
            return [move for name in names.names(conn, "model") for move in _moves(conn, name)]
        if isinstance(found, ModelNamed):
            return _moves(conn, found.name)
        return [move for move in _moves(conn, found.model) if move.version.id == found.id]


def check_over(parts: Parts, since: datetime, alias: str) -> None:
    """Refuse a move ahead of its time: a ref would name the version at once.

    Raises:
        InvalidError: the time is not over.
    """
    if since > parts.clock() + MAX_CLOCK_SKEW:
        raise InvalidError(
            f"{alias}: {time_text(since)} is in the future",
            hint="move the alias when it is so; plan what serves with `backstory deploy --at`",
        )


def _moves(conn: Any, model: str) -> list[AliasMove]:
    rows = models.alias_rows(conn, model)
    amended = amended_moves(conn, model)
    versions = models.versions(conn, sorted({row.model_version for row in rows}))
    told = alias_times(conn, model)
    moves: list[AliasMove] = []
    for row in rows:
        last = moves[-1] if moves and moves[-1].alias == row.alias else None
        moves.append(
            AliasMove(
                model=model,
                alias=row.alias,
                version=versions[row.model_version],
                before=last.version if last else None,
                at=row.from_at,
                recorded_at=told[row.alias, row.model_version, row.from_at],
                amended=amended.get((row.alias, row.model_version, row.from_at)),
            )
        )
    moves.reverse()
    return sorted(moves, key=lambda move: move.alias)


def _check_alias(name: str) -> None:
    check_name(name)
    if "/" in name or name.isdigit() or name[:1].isdigit():
        raise InvalidError(
            f"{name!r} is no alias: one begins with a letter and is one word",
            hint="write it like champion",
        )
