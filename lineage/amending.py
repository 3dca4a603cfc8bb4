"""A wrong record amended: superseded by what is so instead, with a reason; both stay visible.

    amend(home, "env:prod-eu#3", reason="the roll-out began later", from_at=noon)

What people said is amendable: when and with what share a version served, since when an alias named
which version, and what was said of a version that no run of ours made. What was observed is not:
runs, what they read and made, commits, loads, answers, digests and the audit log stay as they are.
An amendment is one unit of work with one audit leaf; who amends at the same time sees what it left.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from backstory.lake.crash import crashpoint
from backstory.lake.errors import InvalidError, LimitExceededError, NotFoundError
from backstory.lineage import refs
from backstory.lineage.aliasing import check_over
from backstory.lineage.amendment import Correction, plan_amendment
from backstory.lineage.declaring import snapshots_of
from backstory.lineage.deploying import traffic, valid_time, write_interval
from backstory.lineage.moves import Move, corrected, in_force
from backstory.lineage.parts import Parts
from backstory.lineage.reasons import check_reason
from backstory.lineage.redeclaring import amend_version
from backstory.lineage.resolving import (
    DeploymentNamed,
    EnvironmentNamed,
    ModelNamed,
    Resolved,
    SliceAt,
    resolve_name,
    resolve_ref,
)
from backstory.lineage.store import amendments as store
from backstory.lineage.store import deployments, models, runs, tables, writes
from backstory.lineage.store.amendments import AmendmentRecord
from backstory.lineage.store.unit_of_work import Unit

MAX_AMENDMENTS = 1000
DEFAULT_AMENDMENTS = 50
_HINT = "say why the record is wrong, e.g. --reason 'the roll-out began an hour later'"


def amend(
    parts: Parts,
    ref: str,
    *,
    reason: str,
    at: datetime | None = None,
    from_at: datetime | None = None,
    until_at: datetime | None = None,
    ongoing: bool = False,
    share: float | None = None,
    version: str | None = None,
    artifact: str | None = None,
    digest: str | None = None,
    trained_on: Sequence[str] | None = None,
    never: bool = False,
) -> AmendmentRecord:
    """Supersede a wrong record by what is so instead.

    Args:
        ref: a deployment, `env:prod-eu#3`, an alias, `ranker@champion`, or a version that somebody
            told of, `ranker@3`.
        reason: why the record is wrong, for whoever finds both.
        at: which of several intervals or moves is meant: the one in force at that time; the whole
            deployment, or the alias's last move, where nothing is said.
        from_at: since when it was so.
        until_at: until when.
        ongoing: it has not ended.
        share: the share that it had.
        version: the version that the alias named, as a ref.
        artifact: the URI of the version's bytes.
        digest: SHA-256 of them.
        trained_on: the snapshots that the version was trained on, all of them; they are pinned.
        never: it did not happen.

    Raises:
        InvalidError: no reason, nothing to correct, or what was observed.
        RefusedError: what is so instead does not fit beside what is recorded of others.
    """
    check_reason(reason, of="an amendment", hint=_HINT)
    correction = Correction(
        at=at,
        from_at=from_at,
        until_at=until_at,
        ongoing=ongoing,
        share=share,
        version=version,
        artifact=artifact,
        digest=digest,
        trained_on=trained_on,
        never=never,
    )
    return _carried_out(parts, ref, correction, reason)


def amendments(
    parts: Parts,
    ref: str | None = None,
    *,
    limit: int = DEFAULT_AMENDMENTS,
    before: int | None = None,
    as_of: datetime | None = None,
) -> list[AmendmentRecord]:
    """What was amended, newest first: what was recorded, and what is so instead.

    Args:
        ref: a deployment, a version, an environment for all that is deployed there, or a model or
            one of its aliases for the moves of all; all where nothing is said.
        limit: how many at most.
        before: only those of an audit leaf before this one: the next page.
        as_of: as it was known then; as it is known now where nothing is said.
    """
    if not 0 < limit <= MAX_AMENDMENTS:
        raise LimitExceededError(
            f"1 to {MAX_AMENDMENTS} amendments are given at a time, not {limit}",
            hint="ask for a number in between",
        )
    with parts.store.reader(as_of) as conn:
        entities = None if ref is None else _entities(parts, conn, ref)
        return store.amendments(conn, entities=entities, limit=limit, before=before)


def _carried_out(parts: Parts, ref: str, correction: Correction, reason: str) -> AmendmentRecord:
    for time in (correction.from_at, correction.until_at):
        valid_time(parts, time)
    parsed = refs.parse_ref(ref)
    snapshots = snapshots_of(parts, correction.trained_on or ())
    with parts.unit("amend", str(parsed), reason=reason) as unit:
        if isinstance(parsed, refs.NameRef) and isinstance(parsed.at, refs.Alias):
            entity = _amend_alias(parts, unit, parsed, correction, reason)
        else:
            found = resolve_ref(unit.connection, parsed, parts.clock)
            match found:
                case DeploymentNamed(id=entity):
                    _amend_deployment(unit, found, correction, reason)
                case models.VersionRecord(id=entity):
                    amend_version(
                        parts, unit, found, correction, snapshots=snapshots, reason=reason
                    )
                case _:
                    raise _not_amendable(found, ref)
        unit.note(amended=correction.said)
        crashpoint("amend.recorded")
    with parts.store.reader() as conn:
        [told] = store.amendments(conn, entities=[entity], limit=1, before=unit.seq + 1)
    return told


def _entities(parts: Parts, conn: Any, ref: str) -> Sequence[int]:
    parsed = refs.parse_ref(ref)
    if isinstance(parsed, refs.NameRef) and isinstance(parsed.at, refs.Alias):
        return [resolve_name(conn, parsed).id]
    found = resolve_ref(conn, parsed, parts.clock)
    match found:
        case ModelNamed(id=number) | DeploymentNamed(id=number) | models.VersionRecord(id=number):
            return [number]
        case EnvironmentNamed(name=name):
            return sorted({i.deployment for i in deployments.intervals(conn, environment=name)})
        case _:
            raise _not_amendable(found, ref)


def _amend_deployment(
    unit: Unit, found: DeploymentNamed, correction: Correction, reason: str
) -> None:
    correction.only("a deployment", "--from", "--until", "--ongoing", "--share", "--never")
    own = deployments.intervals_of(unit.connection, [found.id])[found.id]
    plan = plan_amendment(
        traffic(unit, found.environment, own[0].model), found.environment, found.id, correction
    )
    for change in plan:
        writes.end(unit, tables.deployment_interval, change.row)
        after = write_interval(unit, found.id, change.after) if change.after else None
        store.record(
            unit,
            found.id,
            tables.deployment_interval.name,
            before=change.row,
            after=after,
            reason=reason,
        )


def _amend_alias(
    parts: Parts, unit: Unit, ref: refs.NameRef, correction: Correction, reason: str
) -> int:
    correction.only("an alias", "--from", "--version", "--never")
    named = resolve_name(unit.connection, ref)
    alias = str(ref.at)
    moves = [
        Move(row=row.id, version=row.model_version, from_at=row.from_at, until_at=row.until_at)
        for row in models.alias_rows(unit.connection, named.name, alias)
    ]
    wrong = in_force(moves, correction.at)
    if wrong is None:
        raise NotFoundError(
            f"{ref} named nothing then",
            hint=f"see `backstory models aliases {named.name}`; `backstory models alias` names one",
        )
    right = None if correction.never else _put_right(parts, unit, ref, wrong, correction)
    if right == wrong:
        raise InvalidError("that is recorded already", hint="an amendment says what was not so")
    written = {
        move.row: _rewrite_move(unit, named.name, alias, move)
        for move in corrected(moves, wrong, right)
        if move not in moves
    }
    for row in {wrong.row, *written}:
        writes.end(unit, tables.alias, row)
    store.record(
        unit,
        named.id,
        tables.alias.name,
        before=wrong.row,
        after=written.get(wrong.row),
        reason=reason,
    )
    return named.id


def _put_right(
    parts: Parts, unit: Unit, ref: refs.NameRef, wrong: Move, correction: Correction
) -> Move:
    version = wrong.version
    if correction.version is not None:
        named = refs.parse_ref(correction.version)
        found = resolve_ref(unit.connection, named, parts.clock)
        if not isinstance(found, models.VersionRecord) or found.model != ref.name:
            raise InvalidError(
                f"{correction.version!r} is not a version of {ref.name}",
                hint=f"write it like {ref.name}@7",
            )
        version = found.id
    since = correction.from_at or wrong.from_at
    check_over(parts, since, str(ref))
    return replace(wrong, version=version, from_at=since)


def _rewrite_move(unit: Unit, model: str, alias: str, move: Move) -> int:
    return writes.insert(
        unit,
        tables.alias,
        model=model,
        alias=alias,
        model_version=move.version,
        from_at=move.from_at,
        until_at=move.until_at,
    )


def _not_amendable(found: Resolved, ref: str) -> InvalidError:
    """Why a record is not amendable, and what to do instead."""
    why, hint = _NOT_AMENDABLE[type(found)]
    return InvalidError(f"{ref}: {why}", hint=hint)


_NOT_AMENDABLE = {
    EnvironmentNamed: (
        "an environment is no record of its own",
        "name one of its deployments, see `backstory deployments`",
    ),
    SliceAt: (
        "what was committed to a slice was observed, and is not amended",
        "append what is right; `backstory diff` shows what changed",
    ),
    runs.RunRecord: (
        "what a run read and made was observed, and is not amended",
        "end a lost one with `backstory runs close`; tell of others with `backstory models add`",
    ),
    models.ComponentRecord: (
        "a component is known by its digest, and is not amended",
        "use it under another version in the next retraining",
    ),
    ModelNamed: (
        "a model is no record of its own",
        "name a deployment or an alias of it, like ranker@champion",
    ),
}
