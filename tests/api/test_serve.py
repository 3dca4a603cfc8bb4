"""`serve` as a process: it says where, answers, and ends well when it is told to."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from backstory.lineage.home import init, open_home
from tests.lineage.receiver import receiving
from tests.lineage.test_forwarding import make_home, train

SERVE = """
import sys
from backstory.api.app import serve
from backstory.lineage.home import open_home
with open_home(sys.argv[1]) as home:
    serve(home, sys.argv[2], 0, started=lambda url: print(url, flush=True))
print("closed")
"""


def fastest(url: str) -> float:
    """Seconds of the fastest of some answers; 0.04 where the body waits behind the header."""
    with httpx.Client(base_url=url, trust_env=False) as client:
        return min(client.get("/healthz").elapsed.total_seconds() for _ in range(10))


@pytest.mark.parametrize(
    ("host", "ending"), [("127.0.0.1", signal.SIGINT), ("localhost", signal.SIGTERM)]
)
def test_it_stops_gracefully(tmp_path: Path, host: str, ending: signal.Signals) -> None:
    init(tmp_path / "home").close()
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, str(tmp_path / "home"), host],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        response = httpx.post(
            f"{url}/graphql", json={"query": "{ models { key } }"}, trust_env=False
        )
        assert response.json()["data"] == {"models": []}
        assert "server" not in response.headers
        assert fastest(url) < 0.03
        process.send_signal(ending)
        assert process.wait(30) == 0
        assert process.stdout.read() == "closed\n"
        assert process.stderr.read() == ""


@pytest.mark.parametrize("trickles", [False, True])
def test_it_sends_what_waits_and_ends_although_a_receiver_does_not_answer(
    tmp_path: Path,
    trickles: bool,  # noqa: FBT001
) -> None:
    with receiving() as receiver:
        receiver.held = threading.Event() if trickles else None
        make_home(tmp_path, receiver.url)
        with open_home(tmp_path / "home") as home:
            train(home, tmp_path)
        settings = tmp_path / "home/backstory.toml"
        settings.write_text(settings.read_text().replace('send = "flush"', 'send = "background"'))
        with subprocess.Popen(
            [sys.executable, "-c", SERVE, str(tmp_path / "home"), "127.0.0.1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            receiver.asked.wait()
            while len(receiver.events) < (0 if trickles else 2):
                threading.Event().wait(0.01)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
            assert process.stderr.read() == ""
        if receiver.held:
            receiver.held.set()
