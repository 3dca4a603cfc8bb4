"""An object store for tests: moto's server, one a process, and buckets of their own.

It keeps everything in memory, and refuses an object where one is as S3 does, though not at once for
two who come at the same moment (measured): races of that kind are run in folders.
"""

import logging
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import pytest
from moto.server import ThreadedMotoServer

from backstory.lake.object_path import ObjectPath, parse_object

SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIAPLANTEDACCESSKEY",
    "AWS_SECRET_ACCESS_KEY": "planted/secret+access/key",
    "AWS_SESSION_TOKEN": "planted-session-token",
}
_BUCKETS = count(1)


@contextmanager
def served() -> Iterator[None]:
    """A server in a process of its own, as some calls of delta-rs keep Python waiting."""
    command = [sys.executable, "-m", "tests.object_store"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout
        port = server.stdout.readline().decode().strip()
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment(f"http://127.0.0.1:{port}").items():
                patch.setenv(name, value)
            yield  # it ends with its input


def environment(url: str) -> dict[str, str]:
    return {
        **SECRETS,
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": "eu-west-1",
        "AWS_ALLOW_HTTP": "true",
        "NO_PROXY": "127.0.0.1",
    }


def make_bucket(name: str | None = None) -> ObjectPath:
    """A new bucket on the server that the environment names."""
    name = name or f"shop-{next(_BUCKETS)}"
    url = f"{os.environ['AWS_ENDPOINT_URL']}/{name}"
    with urllib.request.urlopen(urllib.request.Request(url, method="PUT")):  # noqa: S310 - our own
        return parse_object(f"s3://{name}")


def main() -> None:
    """Serve until the input ends; the port is told on the output."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    print(server.get_host_and_port()[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
