"""The application: a home behind GraphQL and feedback, on this machine, or asked in process.

    execute(home, "{ models { name } }")["data"]
    serve(home, "127.0.0.1", 8400)

Both go the same way and within the same bounds; what may be told does not depend on who asks.
"""

import asyncio
import errno
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from backstory.api.bounds import Bounds
from backstory.api.errors import error_body
from backstory.api.feedback_endpoint import PATH as FEEDBACK_PATH
from backstory.api.feedback_endpoint import FeedbackEndpoint
from backstory.api.graphql_endpoint import GraphQLEndpoint
from backstory.api.loopback import LoopbackMiddleware, check_loopback
from backstory.api.service import GraphQLService, Request
from backstory.lake.errors import ConflictError, UnavailableError
from backstory.lineage.forwarding import keep_sending
from backstory.lineage.home import Home

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8400
STOP_SECONDS = 5


def create_app(home: Home, bounds: Bounds | None = None) -> Starlette:
    """The ASGI application of a home; the caller keeps the home open as long as it serves.

    Args:
        home: an open home.
        bounds: what one request may cost.
    """
    bounds = bounds or Bounds()
    service = GraphQLService(home, bounds)
    feedback = FeedbackEndpoint(home)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        feedback.start()
        yield
        service.close()
        await asyncio.to_thread(feedback.close)

    return Starlette(
        routes=[
            Route("/graphql", GraphQLEndpoint(service, bounds)),
            Route(FEEDBACK_PATH, feedback.post, methods=["POST"]),
            Route("/healthz", _healthy),
        ],
        middleware=[Middleware(LoopbackMiddleware)],
        exception_handlers={404: _not_found, 405: _not_allowed, Exception: _failed},
        lifespan=lifespan,
    )


def execute(
    home: Home,
    document: str,
    variables: Mapping[str, Any] | None = None,
    operation: str | None = None,
) -> Mapping[str, Any]:
    """Ask a home in this process, through the same steps and within the same bounds as over HTTP.

    Args:
        home: an open home.
        document: the GraphQL text.
        variables: values of its variables.
        operation: which of its operations, where it has several.

    Returns:
        The response as GraphQL shapes it: `data`, `errors` where there are any, `extensions`.
    """
    request = Request(query=document, operation_name=operation, variables=variables or {})

    async def ask() -> Mapping[str, Any]:
        service = GraphQLService(home, Bounds())
        try:
            return (await service.answer(request)).body
        finally:
            service.close()

    return asyncio.run(ask())


def serve(
    home: Home,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    *,
    started: Callable[[str], None] | None = None,
) -> None:
    """Serve a home until SIGINT or SIGTERM; running answers get `STOP_SECONDS` to end.

    Events that wait in the home's outbox are sent meanwhile.

    Args:
        home: an open home.
        host: an address of this machine alone.
        port: 0 takes a free one.
        started: told the URL as soon as connections are accepted.

    Raises:
        RefusedError: others could reach that address.
        ConflictError: the port is taken.
        UnavailableError: the port is not ours to take.
    """
    with (
        _listening(check_loopback(host), port) as listener,
        _quiet_signals(),
        keep_sending(home),
    ):
        config = uvicorn.Config(
            create_app(home),
            access_log=False,
            lifespan="on",
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=STOP_SECONDS,
            ws="none",
        )
        if started is not None:
            started(_url(listener))
        uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named for asyncio, which sends at once (TCP_NODELAY) only where it sees it:
    # otherwise the body waits 40 ms behind the header.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen()
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                raise ConflictError(
                    f"port {port} on {host} is taken", hint="choose another with --port, or 0"
                ) from exc
            raise UnavailableError(
                f"cannot listen on port {port} of {host}: {exc.strerror}",
                hint="choose another port with --port",
            ) from exc
        yield listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def _quiet_signals() -> Iterator[None]:
    """Once it has stopped, uvicorn raises the signal again: by then there is nothing to stop."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, _do_nothing)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    return


async def _healthy(_request: HttpRequest) -> Response:
    return _json({"status": "ok"}, 200)


async def _not_found(_request: HttpRequest, _error: Exception) -> Response:
    message = (
        "there is nothing here; GraphQL is at /graphql, feedback goes to /api/v1/feedback/SLICE"
    )
    return _json({"errors": [error_body(message, "NOT_FOUND")]}, 404)


async def _not_allowed(_request: HttpRequest, error: Exception) -> Response:
    response = _json({"errors": [error_body("feedback is sent by POST", "BAD_REQUEST")]}, 405)
    response.headers.update(getattr(error, "headers", None) or {})
    return response


async def _failed(_request: HttpRequest, _error: Exception) -> Response:
    # Starlette raises it again behind the answer, so that the server logs it.
    return _json({"errors": [error_body("this is a fault of the server", "INTERNAL")]}, 500)


def _json(body: Mapping[str, Any], status: int) -> Response:
    return Response(msgspec.json.encode(body), status, {"content-type": "application/json"})
