"""Feedback in: source → gate → exactly-once append → catch-up registers the commit → receipt.

An offset says where a batch ends in its source. Who has offsets (a log, a queue, a cursor) gives
them; for the others Backstory counts rows: the same rows from the same source are then recognised
by their digest and stored once, and no rows at all are nothing to commit.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backstory.lake.batch import Batch
from backstory.lake.contract import Contract
from backstory.lake.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    OffsetConflict,
)
from backstory.lake.gate import judge, type_rows
from backstory.lake.linked import LinkedTable
from backstory.lake.location import check_name
from backstory.lake.receipt import Outcome, Receipt
from backstory.lake.sources.batches import TypedPart
from backstory.lake.sources.rejections import Rejections
from backstory.lake.table import SliceTable
from backstory.lineage.catch_up import register_commits
from backstory.lineage.contract_input import contract_of
from backstory.lineage.graph import EntityKind
from backstory.lineage.matching import match_commits
from backstory.lineage.parts import Parts
from backstory.lineage.resolving import lost_table
from backstory.lineage.store import names, slices

MAX_OFFSET_ATTEMPTS = 50


def create_slice(parts: Parts, contract: Contract | str | Path) -> SliceTable:
    """Make a slice from a contract.

    Args:
        contract: a `Contract`, the text of one in YAML, or the path of a YAML file.

    Raises:
        InvalidError: the contract does not hold together.
        ConflictError: the name is taken.
    """
    agreed = contract_of(contract)
    _check_free(parts, agreed.slice)
    table = parts.lake.create(agreed, at=parts.clock(), table_id=parts.new_id())
    register_commits(parts, agreed.slice)
    return table


def ensure_slice(parts: Parts, name: str, contract: str | Path) -> None:
    """Make a slice from its contract where there is none of that name.

    Raises:
        InvalidError: the contract does not hold together, or is another slice's.
    """
    if name in parts.lake.names():
        return
    agreed = contract_of(contract)
    if agreed.slice != name:
        raise InvalidError(
            f"that is the contract of {agreed.slice}, not of {name}",
            hint=f"name the slice {agreed.slice}, or change the contract",
        )
    try:
        create_slice(parts, agreed)
    except ConflictError:
        if name not in parts.lake.names():
            raise


def link_slice(parts: Parts, name: str, uri: str) -> LinkedTable:
    """Read a table that others write as a slice; its contract is inferred.

    Raises:
        ConflictError: the name is taken by a model, a slice, or a link to elsewhere.
        NotFoundError: there is no Delta table.
    """
    _check_free(parts, name, but=EntityKind.SLICE)
    table = parts.lake.link(name, uri, at=parts.clock())
    register_commits(parts, name)
    return table


def append(
    parts: Parts,
    slice_name: str,
    rows: Any,
    *,
    source: str = "sdk",
    offset: int | None = None,
    info: Mapping[str, Any] | None = None,
    strict: bool = False,
) -> Receipt:
    """Append rows to a slice, exactly once; those that do not fit go to its quarantine.

    Args:
        rows: an Arrow table, a pandas data frame or a list of dicts.
        source: who sends them.
        offset: end position of this batch in its source; counted in rows where none is given.
        info: further JSON values to keep with the commit.
        strict: whether one row that does not fit refuses all.

    Raises:
        BatchRejectedError: a row does not fit and refuses the batch, or more rows do not fit than
            the contract allows; nothing was written.
        OffsetConflict: the offset holds other rows, or lies behind the source's last one.
    """
    table = own_table(parts, slice_name)
    rejections = Rejections(table.contract, strict=strict)
    typed = type_rows(rows, table.contract, rejections)
    part = TypedPart(rows=typed, rejections=rejections)
    return store(parts, table, part, source=source, offset=offset, info=info or {})


def own_table(parts: Parts, name: str) -> SliceTable:
    """The table of a slice that we write.

    Raises:
        NotFoundError: there is no such slice.
        GoneError: the lake no longer has it.
        InvalidError: the table is somebody else's.
    """
    try:
        table = parts.lake.table(name)
    except NotFoundError as exc:
        with parts.store.reader() as conn:
            taken = names.named(conn, name)
        if taken is None:
            raise
        if taken[0] == EntityKind.SLICE:
            raise lost_table(name) from exc
        raise InvalidError(
            f"{name!r} is a {taken[0]}, not a slice", hint="see `backstory slices`"
        ) from exc
    if not isinstance(table, SliceTable):
        raise InvalidError(
            f"{name} is linked: others write it at {table.uri}",
            hint="append to it with the tool that writes it",
        )
    return table


def _check_free(parts: Parts, name: str, *, but: str = "") -> None:
    """Refuse a name that is taken before anything is laid under it in the lake."""
    check_name(name)
    with parts.store.reader() as conn:
        taken = names.named(conn, name)
    if taken and taken[0] != but:
        raise ConflictError(
            f"the name {name!r} is taken by a {taken[0]}",
            hint="slices and models share one namespace; choose another name",
        )


def store(
    parts: Parts,
    table: SliceTable,
    part: TypedPart,
    *,
    source: str,
    offset: int | None,
    info: Mapping[str, Any],
) -> Receipt:
    """Ask of typed rows what their contract expects, and append them, exactly once.

    Args:
        part: the rows, and the faults of those that have no types.
        source: who sends them.
        offset: end position in the source; counted in rows where none is given.
        info: further JSON values to keep with the commit.
    """
    batch = judge(part.rows, table.contract, parts.key, part.rejections, at=parts.clock())
    if offset is None and not batch.given:
        return _nothing(parts, table, source)
    receipt = _append(parts, table, batch, source=source, offset=offset, info=info)
    register_commits(parts, table.name)
    match_commits(parts, table.name)
    return receipt


def _append(
    parts: Parts,
    table: SliceTable,
    batch: Batch,
    *,
    source: str,
    offset: int | None,
    info: Mapping[str, Any],
) -> Receipt:
    """Append with the given offset, or with the next one of the source."""
    digests = () if offset is not None else table.digests(batch)
    for attempt in range(MAX_OFFSET_ATTEMPTS):
        at = (
            offset
            if offset is not None
            else _next_offset(parts, table, source, digests, batch.given)
        )
        try:
            return table.append(
                batch,
                source=source,
                offset=at,
                at=parts.clock(),
                info=with_actor(parts, info),
                new_id=parts.new_id,
            )
        except OffsetConflict:
            # Somebody else of the same source was faster: the next offset is another one now.
            if offset is not None or attempt + 1 == MAX_OFFSET_ATTEMPTS:
                raise
    raise AssertionError("unreachable")  # pragma: no cover


def with_actor(parts: Parts, info: Mapping[str, Any]) -> dict[str, Any]:
    """What is recorded with a commit, who made it among it."""
    return {**info, "actor": parts.actor.name, "known_by": parts.actor.known_by}


def _nothing(parts: Parts, table: SliceTable, source: str) -> Receipt:
    """The receipt of no rows, which leave the source where it is."""
    register_commits(parts, table.name)
    with parts.store.reader() as conn:
        record = slices.slice_by_name(conn, table.name)
        return Receipt(
            slice=table.name,
            outcome=Outcome.EMPTY,
            accepted=0,
            duplicate=0,
            rejected=0,
            version=None,
            contract_version=None,
            source=source,
            offset=slices.last_offset(conn, record.id, source) if record else 0,
        )


def _next_offset(
    parts: Parts, table: SliceTable, source: str, digests: Sequence[str], rows: int
) -> int:
    register_commits(parts, table.name)
    with parts.store.reader() as conn:
        record = slices.slice_by_name(conn, table.name)
        if record is None:
            return rows
        for digest in digests:
            if known := slices.commit_of_batch(conn, record.id, source, digest):
                return known.offset or 0
        return slices.last_offset(conn, record.id, source) + rows
