"""The lake leads, the store follows: register every commit that the store does not know yet.

Idempotent. A crash between a Delta commit and its registration leaves a commit that the next
command registers, with an audit leaf of its own. It is synced before: whoever made it may have been
killed before doing so, and what the store knows must not be gone from the lake after a power cut.
A contract that was written, and that its table has not come under, is carried through.
Costs one look at the log per slice when there is nothing to do. Linked tables are registered the
same way; what others commit is somebody else's act, so their commits carry no actor.
"""

import logging
from collections.abc import Mapping

from backstory.lake.commits import Commit, added_files, log_entry, read_commits
from backstory.lake.contract_files import contract_file, other_contracts
from backstory.lake.delta import drop_torn
from backstory.lake.errors import ConflictError, IntegrityError, NotFoundError
from backstory.lake.linked import LinkedTable
from backstory.lake.snapshot import Table
from backstory.lake.table import SliceTable
from backstory.lake.verify import log_entry_digest
from backstory.lineage.data_files import record_files
from backstory.lineage.graph import EntityKind
from backstory.lineage.matching import match_commits
from backstory.lineage.parts import Parts
from backstory.lineage.store import (
    contracts,
    feedback_requests,
    quarantines,
    slices,
    tables,
    writes,
)
from backstory.lineage.store.unit_of_work import Unit
from backstory.lineage.times import EPOCH

BATCH_COMMITS = 1000

_log = logging.getLogger(__name__)


def catch_up(parts: Parts) -> int:
    """Register what the lake has and the store has not.

    Returns:
        How many commits were registered.
    """
    with parts.store.reader() as conn:
        known = slices.last_versions(conn)
        agreed = contracts.newest_versions(conn)
    return sum([_caught_up(parts, name, known.get(name), agreed) for name in parts.lake.names()])


def _caught_up(
    parts: Parts, name: str, known: tuple[int, int] | None, agreed: Mapping[int, int]
) -> int:
    """Register one table; its damage, or a name that a model took, must not close the home."""
    try:
        folder = parts.lake.folder(name)
        if (
            known
            and not log_entry(folder, known[1] + 1).exists()
            and not contract_file(folder, agreed.get(known[0], 0) + 1).exists()
        ):
            return 0
        registered = register_commits(parts, name)
        match_commits(parts, name)
    except (ConflictError, IntegrityError, NotFoundError) as exc:
        _log.warning("new commits of %s are not registered: %s", name, exc.message)
        return 0
    return registered


def unregistered(parts: Parts) -> dict[str, int]:
    """How many commits of each slice the store does not know yet."""
    with parts.store.reader() as conn:
        known = slices.last_versions(conn)
    waiting = {
        name: len(
            read_commits(parts.lake.folder(name), name=name, after=known.get(name, (0, -1))[1])
        )
        for name in parts.lake.names()
    }
    return {name: count for name, count in waiting.items() if count}


def register_commits(parts: Parts, name: str) -> int:
    """Register the new commits of one slice, and the slice itself when it is new."""
    table = parts.lake.table(name)
    registered = 0
    while True:
        with parts.unit("commits.register", f"slice:{name}") as unit:
            record = slices.slice_by_name(unit.connection, name)
            slice_id = record.id if record else _register_slice(unit, table)
            after = record.last_version if record else -1
            _drop_torn(table, after)
            _register_contracts(parts, unit, slice_id, table)
            batch = read_commits(
                table.folder,
                name=name,
                after=after,
                not_before=record.last_at if record and record.last_at else EPOCH,
                limit=BATCH_COMMITS,
            )
            if isinstance(table, SliceTable):
                table.sync_commits(commit.version for commit in batch)
            for commit in batch:
                _register_commit(unit, slice_id, commit, table)
                _warn_of_foreign(commit, table)
            unit.note(commits=[c.version for c in batch][:: max(1, len(batch) - 1)])
        registered += len(batch)
        if len(batch) < BATCH_COMMITS:
            return registered


def _drop_torn(table: Table, after: int) -> None:
    """Under the writers' lock, which whoever opens a home takes too before he appends."""
    if isinstance(table, SliceTable):
        for version in drop_torn(table.folder, after=after):
            _log.warning("%s: a power cut left version %s torn; removed", table.name, version)


def _warn_of_foreign(commit: Commit, table: Table) -> None:
    if isinstance(table, SliceTable) and commit.contract_version is None:
        _log.warning(
            "%s@%s was committed by another tool (%s), which may have doubled or removed rows: "
            "see `backstory doctor`",
            *(table.name, commit.version, commit.operation),
        )


def _flavour(table: Table) -> str:
    if isinstance(table, LinkedTable):
        return "linked"
    return "interactions" if table.name.startswith(slices.INTERACTIONS_PREFIX) else "managed"


def _register_slice(unit: Unit, table: Table) -> int:
    slice_id = writes.add_entity(unit, EntityKind.SLICE, f"slice:{table.name}", table.name)
    if _flavour(table) != "interactions":
        writes.claim_name(unit, table.name, slice_id)
    writes.insert(
        unit,
        tables.slice_,
        id=slice_id,
        name=table.name,
        flavour=_flavour(table),
        table_id=table.table_id,
        uri=table.uri if isinstance(table, LinkedTable) else None,
    )
    return slice_id


def _register_contracts(parts: Parts, unit: Unit, slice_id: int, table: Table) -> None:
    """Register new contracts, after the table has come under the newest of them."""
    known = slices.contract_digests(unit.connection, slice_id)
    if table.contract.version in known:
        return
    new = [table.contract]
    if isinstance(table, SliceTable):
        actor = {"actor": parts.actor.name, "known_by": parts.actor.known_by}
        table.settle(at=parts.clock(), info=actor)
        new += other_contracts(table.folder, table.contract)
    for contract in new:
        if contract.version not in known:
            writes.insert(
                unit,
                tables.contract,
                slice=slice_id,
                version=contract.version,
                digest=contract.digest,
                body=contract.to_json(),
            )
    unit.note(contracts=sorted(contract.version for contract in new))


def _register_commit(unit: Unit, slice_id: int, commit: Commit, table: Table) -> None:
    writes.insert(
        unit,
        tables.commit,
        slice=slice_id,
        version=commit.version,
        at=commit.at,
        operation=commit.operation,
        source=commit.source,
        offset=commit.offset,
        batch=commit.batch,
        rows=commit.rows,
        contract_version=commit.contract_version,
        actor=commit.info.get("actor"),
        log_digest=log_entry_digest(table.folder, commit.version),
    )
    if not isinstance(table, LinkedTable):
        quarantines.register(unit, slice_id, commit)
    if isinstance(table, SliceTable):
        record_files(unit, slice_id, table, commit.version)
    feedback_requests.record(unit, slice_id, commit)
    if _flavour(table) == "interactions":
        for file in added_files(table.folder, commit.version, "id"):
            writes.insert(
                unit,
                tables.interaction_file,
                slice=slice_id,
                path=file.path,
                version=commit.version,
                min_id=file.low,
                max_id=file.high,
                rows=file.rows,
            )
