from datetime import timedelta
from pathlib import Path

import pytest

import backstory
from backstory.lineage.input_text import (
    Component,
    Input,
    parse_component,
    parse_inputs,
    parse_param,
    parse_trigger,
)
from backstory.lineage.trigger import Decay, Drift, Manual, Schedule, Threshold, Trigger

INPUTS = {
    "thumbs/en": Input(ref="thumbs/en"),
    "thumbs/en:test": Input(ref="thumbs/en", role="test"),
    "thumbs/en@58:test": Input(ref="thumbs/en@58", role="test"),
    "thumbs@2026-11-14T09:41Z": Input(ref="thumbs@2026-11-14T09:41Z"),
    "thumbs@2026-11-14T09:41Z:test": Input(ref="thumbs@2026-11-14T09:41Z", role="test"),
    "slice:thumbs": Input(ref="slice:thumbs"),
}
TRIGGERS: dict[str, Trigger] = {
    "manual:": Manual(),
    "manual:a: b": Manual("a: b"),
    "schedule:nightly:every=6h": Schedule("nightly", every=timedelta(hours=6)),
    "threshold:thumbs/en:rows=10000": Threshold("thumbs/en", rows=10_000),
    "drift:thumbs:metric=ks,column=stars,limit=0.2": Drift(
        "thumbs", metric="ks", limit=0.2, column="stars"
    ),
    "decay:thumbs:column=thumb,value=0,limit=0.3": Decay(
        "thumbs", column="thumb", value="0", limit=0.3
    ),
    "drift:thumbs:metric=psi,limit=0.2,measured=0.3": Drift("thumbs", metric="psi", limit=0.2),
}


@pytest.mark.parametrize("text", INPUTS)
def test_an_input_has_a_role_behind_its_last_colon(text: str) -> None:
    assert parse_inputs([text]) == [INPUTS[text]]


COMPONENTS = {
    "prompt:greeting@4": Component(kind="prompt", name="greeting", version="4"),
    "base_model:meta/llama:8b@2026-11=m/b=1": Component(
        kind="base_model", name="meta/llama:8b", version="2026-11", path=Path("m/b=1")
    ),
}


@pytest.mark.parametrize("text", COMPONENTS)
def test_a_component_has_a_kind_a_name_and_a_version(text: str) -> None:
    assert parse_component(text) == COMPONENTS[text]


@pytest.mark.parametrize("text", ["", "prompt", "prompt:x", "prompt:x@", "prompt:x@1=", ":x@1"])
def test_what_is_no_component_is_refused(text: str) -> None:
    with pytest.raises(backstory.InvalidError, match="is no component"):
        parse_component(text)


def test_a_condition_binds_to_the_inputs_that_it_names() -> None:
    inputs = ["a@1", "a@2:test", "b"]
    found = parse_inputs(inputs, ["a:test=x = 'b=1'", "b=y > 1"])
    assert [i.where for i in found] == [None, "x = 'b=1'", "y > 1"]
    assert [i.where for i in parse_inputs(inputs, ["a=x > 1"])] == ["x > 1", "x > 1", None]


@pytest.mark.parametrize("text", ["x > 1", "c=x > 1", "a:test=x > 1", "a="])
def test_a_condition_that_names_no_input_is_refused(text: str) -> None:
    with pytest.raises(backstory.InvalidError, match="belongs to no input"):
        parse_inputs(["a"], [text])


def test_a_parameter_is_json_where_it_can_be() -> None:
    texts = ["rate=0.1", "name=big", "layers=[1, 2]", "a=b=c"]
    assert list(map(parse_param, texts)) == [
        ("rate", 0.1),
        ("name", "big"),
        ("layers", [1, 2]),
        ("a", "b=c"),
    ]
    with pytest.raises(backstory.InvalidError, match="no parameter"):
        parse_param("rate")


@pytest.mark.parametrize("text", TRIGGERS)
def test_a_trigger_is_one_word(text: str) -> None:
    assert parse_trigger(text) == TRIGGERS[text]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hourly",
        "schedule:nightly",
        "schedule:nightly:every=1",
        "schedule:nightly:every=0s",
        "threshold:thumbs:rows=many",
        "threshold:thumbs:lines=3",
        "threshold::rows=3",
        "drift:thumbs:metric=psi",
        "drift:thumbs:metric=,limit=1",
        "decay:thumbs:column=thumb,limit=1",
        "decay:thumbs:column=thumb,value=0,limit=1.5",
        "decay:thumbs:column=thumb,value=0,limit=nan",
    ],
)
def test_what_is_no_trigger_is_refused(text: str) -> None:
    with pytest.raises(backstory.InvalidError) as caught:
        parse_trigger(text)
    assert caught.value.hint
