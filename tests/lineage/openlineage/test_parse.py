import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstory.lake.errors import InvalidError
from backstory.lineage.openlineage.parse import (
    MAX_DATASETS,
    MAX_FACETS,
    MAX_NAME_LENGTH,
    MAX_PROBLEMS,
    DatasetEvent,
    JobEvent,
    RunEvent,
    parse_event,
)


def make_body(**more: Any) -> dict[str, Any]:
    body = {
        "eventType": "START",
        "eventTime": "2026-11-14T09:41:07Z",
        "run": {"runId": "r1"},
        "job": {"namespace": "n", "name": "j"},
    }
    return {k: v for k, v in (body | more).items() if v is not ...}


def parse_run(**more: Any) -> RunEvent:
    event = parse_event(make_body(**more))
    assert isinstance(event, RunEvent)
    return event


def accepted(row: dict[str, str]) -> bool:
    """The corpus says which events have an identity; a single facet is no event."""
    return row["minimal_identity"] == "ok"


@pytest.mark.data
def test_events_of_others_are_read_or_refused_as_they_should_be(shared_data: Path) -> None:
    folder = shared_data / "openlineage-events"
    with (folder / "MANIFEST.tsv").open(encoding="utf-8") as manifest:
        rows = list(csv.DictReader(manifest, delimiter="\t"))
    outcomes: dict[str, str | None] = {}
    for row in rows:
        body = json.loads((folder / row["file"]).read_text("utf-8"))
        try:
            event = parse_event(body)
        except InvalidError:
            outcomes[row["file"]] = None
        else:
            outcomes[row["file"]] = type(event).__name__
            assert getattr(event, "event_type", None) == body.get("eventType") or "run" not in body
    kinds = {row["file"]: row["kind"] if accepted(row) else None for row in rows}
    assert outcomes == kinds
    assert len([kind for kind in outcomes.values() if kind]) == 74


def test_the_kind_is_told_by_the_content() -> None:
    assert isinstance(parse_event(make_body(run=...)), JobEvent)
    alone = make_body(run=..., job=..., dataset={"namespace": "n", "name": "d"})
    assert isinstance(parse_event(alone), DatasetEvent)
    parse_run(schemaURL="https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/JobEvent")


def test_versions_are_read_from_the_version_facet() -> None:
    named = {"namespace": "n", "name": "d"}
    event = parse_run(
        inputs=[
            {**named, "facets": {"version": {"datasetVersion": "17"}}},
            {**named, "facets": {"version": {"datasetVersion": 18}}},
            {**named, "facets": {"version": {"datasetVersion": None}}},
            {**named, "inputFacets": {"inputStatistics": {"rowCount": 3}}},
        ],
        outputs=[{**named, "outputFacets": {"outputStatistics": {"rowCount": 4}}}],
    )
    assert [dataset.version for dataset in event.inputs] == ["17", "18", None, None]
    assert event.inputs[3].use["inputStatistics"]["rowCount"] == 3
    assert event.outputs[0].use["outputStatistics"]["rowCount"] == 4


TOLERATED: dict[str, tuple[dict[str, Any], str]] = {
    "no time zone": ({"eventTime": "2026-11-14T09:41:07"}, "/eventTime: no time zone"),
    "a type that is none": ({"eventType": "MAYBE"}, "/eventType"),
    "a type that is no text": ({"eventType": ["START"]}, "/eventType"),
    "facets that are a list": ({"run": {"runId": "r1", "facets": []}}, "/run/facets"),
    "a facet that is text": ({"run": {"runId": "r1", "facets": {"a": "x"}}}, "/run/facets/'a'"),
    "a facet with a bad name": ({"run": {"runId": "r1", "facets": {"\0": {}}}}, "/run/facets/"),
    "too many facets": (
        {
            "job": {
                "namespace": "n",
                "name": "j",
                "facets": {str(i): {} for i in range(MAX_FACETS + 1)},
            }
        },
        "/job/facets",
    ),
}


@pytest.mark.parametrize(("change", "warning"), TOLERATED.values(), ids=TOLERATED)
def test_what_can_be_left_out_is_left_out_with_a_warning(
    change: dict[str, Any], warning: str
) -> None:
    event = parse_run(**change)
    assert event.run_id == "r1"
    (said,) = event.warnings
    assert said.startswith(warning)


def test_a_facet_that_is_null_is_absent() -> None:
    event = parse_run(run={"runId": "r1", "facets": {"a": None, "b": {"x": 1}}})
    assert (dict(event.facets), event.warnings) == ({"b": {"x": 1}}, ())


def test_producers_write_zones_in_several_ways() -> None:
    for text in ("2026-11-14T10:41:07+0100", "2026-11-14T09:41:07.000000000Z"):
        assert parse_run(eventTime=text).at == parse_run().at


REFUSED: dict[str, tuple[Any, str]] = {
    "not an object": ([], "/: expected an object, found a list"),
    "empty": ({}, "/eventTime: expected text"),
    "no kind": (make_body(run=..., job=...), "/: has neither run nor job nor dataset"),
    "no run id": (make_body(run={}), "/run/runId: expected text"),
    "run is text": (make_body(run="r1"), "/run: expected an object, found text of 2 characters"),
    "no job": (make_body(job=...), "/job: expected an object, found nothing"),
    "empty job name": (make_body(job={"namespace": "n", "name": ""}), "/job/name"),
    "number as name": (make_body(job={"namespace": 7, "name": "j"}), "/job/namespace"),
    "no time": (make_body(eventTime=...), "/eventTime: expected text"),
    "wrong time": (make_body(eventTime="2026-99-99T00:00:00Z"), "/eventTime"),
    "inputs are an object": (make_body(inputs={}), "/inputs: expected a list"),
    "input without name": (make_body(inputs=[{"namespace": "n"}]), "/inputs/0/name"),
    "output is nothing": (make_body(outputs=[None]), "/outputs/0: expected an object"),
    "too many inputs": (make_body(inputs=[None] * (MAX_DATASETS + 1)), "/inputs: expected a list"),
    "long id": (make_body(run={"runId": "r" * (MAX_NAME_LENGTH + 1)}), "/run/runId"),
    "NUL in a name": (make_body(job={"namespace": "n\0", "name": "j"}), "/job/namespace"),
    "half a character": (make_body(run={"runId": "\ud800"}), "/run/runId"),
}


@pytest.mark.parametrize(("body", "problem"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_identity_is_refused_by_its_pointer(body: Any, problem: str) -> None:
    with pytest.raises(InvalidError) as refused:
        parse_event(body)
    assert problem in refused.value.message
    assert refused.value.hint


def test_every_problem_is_named_up_to_a_bound() -> None:
    with pytest.raises(InvalidError) as refused:
        parse_event(make_body(run={}, job={}))
    assert all(p in refused.value.message for p in ("/run/runId", "/job/namespace", "/job/name"))
    with pytest.raises(InvalidError) as refused:
        parse_event(make_body(inputs=[None] * 100))
    assert refused.value.message.count("expected an object") <= MAX_PROBLEMS


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["eventTime", "run", "job", "runId", "name", "namespace", "facets"])
            | st.text(),
            inner,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_json_is_an_event_or_refused(body: Any) -> None:
    try:
        parse_event(body)
    except InvalidError:
        pass
    else:
        assert {"run", "job", "dataset"} & body.keys()
