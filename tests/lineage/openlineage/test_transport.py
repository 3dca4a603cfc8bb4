import json
import logging
from pathlib import Path
from typing import Any

import pytest

from backstory.lake.errors import InvalidError
from backstory.lineage.openlineage.events import run_event, to_json
from backstory.lineage.openlineage.transport import check_transport, emit
from tests.lineage.openlineage.described import AT, make_run


def make_file(path: Path) -> dict[str, Any]:
    return {"type": "file", "log_file_path": str(path), "append": True}


def test_events_are_written_to_the_file_in_order(tmp_path: Path) -> None:
    file = tmp_path / "openlineage.ndjson"
    sent = [run_event(make_run(), kind, AT) for kind in ("START", "COMPLETE")]
    bodies = [to_json(event) for event in sent]
    emit(sent[:1], make_file(file))
    emit(sent[1:], make_file(file))
    written = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    for body, line in zip(bodies, written, strict=True):
        line["run"]["facets"].pop("tags")  # the client signs with its version
        assert line == body


def test_nothing_configured_sends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    emit([run_event(make_run(), "START", AT)], None)
    assert caplog.records == []


def test_a_failure_is_logged_once_and_raises_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sent = [run_event(make_run(), "START", AT)] * 3
    with caplog.at_level(logging.WARNING, logger="backstory"):
        emit(sent, make_file(tmp_path / "missing" / "x.ndjson"))
    (said,) = caplog.records
    assert "were not sent" in said.getMessage()


@pytest.mark.parametrize(
    "config",
    [{}, {"type": "http", "url": "http://user:hunter2@127.0.0.1:9"}, {"type": "file"}],
)
def test_what_cannot_be_served_is_refused_and_never_stalls(
    config: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InvalidError) as refused:
        check_transport(config)
    assert "openlineage.transport" in refused.value.hint
    emit([run_event(make_run(), "START", AT)], config)
    (said,) = caplog.records
    assert "hunter2" not in said.getMessage()
