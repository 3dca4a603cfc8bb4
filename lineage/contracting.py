"""The contracts of a slice: what its rows promise, since when, and which signals could be given.

A contract changes only in ways that its table can bear; each version is kept, with the version of
the slice from which it holds, so that a question about then is answered by what was agreed then.
Slices, linked tables and tables of interactions are asked alike; only slices of our own change.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from backstory.lake import evolving
from backstory.lake.contract import Contract
from backstory.lake.contract_change import Change, changes
from backstory.lake.errors import InvalidError
from backstory.lake.evolving import Evolved, evolvable
from backstory.lake.signals import SignalLife, taxonomy
from backstory.lineage.catch_up import register_commits
from backstory.lineage.contract_input import contract_of
from backstory.lineage.ingest import own_table
from backstory.lineage.lateness import lateness
from backstory.lineage.parts import Parts
from backstory.lineage.resolving import resolve_slice_at
from backstory.lineage.store.contracts import ContractRecord, contracts_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractVersion:
    """One version of a slice's contract.

    Attributes:
        contract: what it says.
        digest: the digest of its canonical text.
        begins: the first version of the slice under it; None for tables of others.
        at: since when it holds.
        recorded_at: when it was registered.
        changes: what became different with it.
    """

    contract: Contract
    digest: str
    begins: int | None
    at: datetime
    recorded_at: datetime
    changes: tuple[Change, ...]

    @property
    def late(self) -> timedelta | None:
        """How long after it began it was registered; None where that was in time."""
        return lateness(self.at, self.recorded_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What applying a contract would change.

    Attributes:
        contract: the contract that the slice has.
        proposed: the one that would be applied.
        changes: every difference, breaking or not.
    """

    contract: Contract
    proposed: Contract
    changes: tuple[Change, ...]

    @property
    def breaking(self) -> tuple[Change, ...]:
        """The changes that the slice cannot bear."""
        return tuple(change for change in self.changes if change.breaking)


def contracts(parts: Parts, ref: str, *, as_of: datetime | None = None) -> list[ContractVersion]:
    """The contracts of a slice, newest first; up to the ref's version where it names one.

    Args:
        ref: the slice, or the table of a model's interactions.
        as_of: as it was known then; as it is known now where nothing is said.

    Raises:
        NotFoundError: there is no such slice or version.
    """
    found = resolve_slice_at(parts, ref, as_of)
    with parts.store.reader(as_of) as conn:
        known = contract_versions(conn, [found.slice.id]).get(found.slice.id, [])
    return [version for version in reversed(known) if _had_begun(version, found.version)]


def contract(parts: Parts, ref: str, *, as_of: datetime | None = None) -> ContractVersion:
    """The contract that a slice is under, at the version or time that the ref names.

    Args:
        ref: the slice, at its newest version where none is named.
        as_of: as it was known then; as it is known now where nothing is said.

    Raises:
        NotFoundError: there is no such slice or version.
    """
    return contracts(parts, ref, as_of=as_of)[0]


def signals(
    parts: Parts, ref: str, *, at: datetime | None = None, as_of: datetime | None = None
) -> list[SignalLife]:
    """The signals that the users of a slice can give, or could give at a time.

    Args:
        ref: the slice; where it names a version or a time, that time is asked of.
        at: those that could be given then, as they were meant then; all where nothing is said.
        as_of: as it was known then; as it is known now where nothing is said.

    Raises:
        NotFoundError: there is no such slice or version.
    """
    found = resolve_slice_at(parts, ref, as_of)
    if at is None and "@" in ref and found.commit is not None:
        at = found.commit.at
    with parts.store.reader(as_of) as conn:
        known = contract_versions(conn, [found.slice.id]).get(found.slice.id, [])
    return lives(known, at)


def lives(versions: Sequence[ContractVersion], at: datetime | None) -> list[SignalLife]:
    """The signals of contracts, the oldest first; at a time where one is asked of."""
    found = taxonomy([(v.contract.version, v.at, v.contract.signals) for v in versions])
    if at is None:
        return list(found)
    return [_meant(life, versions, at) for life in found if life.signal.given_at(at)]


def check_contract(parts: Parts, proposed: Contract | str | Path) -> Checked:
    """What applying a contract would change; nothing is written.

    Raises:
        InvalidError: the contract does not hold together.
        NotFoundError: there is no such slice.
        RefusedError: the contract is not ours to change.
    """
    wanted = contract_of(proposed)
    table = evolvable(own_table(parts, wanted.slice))
    return Checked(
        contract=table.contract, proposed=wanted, changes=changes(table.contract, wanted)
    )


def evolve(parts: Parts, proposed: Contract | str | Path, *, slice_name: str = "") -> Evolved:
    """Give a slice its next contract, where its rows can bear it.

    Args:
        proposed: a `Contract`, the text of one in YAML, or the path of a YAML file.
        slice_name: the slice that is meant, where the contract must not decide it.

    Raises:
        IncompatibleContractError: it breaks something; all breaking points are named.
        ConflictError: it follows another version than the one that is there.
        InvalidError: the contract does not hold together, or is another slice's.
        NotFoundError: there is no such slice.
        RefusedError: the contract is not ours to change.
    """
    wanted = contract_of(proposed)
    if slice_name not in {"", wanted.slice}:
        raise InvalidError(
            f"that is the contract of {wanted.slice}, not of {slice_name}",
            hint=f"name the slice {wanted.slice}, or change the contract",
        )
    table = evolvable(own_table(parts, wanted.slice))
    actor = {"actor": parts.actor.name, "known_by": parts.actor.known_by}
    evolved = evolving.evolve(table, wanted, at=parts.clock(), info=actor)
    register_commits(parts, wanted.slice)
    return evolved


def contract_versions(conn: Any, ids: Sequence[int]) -> dict[int, list[ContractVersion]]:
    """The contracts of slices in order of version, by slice id."""
    return {slice_: _told(records) for slice_, records in contracts_of(conn, ids).items()}


def in_force(versions: Sequence[ContractVersion], version: int) -> ContractVersion | None:
    """Of a slice's contracts, in order, the one that holds at a version of the slice."""
    return next((one for one in reversed(versions) if _had_begun(one, version)), None)


def _had_begun(one: ContractVersion, version: int) -> bool:
    return one.begins is None or one.begins <= max(version, 0)


def _told(records: Sequence[ContractRecord]) -> list[ContractVersion]:
    """The contracts of one slice, in order of version, each with what became different."""
    read = [Contract.from_json(record.body) for record in records]
    differences = [(), *(changes(old, new) for old, new in pairwise(read))]
    return [
        ContractVersion(
            contract=one,
            digest=record.digest,
            begins=record.begins,
            at=record.at or record.recorded_at,
            recorded_at=record.recorded_at,
            changes=different,
        )
        for record, one, different in zip(records, read, differences, strict=True)
    ]


def _meant(life: SignalLife, versions: Sequence[ContractVersion], at: datetime) -> SignalLife:
    """A signal with the meaning that it had at a time, or the first that it was given."""
    meanings = [
        (version.at, signal.meaning)
        for version in versions
        for signal in version.contract.signals
        if signal.name == life.signal.name
    ]
    then = [meaning for since, meaning in meanings if since <= at] or [meanings[0][1]]
    return replace(life, signal=replace(life.signal, meaning=then[-1]))
