"""How a Delta table comes under its next contract: by one commit, whoever makes it.

Keeps true: schema, settings and the number of the contract change together or not at all. The
commit is a log entry of our own, put where none may be (delta-rs can add a column, but not widen
one, and not change a setting with it), so nothing lies between what it looked at and itself. It
carries the fence of every change that is no append. An append that was decided on the old schema is
refused by Delta and decides again; it loses nothing, for its rows are rows of the new schema too.

It is idempotent: of several who bring a table under the same contract one makes the commit.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from deltalake import DeltaTable, Schema

from backstory.lake.commits import COMMIT_KEY, log_entry, stamp
from backstory.lake.contract import Contract
from backstory.lake.contract_files import contract_versions, put_first
from backstory.lake.delta import settings_of
from backstory.lake.errors import UnavailableError
from backstory.lake.versions import open_delta

OPERATION = "CHANGE CONTRACT"
CONTRACT_TRANSACTION = "lake.contract"
FENCE = "lake.mutate"
MAX_CONTRACT_RACES = 1_000  # each lost to a commit of somebody else


def contract_version_of(delta: DeltaTable, folder: Path) -> int:
    """The version of the contract that an open table is under; the first where none followed."""
    version = delta.transaction_version(CONTRACT_TRANSACTION)
    return next(iter(contract_versions(folder)), 1) if version is None else int(version)


def bring_under(
    folder: Path, contract: Contract, *, at: datetime, info: Mapping[str, Any]
) -> int | None:
    """Bring a table under a contract that lies in its folder.

    Args:
        folder: the table's folder.
        contract: its newest contract.
        at: the time of the commit.
        info: what else to record with it.

    Returns:
        The Delta version that did; None where the table was under it already.

    Raises:
        UnavailableError: the disk is full, or others commit without end.
    """
    for _ in range(MAX_CONTRACT_RACES):
        delta = open_delta(folder, name=contract.slice)
        if contract_version_of(delta, folder) >= contract.version:
            return None
        version = delta.version() + 1
        lines = [json.dumps(a, separators=(",", ":")) for a in _actions(delta, contract, at, info)]
        if put_first(folder, log_entry(folder, version), "\n".join([*lines, ""]).encode()):
            return version
    raise UnavailableError(
        f"{contract.slice}: others committed {MAX_CONTRACT_RACES} times meanwhile",
        hint="repeat the command; the contract is decided, and the next writer goes on with it",
    )


def _actions(
    delta: DeltaTable, contract: Contract, at: datetime, info: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    about = {"contract_version": contract.version, "contract": contract.digest}
    yield {
        "commitInfo": {
            "timestamp": int(at.timestamp() * 1000),
            "operation": OPERATION,
            "operationParameters": {"version": str(contract.version)},
            COMMIT_KEY: {**info, **stamp(at), **about},
        }
    }
    schema = Schema.from_arrow(contract.stored_schema).to_json()
    about_table = delta.metadata()
    settings = {**about_table.configuration, **settings_of(contract)}
    same_schema = json.loads(schema) == json.loads(delta.schema().to_json())
    # Without the action, appends that race with new words only need not decide again.
    if not same_schema or settings != about_table.configuration:
        yield {
            "metaData": {
                "id": str(about_table.id),
                "name": about_table.name,
                "description": about_table.description,
                "format": {"provider": "parquet", "options": {}},
                "schemaString": schema,
                "partitionColumns": about_table.partition_columns,
                "createdTime": about_table.created_time,
                "configuration": settings,
            }
        }
    fence = delta.transaction_version(FENCE)
    yield {"txn": {"appId": FENCE, "version": 1 if fence is None else fence + 1}}
    yield {"txn": {"appId": CONTRACT_TRANSACTION, "version": contract.version}}
