from pathlib import Path
from typing import Any

import pytest

from backstory.lake.errors import InvalidError
from backstory.lineage.openlineage.receivers import MAX_RECEIVERS, read_receivers
from tests.lineage.homes import backstory_error

HTTP = {"type": "http", "url": "http://marquez:5000"}
FILE = {"type": "file", "log_file_path": "events.ndjson"}
KAFKA = {"type": "kafka", "topic": "lineage", "config": {"bootstrap.servers": "kafka:9092"}}


def names(transport: dict[str, Any]) -> list[str]:
    return [receiver.name for receiver in read_receivers(transport, Path("/home"))]


def composite(transports: Any, **more: Any) -> dict[str, Any]:
    return {"type": "composite", "transports": transports, **more}


def test_one_receiver_is_called_by_its_kind() -> None:
    assert [names(one) for one in (HTTP, FILE, KAFKA)] == [["http"], ["file"], ["kafka"]]
    assert names({**HTTP, "type": "async_http"}) == ["http"]
    assert names({**HTTP, "name": "marquez"}) == ["marquez"]


def test_a_name_outlives_the_order_and_the_address() -> None:
    before = composite({"marquez": HTTP, "archive": FILE})
    after = composite({"archive": FILE, "marquez": {**HTTP, "url": "http://elsewhere"}})
    assert sorted(names(before)) == sorted(names(after)) == ["archive", "marquez"]
    assert names(composite([{**HTTP, "name": "marquez"}, FILE])) == ["marquez", "file"]


def test_a_file_of_a_composite_transport_is_anchored() -> None:
    [receiver] = read_receivers(composite([FILE]), Path("/home"))
    assert receiver.config["log_file_path"] == "/home/events.ndjson"


def test_what_nobody_has_to_read_is_at_hand(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    paths = [str(tmp_path / "new"), str(tmp_path / "pipe"), "s3://bucket/events"]
    found = [read_receivers({**FILE, "log_file_path": path}, tmp_path)[0] for path in paths]
    assert [receiver.at_hand for receiver in found] == [True, False, False]
    assert not read_receivers(HTTP, tmp_path)[0].at_hand


@pytest.mark.parametrize(
    ("transport", "error"),
    [
        ({}, "transport None is not served | set openlineage.transport.type to one of: file, http"),
        ({"type": "gcplineage"}, "transport 'gcplineage' is not served"),
        ({"type": ["http"]}, "is not served"),
        ({"type": "file"}, "has no log_file_path | set openlineage.transport.log_file_path"),
        ({"type": "http"}, "has no url | set openlineage.transport.url, a text"),
        ({**KAFKA, "topic": 1}, "has no topic"),
        ({**KAFKA, "config": "x"}, "has no config | set openlineage.transport.config, a table"),
        ({**HTTP, "name": "../x"}, "cannot be called '../x'"),
        ({**HTTP, "name": "x" * 65}, "cannot be called"),
        ({"type": "composite"}, "has no transports"),
        (composite([]), "has no transports"),
        (composite(["x"]), "openlineage.transport.transports.0 is not a table"),
        (composite({"a": {"type": "http"}}), "set openlineage.transport.transports.a.url"),
        (composite({"a": composite([HTTP])}), "transport 'composite' is not served"),
        (composite([HTTP, HTTP]), "two OpenLineage receivers are called 'http' | name each"),
        (composite([HTTP], continue_on_failure=False), "continue_on_failure is False"),
        (composite([HTTP], continue_on_success=False), "continue_on_success is False"),
        (
            composite({f"r{n}": HTTP for n in range(MAX_RECEIVERS + 1)}),
            f"configure at most {MAX_RECEIVERS}",
        ),
    ],
)
def test_what_cannot_be_served_is_refused(transport: dict[str, Any], error: str) -> None:
    with pytest.raises(InvalidError) as refused:
        read_receivers(transport, Path("/home"))
    assert error in backstory_error(refused)
