"""Feedback that comes as requests: each lands once, known by its key, several in one commit.

A commit of requests is one batch of the source `http`; its offset is the server's own sequence.
The keys go with the commit, so the lake alone decides what has landed, and registering the commit
maps them in the store. Before each commit the keys are looked up behind everything that the log
held, and the log refuses the commit where another server was faster: then they are looked up again.

Of a key only its digest is kept, and of a body the digest of its rows behind the gate: what a
client put into either is nobody's business.
"""

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate
from typing import Any

from backstory.lake.batch import Batch
from backstory.lake.contract import Contract
from backstory.lake.errors import ConflictError, LimitExceededError, OffsetConflict
from backstory.lake.gate import judge
from backstory.lake.quarantined_rows import QuarantinedRow
from backstory.lake.receipt import Outcome, Receipt
from backstory.lake.sources.rejections import Rejections
from backstory.lake.sources.text import read_json_array, read_jsonl
from backstory.lake.table import SliceTable
from backstory.lineage.catch_up import register_commits
from backstory.lineage.ingest import MAX_OFFSET_ATTEMPTS, own_table, with_actor
from backstory.lineage.matching import match_commits
from backstory.lineage.parts import Parts
from backstory.lineage.store import feedback_requests, slices
from backstory.lineage.store.feedback_requests import HTTP_SOURCE, RequestRecord

MAX_KEY_CHARS = 255
_KEYLESS = "rows"  # what the keys of requests without one begin with, which no client can say


class Form(StrEnum):
    """How the rows of a request are written."""

    ARRAY = "array"
    LINES = "lines"


class KeyReusedError(ConflictError):
    """A key that came with other rows before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackRequest:
    """Rows as the gate judged them, and what they are known by.

    Attributes:
        slice: where they go.
        key: digest of the client's key, or of what stands for it.
        body: digest of the rows.
        batch: the rows, those that do not fit among them.
    """

    slice: str
    key: str
    body: str
    batch: Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a request.

    Attributes:
        receipt: the same each time that the request is sent.
        repeated: whether it had landed before.
        rejected: the rows of the request that do not fit, by their names in quarantine.
    """

    receipt: Receipt
    repeated: bool
    rejected: Mapping[str, QuarantinedRow] = field(default_factory=dict)


def read_request(
    parts: Parts, slice_name: str, body: bytes, form: Form, key: str | None
) -> FeedbackRequest:
    """Take a body through the gate, which lays aside rows that do not fit; nothing is written.

    Args:
        slice_name: where the rows go.
        body: a JSON array of objects, or JSON lines.
        form: which of the two.
        key: the client's idempotency key; without one the rows are their own.

    Raises:
        BatchRejectedError: the body cannot be read, or more rows do not fit than the contract
            allows.
        NotFoundError: there is no such slice.
        LimitExceededError: the key is too long.
    """
    if key is not None and not 0 < len(key) <= MAX_KEY_CHARS:
        raise LimitExceededError(
            f"an idempotency key has 1 to {MAX_KEY_CHARS} characters",
            hint="a UUID is a good one",
        )
    table = own_table(parts, slice_name)
    read = read_json_array if form is Form.ARRAY else _read_lines
    rejections = Rejections(table.contract, strict=False)
    typed = read(body, table.contract, rejections)
    batch = judge(typed, table.contract, parts.key, rejections, at=parts.clock())
    digest = batch.digested()
    known_by = f"key {key}" if key is not None else f"{_KEYLESS} {digest}"
    return FeedbackRequest(
        slice=slice_name,
        key=hashlib.sha256(known_by.encode("utf-8", "surrogateescape")).hexdigest(),
        body=digest,
        batch=batch,
    )


