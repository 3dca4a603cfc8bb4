"""Which requests of feedback have landed, and in which commit."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from backstory.lineage.store import tables as t
from backstory.lineage.store.unit_of_work import Unit
from backstory.lineage.store.writes import insert


class RequestRecord(NamedTuple):
    """A request that has landed.

    Attributes:
        key: digest of its key.
        body: digest of its rows.
        rows: how many.
        version: the commit.
        contract_version: the contract that they passed.
        offset: the server's sequence.
    """

    key: str
    body: str
    rows: int
    version: int
    contract_version: int
    offset: int


_LANDED = select(
    t.feedback_request.c.key,
    t.feedback_request.c.body,
    t.feedback_request.c.rows,
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


def record(unit: Unit, slice_id: int, version: int, landed: Sequence[Mapping[str, Any]]) -> None:
    """Write down which requests a commit holds."""
    for request in landed:
        insert(
            unit,
            t.feedback_request,
            slice=slice_id,
            key=request["key"],
            version=version,
            body=request["body"],
            rows=request["rows"],
        )
