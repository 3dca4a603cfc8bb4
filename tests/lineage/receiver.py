"""A real HTTP server that takes OpenLineage events, or answers as it is told."""

import gzip
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TRICKLE_SECONDS = 0.01


class Receiver(ThreadingHTTPServer):
    """Keeps each event it takes; answers the next requests with `answers`, then with 201.

    While `held` is not set, its answers trickle: a byte at a time, and never an end.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.events: list[dict[str, Any]] = []
        self.requests: list[tuple[str, Mapping[str, str]]] = []
        self.answers: list[int] = []
        self.asked = threading.Event()
        self.held: threading.Event | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def kinds(self) -> list[str]:
        return [event["eventType"] for event in self.events]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        with suppress(OSError):  # whoever asked has gone
            self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.requests.append((self.path, dict(self.headers)))
        self.server.asked.set()
        if self.server.held is not None:
            self._trickle(self.server.held)
        answer = self.server.answers.pop(0) if self.server.answers else 201
        if answer == 201:
            self.server.events.append(json.loads(body))
        self.send_response(answer)
        if answer == 302:
            self.send_header("Location", "/login")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _trickle(self, held: threading.Event) -> None:
        self.wfile.write(b"HTTP/1.1 100 Continue\r\nX-Slow: ")
        while not held.wait(TRICKLE_SECONDS):
            self.wfile.write(b".")
        self.wfile.write(b"\r\n\r\n")

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def receiving() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
