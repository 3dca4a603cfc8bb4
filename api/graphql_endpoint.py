"""GraphQL over HTTP: methods, media types and status codes, as its specification wants them.

Both `application/graphql-response+json` and `application/json` are spoken. The first tells a
refused request by its status too; the second answers 200 to every well formed request, because its
clients look into the body only. GET and POST ask the same, since there are queries only.

>>> negotiated("text/html, application/json;q=0.8, application/graphql-response+json;q=0.9")
'application/graphql-response+json'
>>> negotiated("*/*"), negotiated("text/html")
('application/json', None)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from backstory.api.bounds import Bounds
from backstory.api.errors import error_body
from backstory.api.service import Answer, GraphQLService, Outcome, Request

JSON = "application/json"
RESPONSE_JSON = "application/graphql-response+json"
_SPOKEN = {RESPONSE_JSON: RESPONSE_JSON, JSON: JSON, "application/*": JSON, "*/*": JSON}

_STATUS = {Outcome.EXECUTED: 200, Outcome.REFUSED: 400, Outcome.TIMED_OUT: 503}


class _Parameters(msgspec.Struct, rename="camel"):
    """A request's parameters; anything of another type is refused."""

    query: str
    operation_name: str | None = None
    variables: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fault:
    """A request that cannot be understood."""

    status: int
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)


class GraphQLEndpoint:
    """The ASGI application behind `/graphql`.

    Args:
        service: what answers.
        bounds: what one request may cost.
    """

    def __init__(self, service: GraphQLService, bounds: Bounds) -> None:
        self._service = service
        self._bounds = bounds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        request = HttpRequest(scope, receive)
        response = await self._respond(request)
        await response(scope, receive, send)

    async def _respond(self, http: HttpRequest) -> Response:
        media_type = negotiated(http.headers.get("accept"))
        if media_type is None:
            fault = _Fault(status=406, message=f"{RESPONSE_JSON} and {JSON} are spoken here")
            return _rejection(fault, JSON)
        asked = await self._read(http)
        if isinstance(asked, _Fault):
            return _rejection(asked, media_type)
        answer = await self._service.answer(asked)
        if answer.outcome is Outcome.NOT_A_QUERY and http.method == "GET":
            fault = _Fault(status=405, message="GET asks queries only", headers={"allow": "POST"})
            return _rejection(fault, media_type)
        return _response(answer, media_type)

    async def _read(self, http: HttpRequest) -> Request | _Fault:
        """What is asked, from the query string or the body."""
        if http.method == "GET":
            return _from_query_string(http.query_params)
        if http.method != "POST":
            headers = {"allow": "GET, POST"}
            return _Fault(status=405, message="use GET or POST", headers=headers)
        if not _is_json(http.headers.get("content-type", "")):
            return _Fault(status=415, message=f"the content type must be {JSON} in UTF-8")
        body = await self._body(http)
        return body if isinstance(body, _Fault) else _from_body(body)

    async def _body(self, http: HttpRequest) -> bytes | _Fault:
        """The body, never more than its bound in memory."""
        body = bytearray()
        async for chunk in http.stream():
            body += chunk
            if len(body) > self._bounds.body_bytes:
                limit = f"{self._bounds.body_bytes:,} bytes"
                return _Fault(status=413, message=f"the body is larger than {limit}")
        return bytes(body)


def negotiated(accept: str | None) -> str | None:
    """The media type of the answer; None where none of ours is accepted."""
    best: tuple[float, str | None] = (0.0, None)
    for item in (accept or "*/*").split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        weight = _weight(parameters)
        if name in _SPOKEN and weight > best[0]:
            best = (weight, _SPOKEN[name])
    return best[1]


def _weight(parameters: list[str]) -> float:
    """The `q` of an accepted type; 1 where it is missing, 0 where it is nonsense."""
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter.removeprefix("q="))
            except ValueError:
                return 0.0
    return 1.0


def _is_json(content_type: str) -> bool:
    name, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charset = dict(part.partition("=")[::2] for part in parameters).get("charset", "utf-8")
    return name == JSON and charset.strip('"') in {"utf-8", "utf8"}


def _from_query_string(found: QueryParams) -> Request | _Fault:
    parameters: dict[str, Any] = {
        name: found[name] for name in ("query", "operationName") if name in found
    }
    try:
        for name in ("variables", "extensions"):
            if found.get(name):
                parameters[name] = msgspec.json.decode(found[name])
        return _request(msgspec.convert(parameters, _Parameters))
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as exc:
        return _Fault(status=400, message=f"the parameters do not fit: {exc}")


def _from_body(body: bytes) -> Request | _Fault:
    try:
        return _request(msgspec.json.decode(body, type=_Parameters))
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as exc:
        return _Fault(status=400, message=f"the body does not fit: {exc}")


def _request(found: _Parameters) -> Request:
    return Request(
        query=found.query,
        operation_name=found.operation_name or None,
        variables=found.variables or {},
    )


def _response(answer: Answer, media_type: str) -> Response:
    status = _STATUS.get(answer.outcome, 400)
    if media_type == JSON and status == 400:
        status = 200
    headers = {"x-request-id": answer.request_id}
    return _json(answer.body, status, media_type, headers)


def _rejection(fault: _Fault, media_type: str) -> Response:
    body = {"errors": [error_body(fault.message, "BAD_REQUEST")]}
    return _json(body, fault.status, media_type, fault.headers)


def _json(body: Any, status: int, media_type: str, headers: Mapping[str, str]) -> Response:
    content_type = f"{media_type}; charset=utf-8"
    return Response(msgspec.json.encode(body), status, {**headers, "content-type": content_type})
