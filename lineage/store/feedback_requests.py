"""Which requests of feedback have landed, and in which commit."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from backstory.lake.commits import Commit
from backstory.lineage.store import tables as t
from backstory.lineage.store.unit_of_work import Unit
from backstory.lineage.store.writes import insert

HTTP_SOURCE = "http"


class RequestRecord(NamedTuple):
    """A request that has landed.

    Attributes:
        key: digest of its key.
        body: digest of its rows.
        start: how many rows its commit was given before them.
        rows: how many.
        rejected: how many of them are in quarantine.
        duplicate: how many are not stored, as their event came before.
        version: the commit.
        contract_version: the contract that they passed.
        offset: the server's sequence.
    """

    key: str
    body: str
    start: int
    rows: int
    rejected: int
    duplicate: int
    version: int
    contract_version: int
    offset: int


_LANDED = select(
    t.feedback_request.c.key,
    t.feedback_request.c.body,
    t.feedback_request.c.start,
    t.feedback_request.c.rows,
    t.feedback_request.c.rejected,
    t.feedback_request.c.duplicate,
    t.feedback_request.c.version,
    t.commit.c.contract_version,
    t.commit.c.offset,
).join(
    t.commit,
    (t.commit.c.slice == t.feedback_request.c.slice)
    & (t.commit.c.version == t.feedback_request.c.version),
)


def by_key(conn: Connection, slice_id: int, keys: Sequence[str]) -> dict[str, RequestRecord]:
    """The requests to a slice that have landed, by the digests of their keys."""
    landed = _LANDED.where(
        t.feedback_request.c.slice == slice_id, t.feedback_request.c.key.in_(keys)
    )
    return {row.key: RequestRecord(*row) for row in conn.execute(landed)}


def record(unit: Unit, slice_id: int, commit: Commit) -> None:
    """Write down which requests a commit holds."""
    if commit.source != HTTP_SOURCE:
        return
    landed: Sequence[Mapping[str, Any]] = commit.info.get("requests", ())
    duplicates = commit.gate.get("duplicates") or [0] * len(landed)
    for request, duplicate in zip(landed, duplicates, strict=True):
        insert(
            unit,
            t.feedback_request,
            slice=slice_id,
            key=request["key"],
            version=commit.version,
            body=request["body"],
            start=request["start"],
            rows=request["rows"],
            rejected=request["rejected"],
            duplicate=duplicate,
        )
