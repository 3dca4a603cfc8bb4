"""Feedback over HTTP: each acknowledged row is there once, whatever becomes of the server."""

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

import backstory
from backstory.api import committing, feedback_endpoint
from backstory.lineage import posting
from backstory.lineage.home import Home
from tests.api.server import served

CONTRACT = """
slice: thumbs/en
purpose: improve the ranker
columns:
  event_id: {type: string, role: event_id, nullable: false}
  user: {type: string, role: subject, personal: direct}
  stars: {type: int64}
"""
PATH = "/api/v1/feedback/thumbs/en"
LINES = "application/x-ndjson"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with backstory.init(tmp_path / "home") as opened:
        opened.create_slice(CONTRACT)
        yield opened


@pytest.fixture
def client(home: Home) -> Iterator[httpx.Client]:
    with (
        served(home) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=60) as opened,
    ):
        yield opened


def rows(*ids: str) -> list[dict[str, Any]]:
    return [{"event_id": each, "user": "mary", "stars": 1} for each in ids]


def ids(home: Home) -> list[str]:
    return sorted(home.slice("thumbs/en").at().arrow()["event_id"].to_pylist())


def test_rows_are_there_when_the_answer_comes(home: Home, client: httpx.Client) -> None:
    answer = client.post(PATH, json=rows("a", "b"), headers={"idempotency-key": "1"})
    assert answer.status_code == 200
    assert answer.json() == {
        "slice": "thumbs/en",
        "outcome": "accepted",
        "accepted": 2,
        "duplicate": 0,
        "rejected": 0,
        "version": 1,
        "contractVersion": 1,
        "source": "http",
        "offset": 1,
    }
    assert ids(home) == ["a", "b"]
    again = client.post(PATH, json=rows("a", "b"), headers={"idempotency-key": "1"})
    assert again.json() == answer.json()
    assert (answer.headers.get("idempotent-replayed"), again.headers["idempotent-replayed"]) == (
        None,
        "true",
    )
    other = client.post(PATH, json=rows("c"), headers={"idempotency-key": "1"})
    assert other.status_code == 422
    assert other.json()["errors"][0]["extensions"]["code"] == "CONFLICT"
    assert ids(home) == ["a", "b"]


def test_lines_packed_or_not(home: Home, client: httpx.Client) -> None:
    body = "\n".join(map(json.dumps, rows("a", "b"))).encode()
    headers = {"content-type": LINES, "content-encoding": "gzip"}
    packed = client.post(PATH, content=gzip.compress(body), headers=headers)
    plain = client.post(PATH, content=body, headers={"content-type": f"{LINES}; charset=UTF-8"})
    assert (packed.status_code, plain.status_code) == (200, 200)
    assert plain.headers["idempotent-replayed"] == "true"
    assert ids(home) == ["a", "b"]


GZIP = {"content-type": LINES, "content-encoding": "gzip"}
JSON = {"content-type": "application/json"}
REFUSED: dict[str, tuple[str, bytes, dict[str, str], int, str]] = {
    "no such slice": ("/api/v1/feedback/thumbs", b"[]", JSON, 404, "NOT_FOUND"),
    "no name": ("/api/v1/feedback/../x", b"[]", JSON, 404, "NOT_FOUND"),
    "a bad name": ("/api/v1/feedback/Thumbs En", b"[]", JSON, 422, "BAD_USER_INPUT"),
    "no type": (PATH, b"[]", {}, 415, "BAD_USER_INPUT"),
    "a form": (PATH, b"a=1", {"content-type": "text/plain"}, 415, "BAD_USER_INPUT"),
    "an encoding": (PATH, b"[]", {**JSON, "content-encoding": "br"}, 415, "BAD_USER_INPUT"),
    "not gzip": (PATH, b"[]", GZIP, 422, "BAD_USER_INPUT"),
    "cut gzip": (PATH, gzip.compress(b"{}")[:-4], GZIP, 422, "BAD_USER_INPUT"),
    "more than gzip": (PATH, gzip.compress(b"{}") + b"x", GZIP, 422, "BAD_USER_INPUT"),
    "a bomb": (PATH, gzip.compress(b"\n" * (17 << 20)), GZIP, 413, "BAD_USER_INPUT"),
    "no JSON": (PATH, b"[", JSON, 422, "BAD_USER_INPUT"),
    "an odd field": (PATH, b'[{"event_id": "a", "star": 1}]', JSON, 422, "BAD_USER_INPUT"),
    "an empty key": (PATH, b"[]", {**JSON, "idempotency-key": ""}, 413, "BAD_USER_INPUT"),
}


@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED)
def test_what_is_refused_has_one_shape(
    home: Home, client: httpx.Client, sent: tuple[str, bytes, dict[str, str], int, str]
) -> None:
    path, body, headers, status, code = sent
    refused = client.post(path, content=body, headers=headers)
    assert refused.status_code == status
    [error] = refused.json()["errors"]
    assert error["extensions"]["code"] == code
    assert len(refused.content) < 1000
    assert home.slice("thumbs/en").at().version == 0


def test_faults_are_told_by_row_and_nobody_is_quoted(client: httpx.Client) -> None:
    bad = [{"event_id": "a", "user": 7, "stars": 1}, {"event_id": "b", "stars": "mary"}]
    [error] = client.post(PATH, json=bad).json()["errors"]
    assert error["extensions"]["rejections"] == [
        {"row": 1, "column": "user", "expected": "string", "found": "a number"},
        {"row": 2, "column": "stars", "expected": "int64", "found": "'mary'"},
    ]
    assert error["extensions"]["hint"]


