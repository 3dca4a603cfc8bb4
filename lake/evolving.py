"""A table's next contract: checked, written, and the table brought under it.

The steps, each of which the next command heals if this one dies behind it:

1. The contract is compared with the one that the table has now; a breaking point refuses it.
2. It is written as the next version, where none may be: of two rivals the second begins anew.
3. The Delta table comes under it, in one commit (`backstory.lake.contract_commit`).

Rows that are there are not touched. Versions before that commit keep their schema; the ones behind
it read the old files with their new columns empty and their narrow values widened.

    evolve(table, contract, at=now, info={"actor": "ada"})
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backstory.lake.contract import Contract
from backstory.lake.contract_change import Change, changes, successor
from backstory.lake.contract_files import propose
from backstory.lake.crash import crashpoint
from backstory.lake.errors import RefusedError, UnavailableError
from backstory.lake.linked import LinkedTable
from backstory.lake.location import is_interactions
from backstory.lake.snapshot import Table
from backstory.lake.table import SliceTable

MAX_CONTRACT_RIVALS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Evolved:
    """What became of a contract that was applied.

    Attributes:
        contract: the table's contract now.
        changes: what changed; nothing where the table had this contract already.
        version: the Delta version from which it holds; None where nothing changed.
    """

    contract: Contract
    changes: tuple[Change, ...]
    version: int | None


def evolvable(table: Table) -> SliceTable:
    """The table, if its contract is ours to change.

    Raises:
        RefusedError: others write it, or Backstory itself says what its columns are.
    """
    if isinstance(table, LinkedTable):
        raise RefusedError(
            f"{table.name} is a linked table: its contract says what others write",
            hint="ask those who write it",
        )
    if is_interactions(table.name):
        raise RefusedError(
            f"{table.name} holds interactions, whose columns are Backstory's own",
            hint="keep what is yours in attributes, or in a slice of its own",
        )
    return table


def evolve(
    table: SliceTable, proposed: Contract, *, at: datetime, info: Mapping[str, Any]
) -> Evolved:
    """Give a table its next contract.

    Args:
        table: the slice.
        proposed: what it shall promise; the order of its columns does not count.
        at: now.
        info: what else to record with the commit, as JSON values.

    Raises:
        IncompatibleContractError: the table cannot bear it.
        ConflictError: it follows another version than the one that is there.
        UnavailableError: disk full, no permission.
    """
    for _ in range(MAX_CONTRACT_RIVALS):
        table.settle(at=at, info=info)
        old = table.contract
        new = successor(old, proposed)  # 1
        if new is old:
            return Evolved(contract=old, changes=(), version=None)
        found = changes(old, new)
        told = {**info, "changes": [str(change) for change in found]}
        if propose(table.folder, new):  # 2
            crashpoint("contract.written")
            version = table.settle(at=at, info=told)  # 3
            return Evolved(contract=new, changes=found, version=version)
    raise UnavailableError(
        f"{table.name}: others changed its contract {MAX_CONTRACT_RIVALS} times meanwhile",
        hint="agree on who changes it, then repeat the command",
    )
