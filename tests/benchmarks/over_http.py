"""A trace over GraphQL beside the same answer of a plain REST server, and as of a time beside now.

Both servers are uvicorn in processes of their own, over one home; the REST one calls the same use
case and encodes the same fields. The client keeps one connection to each and asks them in turn.

    python -m tests.benchmarks.over_http graphql|rest HOME
"""

import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from backstory.api.app import serve
from backstory.lineage.home import Home, open_home
from backstory.lineage.store.models import VersionRecord
from backstory.lineage.store.runs import RunRecord
from backstory.lineage.store.slices import SnapshotRecord
from backstory.lineage.times import time_text
from backstory.lineage.tracing import Trace
from tests.benchmarks.report import Topic, Work, interleaved, ratio
from tests.benchmarks.world import FIRST_FAMILY, GENERATIONS, family

ROUNDS = 300
BESIDE_REST = 2
AS_OF = 1.2
REF = f"ranker-{FIRST_FAMILY}@{GENERATIONS}"
DEPTH = 2

QUERY = """
query Trace($ref: String!, $depth: Int!, $asOf: DateTime) {
  trace(ref: $ref, depth: $depth, asOf: $asOf) {
    root
    truncated
    frontier
    nodes {
      key
      kind
      distance
      entity {
        ... on Snapshot { sliceName version manifestDigest rows bytes files at }
        ... on Run { runId job state startedAt endedAt }
        ... on ModelVersion { model version registeredAt aliases }
      }
    }
    edges { cause effect kind evidence rows share }
  }
}
"""


def measure(rounds: int = ROUNDS) -> Topic:
    """Both servers, in turn."""
    with family() as home, ExitStack() as stack:
        graphql, rest = (stack.enter_context(_client(kind, home)) for kind in ("graphql", "rest"))
        now, known = (_body(time) for time in (None, time_text(home.clock())))
        path = f"/trace?ref={quote(REF)}&depth={DEPTH}"

        def ask_graphql(body: str) -> Any:
            headers = {"content-type": "application/json"}
            return _answer(graphql, "POST", "/graphql", body, headers)["data"]["trace"]

        def ask_rest(_: int) -> Any:
            return _answer(rest, "GET", path)

        works: dict[str, Work] = {"GraphQL": lambda _: ask_graphql(now), "REST": ask_rest}
        # Not with the third in turn: whoever comes after another process finds the caches cold.
        timed: dict[str, Work] = {
            "now": lambda _: ask_graphql(now),
            "as of": lambda _: ask_graphql(known),
        }
        first, *others = (work(0) for work in (*works.values(), *timed.values()))
        if any(other != first for other in others):
            raise AssertionError("the answers differ: there is nothing to compare")
        times = interleaved(works, rounds) | interleaved(timed, rounds)
    what = f"trace of {DEPTH} levels over GraphQL"
    measures = [
        ratio(f"{what} beside REST", times, "GraphQL", "REST", at_most=BESIDE_REST),
        ratio(f"{what} as of a time beside now", times, "as of", "now", at_most=AS_OF),
    ]
    return Topic(name="over HTTP", measures=measures)


def _body(as_of: str | None) -> str:
    variables = {"ref": REF, "depth": DEPTH, "asOf": as_of}
    return json.dumps({"query": QUERY, "variables": variables})


@contextmanager
def _client(kind: str, home: Home) -> Iterator[http.client.HTTPConnection]:
    command = [sys.executable, "-m", __spec__.name, kind, str(home.settings.home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = urlsplit(server.stdout.readline().strip())
            connection = http.client.HTTPConnection(str(address.hostname), address.port)
            yield connection
            connection.close()
        finally:
            server.terminate()


def _answer(
    connection: http.client.HTTPConnection, method: str, path: str, *more: Any
) -> dict[str, Any]:
    connection.request(method, path, *more)
    answered: dict[str, Any] = json.loads(connection.getresponse().read())
    return answered


def rest_app(home: Home) -> Starlette:
    """What one would write for this one question."""

    def trace(request: Request) -> Response:
        ask = request.query_params
        found = home.trace(ask["ref"], depth=int(ask["depth"]), limit=200)
        return Response(msgspec.json.encode(_document(found)), media_type="application/json")

    return Starlette(routes=[Route("/trace", trace)])


def _document(trace: Trace) -> dict[str, Any]:
    keys = {node.id: node.key for node in trace.graph.nodes}
    return {
        "root": trace.root.key,
        "truncated": trace.graph.truncated,
        "frontier": [keys[number] for number in trace.graph.frontier],
        "nodes": [
            {
                "key": node.key,
                "kind": node.kind.name,
                "distance": node.distance,
                "entity": _entity(trace.details[node.id]),
            }
            for node in trace.graph.nodes
        ],
        "edges": [
            {
                "cause": keys[edge.src],
                "effect": keys[edge.dst],
                "kind": edge.kind.name,
                "evidence": edge.evidence.name,
                "rows": edge.rows,
                "share": edge.share,
            }
            for edge in trace.graph.edges
        ],
    }


def _entity(detail: Any) -> dict[str, Any]:
    match detail:
        case SnapshotRecord():
            return {
                "sliceName": detail.slice_name,
                "version": detail.version,
                "manifestDigest": detail.digest,
                "rows": detail.rows,
                "bytes": detail.size,
                "files": detail.files,
                "at": detail.at and time_text(detail.at),
            }
        case RunRecord():
            return {
                "runId": detail.run_id,
                "job": detail.job,
                "state": detail.state,
                "startedAt": detail.started and time_text(detail.started),
                "endedAt": detail.ended and time_text(detail.ended),
            }
        case VersionRecord():
            return {
                "model": detail.model,
                "version": detail.number,
                "registeredAt": time_text(detail.at),
                "aliases": list(detail.aliases),
            }
        case _:
            raise TypeError(type(detail))


def _say(url: str) -> None:
    print(url, flush=True)


def _serve(kind: str, home: Home) -> None:
    if kind == "graphql":
        serve(home, port=0, started=_say)
        return
    config = uvicorn.Config(rest_app(home), access_log=False, log_config=None)
    # Said to be TCP, or asyncio would let answers wait for the client's acknowledgement.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        _say(f"http://127.0.0.1:{listener.getsockname()[1]}")
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    with open_home(sys.argv[2]) as served:
        _serve(sys.argv[1], served)
