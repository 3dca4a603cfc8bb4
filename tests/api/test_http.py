"""GraphQL over HTTP: what is sent, what comes back, as whom."""

import json

import httpx
import pytest

from backstory.api.graphql_endpoint import JSON, RESPONSE_JSON

TYPENAME = {"query": "{ __typename }"}


def post(client: httpx.Client, body: object, **headers: str) -> httpx.Response:
    return client.post("/graphql", json=body, headers=headers)


def test_a_query_is_answered_with_its_cost_and_an_id(client: httpx.Client) -> None:
    response = post(client, TYPENAME)
    assert response.status_code == 200
    assert response.json()["data"] == {"__typename": "Query"}
    assert response.json()["extensions"]["cost"] == {
        "depth": 1,
        "fields": 1,
        "aliases": 0,
        "nodes": 0,
    }
    assert response.headers["x-request-id"]


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (RESPONSE_JSON, RESPONSE_JSON),
        (f"{RESPONSE_JSON}; charset=utf-8, {JSON}; charset=utf-8", RESPONSE_JSON),
        (f"{JSON};q=0.5, {RESPONSE_JSON};q=0.9", RESPONSE_JSON),
        (f"{RESPONSE_JSON};q=0, */*;q=0.1", JSON),
        ("text/html, application/xhtml+xml, */*;q=0.8", JSON),
        ("text/html", None),
        (f"{JSON};q=many", None),
    ],
)
def test_the_media_type_is_negotiated(
    client: httpx.Client, accept: str, answered: str | None
) -> None:
    response = post(client, TYPENAME, accept=accept)
    assert response.status_code == (200 if answered else 406)
    assert response.headers["content-type"] == f"{answered or JSON}; charset=utf-8"


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        (JSON, 200),
        (f"{JSON}; charset=utf-8", 200),
        (f'{JSON};charset="UTF-8"', 200),
        (f"{JSON}; charset=utf-16", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/graphql", 415),
        ("", 415),
    ],
)
def test_only_json_can_be_posted(client: httpx.Client, content_type: str, status: int) -> None:
    headers = {"content-type": content_type}
    response = client.post("/graphql", content=json.dumps(TYPENAME), headers=headers)
    assert response.status_code == status


def test_a_post_without_a_content_type_is_refused(client: httpx.Client) -> None:
    request = client.build_request("POST", "/graphql", content=json.dumps(TYPENAME))
    request.headers.pop("content-type", None)
    assert client.send(request).status_code == 415


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b'"text"',
        b"null",
        b"{}",
        b'{"query": 1}',
        b'{"query": null}',
        b'{"query": "{a}", "variables": []}',
        b'{"query": "{a}", "variables": "{}"}',
        b'{"query": "{a}", "operationName": 7}',
        b'{"query": "{a}", "extensions": 7}',
        b'{"query": "\xff"}',
        b'{"query": "{a}"} and more',
        b'{"query":"{a}","variables":{"a":' + b"[" * 100_000,
        b'[{"query": "{ __typename }"}]',
    ],
)
@pytest.mark.parametrize("accept", [JSON, RESPONSE_JSON])
def test_a_body_that_does_not_fit_is_refused(
    client: httpx.Client, accept: str, body: bytes
) -> None:
    headers = {"content-type": JSON, "accept": accept}
    response = client.post("/graphql", content=body, headers=headers)
    assert response.status_code == 400
    assert set(response.json()) == {"errors"}
    assert len(response.text) < 1000


def test_unknown_parameters_are_let_be(client: httpx.Client) -> None:
    assert post(client, {**TYPENAME, "extensions": {"a": 1}, "id": 7}).status_code == 200


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("query A { __typename } query B { __typename }", "BAD_USER_INPUT"),
        ("query($a: Int!) { node(id: 1) { id } }", "GRAPHQL_VALIDATION_FAILED"),
        ("query($id: ID!) { node(id: $id) { id } }", "BAD_USER_INPUT"),
        ("mutation { __typename }", "BAD_USER_INPUT"),
        ("subscription { __typename }", "BAD_USER_INPUT"),
        ("type Query { a: Int }", "GRAPHQL_VALIDATION_FAILED"),
    ],
)
def test_a_refused_request_has_no_data(client: httpx.Client, query: str, code: str) -> None:
    told = post(client, {"query": query}, accept=RESPONSE_JSON)
    assert told.status_code == 400
    assert "data" not in told.json()
    assert {error["extensions"]["code"] for error in told.json()["errors"]} == {code}
    old = post(client, {"query": query}, accept=JSON)
    assert old.status_code == 200
    assert old.json() == told.json()


def test_an_error_of_a_field_leaves_the_rest(client: httpx.Client) -> None:
    query = '{ home { revision } trace(ref: "rankr@1") { root } }'
    response = post(client, {"query": query}, accept=RESPONSE_JSON)
    assert response.status_code == 200
    assert response.json()["data"] == {"home": {"revision": "0002"}, "trace": None}
    assert response.json()["errors"][0]["path"] == ["trace"]


def test_get_asks_the_same(client: httpx.Client) -> None:
    query = "query A($ref: String!) { entity(ref: $ref) { key } } query B { __typename }"
    variables = json.dumps({"ref": "ranker@1"})
    parameters = {"query": query, "operationName": "A", "variables": variables}
    response = client.get("/graphql", params=parameters)
    assert response.json()["data"] == {"entity": {"key": "ranker@1"}}


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ({}, 400),
        ({"query": "{ __typename }", "variables": "[1]"}, 400),
        ({"query": "{ __typename }", "variables": "nonsense"}, 400),
        ({"query": "{ __typename }", "variables": ""}, 200),
        ({"query": "mutation { __typename }"}, 405),
        ({"query": "subscription { __typename }"}, 405),
    ],
)
def test_get_takes_queries_only(
    client: httpx.Client, parameters: dict[str, str], status: int
) -> None:
    response = client.get("/graphql", params=parameters)
    assert response.status_code == status
    assert response.headers.get("allow") == ("POST" if status == 405 else None)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_refused(client: httpx.Client, method: str) -> None:
    response = client.request(method, "/graphql")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST"
    assert "access-control-allow-origin" not in response.headers


def test_a_body_beyond_its_bound_is_refused(client: httpx.Client) -> None:
    response = post(client, {"query": "{ __typename } #" + "x" * 256 * 1024})
    assert response.status_code == 413


def test_other_places_are_empty(client: httpx.Client) -> None:
    response = client.get("/")
    assert response.status_code == 404
    message = response.json()["errors"][0]["message"]
    assert message.startswith("there is nothing here; GraphQL is at /graphql")


def test_health_says_ok(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}


def test_a_connection_serves_many_requests(client: httpx.Client) -> None:
    ids = {post(client, TYPENAME).headers["x-request-id"] for _ in range(20)}
    assert len(ids) == 20
