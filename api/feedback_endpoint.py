"""`POST /api/v1/feedback/SLICE`: rows in, a receipt out once they are committed.

The body is a JSON array of objects (`application/json`) or JSON lines (`application/x-ndjson`),
packed with gzip or not. With an `Idempotency-Key` the same request may be sent as often as need be;
without one the rows are their own key. Both types make a browser ask first, and nobody is allowed.

    200  stored; `idempotent-replayed: true` where it had been before; rows that do not fit are in
         quarantine, named by `rejections`
    403  not from this machine, or not a slice that takes feedback
    404  no such slice (410 where it is gone)
    405  another method than POST
    409  another writer was faster, all the time
    413  beyond a bound
    415  another type or encoding
    422  a body that cannot be read, too many rows that do not fit, a key that came with other rows
    429  too much waits already; see `retry-after`
    503  disk full, locked or ending; see `retry-after`
"""

import asyncio
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from backstory.api.committing import RETRY_AFTER_SECONDS, Committer, OverloadedError, Room
from backstory.api.errors import CODES, error_body
from backstory.lake.errors import (
    BackstoryError,
    BatchRejectedError,
    ConflictError,
    GoneError,
    InvalidError,
    LimitExceededError,
    NotFoundError,
    RefusedError,
    Rejection,
    UnavailableError,
)
from backstory.lineage.home import Home
from backstory.lineage.posting import Answer, Form, KeyReusedError, read_request

PATH = "/api/v1/feedback/{slice:path}"
MAX_BODY_BYTES = 16 << 20
MAX_TOLD_REJECTIONS = 20
READERS = 4

_FORMS = {"application/json": Form.ARRAY, "application/x-ndjson": Form.LINES}
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
# The first class that fits tells the status.
_STATUS: tuple[tuple[type[BackstoryError], int], ...] = (
    (LimitExceededError, 413),
    (InvalidError, 422),
    (KeyReusedError, 422),
    (GoneError, 410),
    (NotFoundError, 404),
    (ConflictError, 409),
    (RefusedError, 403),
    (OverloadedError, 429),
    (UnavailableError, 503),
)


class UnsupportedError(InvalidError):
    """A type or an encoding that is not taken."""


class FeedbackEndpoint:
    """Answers the posts of feedback of one home.

    Args:
        home: an open home.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._committer = Committer(home)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="backstory-feedback")

    def start(self) -> None:
        """Begin to take feedback in."""
        self._committer.start()

    def close(self) -> None:
        """Commit what was taken in, and end."""
        self._committer.close()
        self._readers.shutdown()

    async def post(self, http: HttpRequest) -> Response:
        """Answer one request."""
        try:
            with self._committer.room() as room:
                answer = await self._take(http, room)
        except BackstoryError as exc:
            return _refusal(exc)
        headers = {"idempotent-replayed": "true"} if answer.repeated else {}
        return _json(_told(answer), 200, headers)

    async def _take(self, http: HttpRequest, room: Room) -> Answer:
        form, packed = _form(http), _is_packed(http)
        body = await _body(http, room, packed=packed)
        key = http.headers.get("idempotency-key")
        loop = asyncio.get_running_loop()
        request = await loop.run_in_executor(
            self._readers,
            read_request,
            self._home,
            http.path_params["slice"],
            body,
            form,
            key,
        )
        return await asyncio.wrap_future(self._committer.submit(request))


def _form(http: HttpRequest) -> Form:
    name, *parameters = (
        part.strip().lower() for part in http.headers.get("content-type", "").split(";")
    )
    charset = dict(part.partition("=")[::2] for part in parameters).get("charset", "utf-8")
    form = _FORMS.get(name)
    if form is None or charset.strip('"') not in {"utf-8", "utf8"}:
        raise UnsupportedError(
            "rows are taken as application/json or application/x-ndjson, in UTF-8",
            hint="say which of them the body is in the header content-type",
        )
    return form


def _is_packed(http: HttpRequest) -> bool:
    encoding = http.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"gzip", "identity"}:
        raise UnsupportedError(
            "a body is packed with gzip or not at all", hint="send it so, or plain"
        )
    return encoding == "gzip"


async def _body(http: HttpRequest, room: Room, *, packed: bool) -> bytes:
    """The body, unpacked; never more than its bound in memory."""
    unpacker = zlib.decompressobj(_GZIP_WINDOW) if packed else None
    body = bytearray()
    async for chunk in http.stream():
        found = (
            chunk if unpacker is None else _unpacked(unpacker, chunk, MAX_BODY_BYTES - len(body))
        )
        room.grow(len(found))
        body += found
        if len(body) > MAX_BODY_BYTES:
            raise LimitExceededError(
                f"the body is larger than {MAX_BODY_BYTES:,} bytes", hint="send it in parts"
            )
    if unpacker is not None and not unpacker.eof:
        raise _damaged()
    return bytes(body)


def _unpacked(unpacker: Any, chunk: bytes, left: int) -> bytes:
    """What a chunk unpacks to, at most one byte more than is left."""
    try:
        found: bytes = unpacker.decompress(chunk, left + 1)
    except zlib.error as exc:
        raise _damaged() from exc
    if unpacker.unused_data:
        raise _damaged()
    return found


def _damaged() -> InvalidError:
    return InvalidError(
        "the body is not gzip, or it is cut short; nothing was written", hint="send it again"
    )


def _told(answer: Answer) -> dict[str, Any]:
    receipt = answer.receipt
    faults = [(name, fault) for name, row in answer.rejected.items() for fault in row.faults]
    rejections = [
        {"quarantined": name, **_fault(fault)} for name, fault in faults[:MAX_TOLD_REJECTIONS]
    ]
    return {
        "slice": receipt.slice,
        "outcome": str(receipt.outcome),
        "accepted": receipt.accepted,
        "duplicate": receipt.duplicate,
        "rejected": receipt.rejected,
        "version": receipt.version,
        "contractVersion": receipt.contract_version,
        "source": receipt.source,
        "offset": receipt.offset,
        **({"rejections": rejections} if rejections else {}),
    }


def _refusal(exc: BackstoryError) -> Response:
    if isinstance(exc, UnsupportedError):
        status = 415
    else:
        status = next((status for kind, status in _STATUS if isinstance(exc, kind)), 500)
    code = next(code for kind, code in CODES if isinstance(exc, kind))
    more: dict[str, Any] = {"hint": exc.hint} if exc.hint else {}
    if isinstance(exc, BatchRejectedError):
        more["rejections"] = [_fault(fault) for fault in exc.rejections[:MAX_TOLD_REJECTIONS]]
    headers = {"retry-after": str(RETRY_AFTER_SECONDS)} if status in {429, 503} else {}
    return _json({"errors": [error_body(exc.message, code, **more)]}, status, headers)


def _fault(fault: Rejection) -> dict[str, Any]:
    return {
        "row": fault.row,
        "column": fault.column,
        "expected": fault.expected,
        "found": fault.found,
    }


def _json(body: Mapping[str, Any], status: int, headers: Mapping[str, str]) -> Response:
    return Response(
        msgspec.json.encode(body), status, {**headers, "content-type": "application/json"}
    )
