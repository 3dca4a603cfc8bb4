"""A page of somebody else, in a browser on this machine, gets nothing."""

import socket

import httpx
import pytest

from backstory.api.app import serve
from backstory.api.loopback import SECURITY_HEADERS
from backstory.lake.errors import ConflictError, RefusedError
from tests.api.conftest import World

QUERY = {"query": "{ __typename }"}


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1:8400", True),
        ("localhost:1", True),
        ("LOCALHOST", True),
        ("[::1]:8400", True),
        ("evil.example", False),
        ("evil.example:8400", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost@evil.example", False),
        ("127.0.0.2", False),
        ("0.0.0.0", False),  # noqa: S104 - a name that browsers take for this machine
        ("[::1", False),
        ("", False),
    ],
)
def test_a_rebound_name_is_refused(client: httpx.Client, host: str, *, allowed: bool) -> None:
    response = client.post("/graphql", json=QUERY, headers={"host": host})
    assert response.status_code == (200 if allowed else 403)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://localhost:3000", True),
        ("http://127.0.0.1", True),
        ("http://[::1]:3000", True),
        ("https://evil.example", False),
        ("http://localhost.evil.example", False),
        ("file://localhost", False),
        ("null", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_page_of_another_origin_is_refused(
    client: httpx.Client, method: str, origin: str, *, allowed: bool
) -> None:
    parameters = QUERY if method == "GET" else None
    response = client.request(
        method, "/graphql", params=parameters, json=QUERY, headers={"origin": origin}
    )
    assert (response.status_code != 403) is allowed
    assert not [name for name in response.headers if name.startswith("access-control")]


def test_a_request_across_sites_is_refused(client: httpx.Client) -> None:
    headers = {"sec-fetch-site": "cross-site"}
    assert client.get("/graphql", params=QUERY, headers=headers).status_code == 403


@pytest.mark.parametrize("path", ["/graphql", "/healthz", "/nothing"])
def test_every_answer_is_marked(client: httpx.Client, path: str) -> None:
    for headers in ({}, {"host": "evil.example"}):
        response = client.get(path, headers=headers)
        assert SECURITY_HEADERS.items() <= dict(response.headers).items()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org", ""])  # noqa: S104 - refused
def test_nothing_listens_beyond_loopback(world: World, host: str) -> None:
    with pytest.raises(RefusedError, match="will not listen on"):
        serve(world.home, host, 0)


def test_a_taken_port_is_said(world: World) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(ConflictError, match="is taken") as caught,
    ):
        serve(world.home, "127.0.0.1", taken.getsockname()[1])
    assert "--port" in caught.value.hint