def test_a_row_that_does_not_fit_waits_and_holds_nobody_up(
    home: Home, client: httpx.Client
) -> None:
    sent = [*rows("a", "b"), {"event_id": "c", "user": "mary", "stars": "many"}, *rows("d", "a")]
    first = client.post(PATH, json=sent, headers={"idempotency-key": "1"})
    assert first.status_code == 200
    told = first.json()
    assert [told[name] for name in ("accepted", "duplicate", "rejected")] == [3, 1, 1]
    fault = {"row": 3, "column": "stars", "expected": "int64", "found": "'many'"}
    assert told["rejections"] == [{"quarantined": "1:3", **fault}]
    again = client.post(PATH, json=sent, headers={"idempotency-key": "1"})
    assert again.json() == told
    assert ids(home) == ["a", "b", "d"]
    [waiting] = home.quarantined_rows("thumbs/en")
    assert waiting.key == "1:3"


def test_only_this_machine_posts(client: httpx.Client) -> None:
    for headers in (
        {"host": "evil.example"},
        {"origin": "https://evil.example"},
        {"sec-fetch-site": "cross-site"},
    ):
        assert client.post(PATH, json=[], headers=headers).status_code == 403
    asked = client.get(PATH)
    assert (asked.status_code, asked.headers["allow"]) == (405, "POST")
    assert client.options(PATH).status_code == 405


def test_small_requests_share_commits(
    home: Home, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the first commit is held up, all others come to wait together."""
    waiting = threading.Semaphore(0)
    held = threading.Event()

    def hold(*args: Any) -> Any:
        held.wait(30)
        return posting.take_requests(*args)

    def count(*args: Any) -> Any:
        found = posting.read_request(*args)
        waiting.release()
        return found

    monkeypatch.setattr(committing, "take_requests", hold)
    monkeypatch.setattr(feedback_endpoint, "read_request", count)
    with ThreadPoolExecutor(20) as posts:
        answers = [posts.submit(client.post, PATH, json=rows(f"e{n}")) for n in range(20)]
        for _ in answers:
            assert waiting.acquire(timeout=30)
        held.set()
        assert {answer.result().status_code for answer in answers} == {200}
    assert len(ids(home)) == 20
    assert home.slice("thumbs/en").at().version < 10


@pytest.mark.parametrize("bound", ["MAX_WAITING_REQUESTS", "MAX_WAITING_BYTES"])
def test_what_is_too_much_is_put_off(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(committing, bound, 0)
        refused = client.post(PATH, json=rows("a"))
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert client.post(PATH, json=rows("a")).status_code == 200


def test_a_disk_that_is_full_is_told(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: Any) -> None:
        raise backstory.UnavailableError("no space left", hint="make room")

    with monkeypatch.context() as patched:
        patched.setattr(posting, "_commit", full)
        refused = client.post(PATH, json=rows("a"))
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert client.post(PATH, json=rows("a")).status_code == 200


SERVE = """
import sys, backstory
from backstory.api.app import serve
with backstory.open(sys.argv[1]) as home:
    serve(home, "127.0.0.1", 0, started=lambda url: print(url, flush=True))
"""


class Server:
    """A server as a process, to be killed."""

    def __init__(self, home: Path, crash_at: str | None) -> None:
        env = {**os.environ, **({"BACKSTORY_CRASH_AT": crash_at} if crash_at else {})}
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(home)], stdout=subprocess.PIPE, text=True, env=env
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()

    def end(self, how: signal.Signals | None) -> int:
        if how is not None:
            self.process.send_signal(how)
        code = self.process.wait(120)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@dataclass
class Clients:
    """What good clients do: each sends the same request until it is answered."""

    url: str = ""
    ended: bool = False
    moved: threading.Condition = field(default_factory=threading.Condition)

    def look_at(self, url: str, *, ended: bool = False) -> None:
        """Tell them where the server is now."""
        with self.moved:
            self.url, self.ended = url, ended
            self.moved.notify_all()

    def post(self, number: int) -> str:
        url = ""
        while not self.ended:
            with self.moved:
                while self.url == url and not self.ended:
                    self.moved.wait()
                url = self.url
            if url and self._is_taken(url, number):
                return f"e{number}"
        return ""

    def _is_taken(self, url: str, number: int) -> bool:
        headers = {"idempotency-key": f"key-{number}"}
        body = rows(f"e{number}")
        try:
            answer = httpx.post(
                f"{url}{PATH}", json=body, headers=headers, trust_env=False, timeout=60
            )
        except httpx.HTTPError:
            return False
        return answer.status_code == 200


def test_kill_nine_under_load_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Killed before and after the Delta commit, and before and after it is registered."""
    with backstory.init(tmp_path / "home") as made:
        made.create_slice(CONTRACT)
    clients = Clients()
    with ThreadPoolExecutor(6) as posts:
        answers = [posts.submit(clients.post, number) for number in range(30)]
        try:
            for crash_at in ("commit.before", "commit.after", "unit.after_commit", "file.renamed"):
                server = Server(tmp_path / "home", crash_at)
                clients.look_at(server.url)
                assert server.end(None) == -signal.SIGKILL
            server = Server(tmp_path / "home", None)
            clients.look_at(server.url)
            acknowledged = sorted(answer.result(120) for answer in answers)
            assert server.end(signal.SIGTERM) == 0
        finally:
            clients.look_at("", ended=True)
    with backstory.open(tmp_path / "home") as home:
        assert ids(home) == acknowledged == sorted(f"e{n}" for n in range(30))
        assert home.verify().findings == ()
