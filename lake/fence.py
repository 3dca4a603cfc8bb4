"""Every change of a table that is not an append passes one fence: of two rivals one is refused.

Keeps true: what a change was decided on is what it is committed on. A handle is opened, its number
of the fence is read, and the commit carries the next one as an application transaction: whoever
changed the table in between has taken that number. Appends merge in. delta-rs fences none of this
by itself: two of its compactions at once double rows.

    fenced = open_fenced(table)
    version = commit_fenced(fenced, actions, Change(operation="COMPACT", attempt=new_id(), at=now))
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, RemoveAction

from backstory.lake.attempt import MAX_REBASES
from backstory.lake.checkpoints import add_checkpoint
from backstory.lake.commits import COMMIT_KEY, latest_version, read_commit, stamp
from backstory.lake.contract_commit import FENCE, contract_version_of
from backstory.lake.contract_files import read_contract
from backstory.lake.crash import crashpoint
from backstory.lake.delta import CHECKPOINT_INTERVAL, check_settings, not_now, sync_log
from backstory.lake.errors import BackstoryError, ConflictError
from backstory.lake.messages import cause_of
from backstory.lake.table import SliceTable
from backstory.lake.versions import open_delta
from backstory.lake.writers import writing

_HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fenced:
    """A table as it was when a change of it was decided.

    Attributes:
        table: the table.
        delta: the handle that the change is committed on, and no other.
        number: of the change.
    """

    table: SliceTable
    delta: DeltaTable
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a change says about itself.

    Attributes:
        operation: what is done, in one word.
        attempt: UUIDv7 text.
        at: the time of the commit.
        info: what else to record.
    """

    operation: str
    attempt: str
    at: datetime
    info: Mapping[str, Any] = field(default_factory=dict)


def open_fenced(table: SliceTable) -> Fenced:
    """Open a table to change it.

    Raises:
        NotFoundError: there is no log, or not all of it.
        IntegrityError: a file of the log is damaged, or a setting is not ours any more.
    """
    delta = open_delta(table.folder, name=table.name)
    under = contract_version_of(delta, table.folder)
    check_settings(delta, read_contract(table.folder, table.name, under))
    last = delta.transaction_version(FENCE)
    return Fenced(table=table, delta=delta, number=1 if last is None else last + 1)


def commit_fenced(
    fenced: Fenced, actions: Sequence[AddAction | RemoveAction], change: Change
) -> int:
    """Commit a change, unless another one came first.

    Returns:
        Its version, which survives a power cut.

    Raises:
        ConflictError: another change came first; decide anew.
        UnavailableError: disk full, no permission.
    """
    table = fenced.table
    crashpoint("fence.before")
    try:
        with writing(table.folder):
            fenced.delta.create_write_transaction(
                list(actions),
                "append",
                fenced.delta.schema(),
                commit_properties=_properties(fenced, change),
                post_commithook_properties=_HOOKS,
            )
    except (DeltaError, OSError) as exc:
        version = _found(fenced, change)  # what failed may have been the answer alone
        if version is None:
            what = f"changing {table.name} ({change.operation})"
            if isinstance(exc, CommitFailedError):
                raise ConflictError(
                    f"{what}: another change came first", hint="nothing was changed; try again"
                ) from exc
            raise not_now(exc, what) from cause_of(exc)
    else:
        version = _found(fenced, change)
    crashpoint("fence.after")
    if version is None:
        raise ConflictError(f"{table.name}: its log does not show a commit that was just made")
    sync_log(table.folder, version)
    _checkpointed(table, version)
    return version


def _properties(fenced: Fenced, change: Change) -> CommitProperties:
    about = {
        **change.info,
        **stamp(change.at),
        "operation": change.operation,
        "attempt": change.attempt,
        "contract_version": fenced.table.contract.version,
    }
    return CommitProperties(
        custom_metadata={COMMIT_KEY: about},
        max_commit_retries=MAX_REBASES,
        app_transactions=[Transaction(FENCE, fenced.number)],
    )


def _found(fenced: Fenced, change: Change) -> int | None:
    """The version of a change, by what the log says of the versions since."""
    folder, since = fenced.table.folder, fenced.delta.version()
    for version in range(latest_version(folder, after=since), since, -1):
        if read_commit(folder, version).attempt == change.attempt:
            return version
    return None


def _checkpointed(table: SliceTable, version: int) -> None:
    """Shorten what the next handle reads, where no append will; the commit stands without it."""
    if (version + 1) % CHECKPOINT_INTERVAL == 0:
        try:
            add_checkpoint(table.folder, version, name=table.name)
        except BackstoryError:
            return
