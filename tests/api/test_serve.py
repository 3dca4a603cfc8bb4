"""`serve` as a process: it says where, answers, and ends well when it is told to."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from backstory.lineage.home import init

SERVE = """
import sys
from backstory.api.app import serve
from backstory.lineage.home import open_home
with open_home(sys.argv[1]) as home:
    serve(home, sys.argv[2], 0, started=lambda url: print(url, flush=True))
print("closed")
"""


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
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
        process.send_signal(ending)
        assert process.wait(30) == 0
        assert process.stdout.read() == "closed\n"
        assert process.stderr.read() == ""
