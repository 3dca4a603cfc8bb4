"""What keeps a server without tokens to its own machine.

A web page of somebody else, open in a browser on this machine, must get nothing: not by a name that
it rebinds to 127.0.0.1 (`Host`), not by asking across origins (`Origin`, `Sec-Fetch-Site`). A form
cannot post, because the body has to be JSON, and no answer allows another origin to read it.

>>> is_local_name("localhost:8400"), is_local_name("[::1]"), is_local_name("evil.example")
(True, True, False)
"""

from urllib.parse import urlsplit

import msgspec
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backstory.api.errors import error_body
from backstory.lake.errors import RefusedError

LOCAL_NAMES = frozenset({"127.0.0.1", "::1", "localhost"})
SECURITY_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def check_loopback(host: str) -> str:
    """The address to listen on.

    Raises:
        RefusedError: it is not of this machine alone.
    """
    if host not in LOCAL_NAMES:
        raise RefusedError(
            f"will not listen on {host}: anybody who reaches it could read this home",
            hint="listen on 127.0.0.1, and reach it from elsewhere through an SSH tunnel",
        )
    return "127.0.0.1" if host == "localhost" else host


def is_local_name(netloc: str) -> bool:
    """Whether a `Host` header names this machine, with whatever port."""
    try:
        return urlsplit(f"//{netloc}").hostname in LOCAL_NAMES
    except ValueError:
        return False


class LoopbackMiddleware:
    """Lets through what this machine asks of itself, and marks every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        refused = _refusal(Headers(scope=scope))
        await (refused or self._app)(scope, receive, marked)


def _refusal(headers: Headers) -> Response | None:
    if not is_local_name(headers.get("host", "")):
        return _forbidden("this server answers to 127.0.0.1 and localhost only")
    origin = headers.get("origin")
    if origin is not None and not _is_local_origin(origin):
        return _forbidden("pages of other origins are not answered")
    if headers.get("sec-fetch-site") == "cross-site":
        return _forbidden("pages of other sites are not answered")
    return None


def _is_local_origin(origin: str) -> bool:
    scheme, separator, netloc = origin.partition("://")
    return bool(separator) and scheme in {"http", "https"} and is_local_name(netloc)


def _forbidden(message: str) -> Response:
    body = {"errors": [error_body(message, "FORBIDDEN")]}
    return Response(msgspec.json.encode(body), 403, {"content-type": "application/json"})