def take_requests(
    parts: Parts, slice_name: str, requests: Sequence[FeedbackRequest]
) -> list[Answer | KeyReusedError]:
    """Commit what is new among requests to one slice, all in one commit; answer each in order.

    Raises:
        UnavailableError: the disk is full, or too many servers write at once; nothing is lost when
            the requests are sent again.
    """
    table = own_table(parts, slice_name)
    for attempt in range(MAX_OFFSET_ATTEMPTS):
        last = table.last_offset(HTTP_SOURCE)
        known = _known(parts, slice_name, requests)
        new = _first_of_each_key(requests, known)
        if not new:
            break
        try:
            receipt = _commit(parts, table, new, max(last, 0) + 1)
        except OffsetConflict:  # another server was faster; perhaps with these very requests
            if attempt + 1 == MAX_OFFSET_ATTEMPTS:
                raise
            continue
        if receipt.outcome is Outcome.ACCEPTED:  # else it was faster with these very rows
            landed = _known(parts, slice_name, new)
            match_commits(parts, slice_name)
            fresh = {request.key for request in new}
            return _answers(slice_name, requests, {**known, **landed}, fresh)
    return _answers(slice_name, requests, known, set())


def _read_lines(body: bytes, contract: Contract, rejections: Rejections) -> Any:
    return read_jsonl(io.BytesIO(body), contract, what="the body", rejections=rejections)


def _known(
    parts: Parts, slice_name: str, requests: Sequence[FeedbackRequest]
) -> dict[str, RequestRecord]:
    """What the lake holds of these keys, now that all its commits are registered."""
    register_commits(parts, slice_name)
    with parts.store.reader() as conn:
        record = slices.slice_by_name(conn, slice_name)
        keys = [request.key for request in requests]
        return feedback_requests.by_key(conn, record.id, keys) if record else {}


def _first_of_each_key(
    requests: Sequence[FeedbackRequest], known: dict[str, RequestRecord]
) -> list[FeedbackRequest]:
    first: dict[str, FeedbackRequest] = {}
    for request in requests:
        if request.key not in known and request.batch.given:
            first.setdefault(request.key, request)
    return list(first.values())


def _commit(
    parts: Parts, table: SliceTable, new: Sequence[FeedbackRequest], sequence: int
) -> Receipt:
    starts = accumulate((r.batch.given for r in new), initial=0)
    keys = [
        {
            "key": r.key,
            "body": r.body,
            "start": start,
            "rows": r.batch.given,
            "rejected": len(r.batch.rejected),
        }
        for start, r in zip(starts, new, strict=False)
    ]
    return table.append(
        Batch.joined([request.batch for request in new]),
        source=HTTP_SOURCE,
        offset=sequence,
        at=parts.clock(),
        info=with_actor(parts, {"requests": keys}),
        new_id=parts.new_id,
    )


def _answers(
    slice_name: str,
    requests: Sequence[FeedbackRequest],
    landed: dict[str, RequestRecord],
    fresh: set[str],
) -> list[Answer | KeyReusedError]:
    answers: list[Answer | KeyReusedError] = []
    for request in requests:
        found = landed.get(request.key)
        if found is not None and found.body != request.body:
            answers.append(
                KeyReusedError(
                    "this idempotency key came with other rows before",
                    hint="a new request needs a new key; a repetition needs the same rows",
                )
            )
            continue
        repeated = found is not None and request.key not in fresh
        fresh.discard(request.key)  # the same key once more in this group is a repetition
        answers.append(
            Answer(
                receipt=_receipt(slice_name, found),
                repeated=repeated,
                rejected=_quarantined(request, found),
            )
        )
    return answers


def _quarantined(
    request: FeedbackRequest, found: RequestRecord | None
) -> dict[str, QuarantinedRow]:
    """The rows of a request that do not fit, by the names that they have in quarantine."""
    rejected = request.batch.rejected
    return {f"{found.version}:{found.start + row.row}": row for row in rejected} if found else {}


def _receipt(slice_name: str, found: RequestRecord | None) -> Receipt:
    """What a request is told, whenever; one without rows has left nothing behind."""
    return Receipt(
        slice=slice_name,
        outcome=Outcome.ACCEPTED if found else Outcome.EMPTY,
        accepted=found.rows - found.rejected - found.duplicate if found else 0,
        duplicate=found.duplicate if found else 0,
        rejected=found.rejected if found else 0,
        version=found.version if found else None,
        contract_version=found.contract_version if found else None,
        source=HTTP_SOURCE,
        offset=found.offset if found else 0,
    )
