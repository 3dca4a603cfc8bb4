import json
import threading
from pathlib import Path
from typing import Any

import pytest

from backstory.lake.errors import InvalidError, UnavailableError
from backstory.lineage.openlineage.events import run_event, to_json
from backstory.lineage.openlineage.receivers import Receiver, read_receivers
from backstory.lineage.openlineage.transport import open_transport, rebuilt
from tests.lineage.openlineage.described import AT, make_run
from tests.lineage.receiver import receiving

START = to_json(run_event(make_run(), "START", AT))


def make_receiver(**config: Any) -> Receiver:
    [receiver] = read_receivers(config, Path("/nowhere"))
    return receiver


def make_file(path: Path) -> Receiver:
    return make_receiver(type="file", log_file_path=str(path), append=True)


def test_events_are_written_to_the_file_in_order(tmp_path: Path) -> None:
    file = tmp_path / "openlineage.ndjson"
    bodies = [to_json(run_event(make_run(), kind, AT)) for kind in ("START", "COMPLETE")]
    for body in bodies:
        open_transport(make_file(file))(body)
    assert [json.loads(line) for line in file.read_text("utf-8").splitlines()] == bodies


@pytest.mark.parametrize("kind", ["START", "RUNNING", "COMPLETE", "FAIL"])
def test_a_rebuilt_event_is_the_event(kind: str) -> None:
    body = to_json(run_event(make_run(), kind, AT))
    assert to_json(rebuilt(body)) == body


def test_a_file_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    send = open_transport(make_file(tmp_path / "missing" / "x.ndjson"))
    with pytest.raises(UnavailableError):
        send(START)


@pytest.mark.parametrize("type_", ["http", "async_http"])
def test_a_server_gets_the_token_and_the_headers(type_: str) -> None:
    with receiving() as receiver:
        open_transport(
            make_receiver(
                type=type_,
                url=receiver.url,
                endpoint="openapi/openlineage/api/v1/lineage",
                auth={"type": "api_key", "apiKey": "t0ken"},
                custom_headers={"X-Team": "ranking"},
                compression="gzip",
            )
        )(START)
        assert receiver.events == [START]
        [(path, headers)] = receiver.requests
    assert path == "/openapi/openlineage/api/v1/lineage"
    assert headers["Authorization"] == "Bearer t0ken"
    assert headers["X-Team"] == "ranking"


def test_a_redirect_to_a_page_is_no_answer() -> None:
    with receiving() as receiver:
        receiver.answers = [302]
        with pytest.raises(UnavailableError):
            open_transport(make_receiver(type="http", url=receiver.url))(START)
        assert receiver.events == []


def test_no_environment_variable_makes_an_event_vanish(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")
    with receiving() as receiver:
        open_transport(make_receiver(type="http", url=receiver.url))(START)
        assert receiver.events == [START]


def test_a_receiver_that_trickles_is_given_up_and_not_asked_twice_at_once() -> None:
    with receiving() as receiver:
        receiver.held = threading.Event()
        send = open_transport(make_receiver(type="http", url=receiver.url), seconds=0.05)
        with pytest.raises(UnavailableError, match=r"no answer within 0\.05 s"):
            send(START)
        with pytest.raises(UnavailableError, match="sent before has no answer yet"):
            send(START)
        receiver.held.set()


@pytest.mark.parametrize(
    "config",
    [
        {"type": "http", "url": "http://user:hunter2@ bad host"},
        {"type": "http", "url": "http://user:hunter2@127.0.0.1:1"},
        {"type": "http", "url": "x", "custom_headers": {"Authorization": "hunter2"}},
        {"type": "http", "url": "http://127.0.0.1:1", "auth": {"type": "jwt", "apiKey": "hunter2"}},
        {
            "type": "http",
            "url": "http://127.0.0.1:1",
            "custom_headers": {"X-Api-Key": "hunter2\nInjected: hunter2"},
        },
        {
            "type": "kafka",
            "topic": "lineage",
            "config": {"sasl.password": "hunter2", "sasl.mechanism": "hunter2"},
        },
        {"type": "kafka", "topic": "lineage", "config": {"ssl.key.pem": "hunter2"}},
    ],
)
def test_no_error_tells_a_secret(
    config: dict[str, Any], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG", "backstory")
    receiver = make_receiver(**config)
    with pytest.raises((InvalidError, UnavailableError)) as refused:
        open_transport(receiver, seconds=20)(START)
    told = capfd.readouterr()
    assert "hunter2" not in f"{refused.value} {receiver} {caplog.text} {told.out} {told.err}"
