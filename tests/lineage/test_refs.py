from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstory.lake.errors import InvalidError, LimitExceededError, NotFoundError
from backstory.lineage.refs import (
    MAX_REF_LENGTH,
    Alias,
    ComponentRef,
    DeploymentRef,
    EnvironmentRef,
    ExternalRef,
    InteractionRef,
    NameRef,
    Ref,
    RunRef,
    Time,
    Version,
    did_you_mean,
    parse_ref,
)

NINE_41 = datetime(2026, 11, 14, 9, 41, tzinfo=UTC)

READ: dict[str, Ref] = {
    "ranker": NameRef(name="ranker"),
    "ranker@7": NameRef(name="ranker", at=Version(number=7)),
    "ranker@champion": NameRef(name="ranker", at=Alias(name="champion")),
    "ranker@2nd-best": NameRef(name="ranker", at=Alias(name="2nd-best")),
    "thumbs/en@58": NameRef(name="thumbs/en", at=Version(number=58)),
    "thumbs/en@2026-11-14T09:41Z": NameRef(name="thumbs/en", at=Time(at=NINE_41)),
    "thumbs/en@2026-11-14": NameRef(
        name="thumbs/en", at=Time(at=datetime(2026, 11, 14, tzinfo=UTC))
    ),
    "model:ranker@7": NameRef(name="ranker", at=Version(number=7), kind="model"),
    "slice:thumbs/en": NameRef(name="thumbs/en", kind="slice"),
    "_interactions/ranker@3": NameRef(name="_interactions/ranker", at=Version(number=3)),
    "run:019a8f": RunRef(prefix="019a8f"),
    "run:scheduled__2026/t1": RunRef(prefix="scheduled__2026/t1"),
    "int:019A8F3c-5b1e": InteractionRef(prefix="019a8f3c-5b1e"),
    "ext:zendesk:8812": ExternalRef(system="zendesk", id="8812"),
    "ext:zendesk:a:b@c": ExternalRef(system="zendesk", id="a:b@c"),
    "env:prod-eu": EnvironmentRef(name="prod-eu"),
    "env:prod-eu#3": DeploymentRef(environment="prod-eu", number=3),
    "component:prompt:greeting@4": ComponentRef(kind="prompt", name="greeting", version="4"),
    "component:base_model:org/m:v@2@sha": ComponentRef(
        kind="base_model", name="org/m:v@2", version="sha"
    ),
}

REFUSED = {
    "": "is no name",
    "Ranker@7": "is no name",
    "ranker@": "after '@'",
    "ranker@Champion": "after '@'",
    "ranker@-1": "after '@'",
    "thumbs@2026-11-14T09:41": "no time zone",
    "thumbs@2026-99-99": "no such time",
    "run:19a": "expected an id",
    "run:": "expected an id",
    "int:019zzz": "expected an id",
    "int:" + "0" * 37: "expected an id",
    "ext:zendesk": "expected a system",
    "ext::7": "expected a system",
    "env:prod#x": "deployment's number",
    "env:Prod": "is no name",
    "component:prompt:greeting": "kind, name and version",
    "snapshot:thumbs@7": "nothing is named by 'snapshot'",
}


@pytest.mark.parametrize(("text", "expected"), READ.items(), ids=READ)
def test_refs_are_read(text: str, expected: Ref) -> None:
    assert parse_ref(text) == expected
    assert parse_ref(str(expected)) == expected


@pytest.mark.parametrize(("text", "message"), REFUSED.items(), ids=REFUSED)
def test_what_is_no_ref_is_refused_with_an_example(text: str, message: str) -> None:
    with pytest.raises(InvalidError) as refused:
        parse_ref(text)
    assert message in refused.value.message
    assert refused.value.hint


def test_a_ref_has_a_bound() -> None:
    with pytest.raises(LimitExceededError):
        parse_ref("ext:zendesk:" + "x" * MAX_REF_LENGTH)


@given(st.text(max_size=60))
def test_any_text_is_a_ref_or_refused(text: str) -> None:
    try:
        ref = parse_ref(text)
    except (InvalidError, NotFoundError):
        return
    assert parse_ref(str(ref)) == ref


@pytest.mark.parametrize("text", ["thumbs@", "ranker@", "env:prod#"])
def test_a_number_that_nothing_can_have_names_nothing(text: str) -> None:
    assert parse_ref(text + "9" * 18)
    with pytest.raises(NotFoundError, match="no number has more than 18 digits"):
        parse_ref(text + "9" * 23)


def test_a_wrong_kind_gets_a_suggestion() -> None:
    with pytest.raises(InvalidError) as refused:
        parse_ref("modle:ranker")
    assert refused.value.hint == "did you mean 'model'?"


def test_suggestions_name_what_is_near() -> None:
    assert did_you_mean("thumb", ["thumbs", "ranker"]) == "did you mean 'thumbs'?"
    assert did_you_mean("zzz", ["thumbs", "ranker"]) == ""
