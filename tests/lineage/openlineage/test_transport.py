import json
from pathlib import Path
from typing import Any

import pytest

from backstory.lake.errors import InvalidError, UnavailableError
from backstory.lineage.openlineage.events import run_event, to_json
from backstory.lineage.openlineage.transport import check_transport, open_transport, rebuilt
from tests.lineage.openlineage.described import AT, make_run


def make_file(path: Path) -> dict[str, Any]:
    return {"type": "file", "log_file_path": str(path), "append": True}


def test_events_are_written_to_the_file_in_order(tmp_path: Path) -> None:
    file = tmp_path / "openlineage.ndjson"
    bodies = [to_json(run_event(make_run(), kind, AT)) for kind in ("START", "COMPLETE")]
    for body in bodies:
        open_transport(make_file(file))(body)
    written = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    for body, line in zip(bodies, written, strict=True):
        line["run"]["facets"].pop("tags")  # the client signs with its version
        assert line == body


@pytest.mark.parametrize("kind", ["START", "RUNNING", "COMPLETE", "FAIL"])
def test_a_rebuilt_event_is_the_event(kind: str) -> None:
    body = to_json(run_event(make_run(), kind, AT))
    assert to_json(rebuilt(body)) == body


def test_a_file_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    send = open_transport(make_file(tmp_path / "missing" / "x.ndjson"))
    with pytest.raises(UnavailableError):
        send(to_json(run_event(make_run(), "START", AT)))


@pytest.mark.parametrize("config", [{}, {"type": "kafka"}, {"type": "file"}, {"type": "http"}])
def test_what_cannot_be_served_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(InvalidError) as refused:
        check_transport(config)
    assert "openlineage.transport" in refused.value.hint


def test_what_the_client_does_not_take_is_told_without_its_secrets() -> None:
    config = {"type": "http", "url": "http://user:hunter2@ bad host", "timeout": 1}
    with pytest.raises(InvalidError, match="cannot be made") as refused:
        open_transport(config)
    assert "hunter2" not in str(refused.value)
