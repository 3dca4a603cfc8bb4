import json

import pytest

from backstory.lake.documents import (
    MAX_DOCUMENT_BYTES,
    MAX_DOCUMENT_DEPTH,
    check_fields,
    load_json,
    load_yaml,
    near,
)
from backstory.lake.errors import InvalidError, LimitExceededError

BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]"


@pytest.mark.parametrize(
    ("text", "problem"),
    {
        "tabs": ("a:\n\t- b", "no plain YAML at line 2"),
        "two documents": ("a: 1\n---\nb: 2", "no plain YAML"),
        "an alias bomb": (BOMB, "aliases"),
        "a merge": ("a: &a {b: 1}\nc: {<<: *a}", "aliases"),
        "a python object": ("a: !!python/object:os.system {}", "no plain YAML at line 1"),
        "a key twice": ("a: 1\nb: 2\na: 3", "at line 3: the key 'a' stands there twice"),
        "a key twice below": ("a: {b: 1, b: 2}", "the key 'b' stands there twice"),
        "a key that is a truth value": ("on: 1", "the key 'on' is no text; put it in quotes"),
        "a key that is a number": ("a: {1: x}", "the key '1' is no text"),
        "a key that is a list": ("? [a]\n: b", "is no text"),
        "a scalar": ("hello", "no mapping"),
        "a list": ("- a", "no mapping"),
        "nothing": ("", "no mapping"),
        "a control character": ("a: \0", "no plain YAML"),
        "a wrong date": ("a: 2026-13-45", "no plain YAML"),
    }.values(),
)
def test_yaml_that_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InvalidError) as refused:
        load_yaml(text, "contract thumbs.yaml")
    assert refused.value.message.startswith("contract thumbs.yaml")
    assert problem in refused.value.message
    assert "\n" not in refused.value.message


@pytest.mark.parametrize(
    ("text", "problem"),
    {
        "broken": ("{", "no JSON"),
        "a key twice": ('{"a": {"b": 1, "b": 2}}', "the key 'b' stands there twice"),
        "a list": ("[]", "no mapping"),
        "deep": ("[" * 100_000, "no JSON"),
        "a huge number": ("9" * 5000, "no JSON"),
    }.values(),
)
def test_json_that_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InvalidError, match=problem):
        load_json(text, "contract")


def test_size_is_bounded() -> None:
    text = json.dumps({"a": "é" * (MAX_DOCUMENT_BYTES // 2)}, ensure_ascii=False)
    assert len(text) < MAX_DOCUMENT_BYTES
    for load in (load_json, load_yaml):
        with pytest.raises(LimitExceededError, match="larger than"):
            load(text, "contract")


def test_depth_is_bounded() -> None:
    def nested(levels: int) -> str:
        return "a: " + "[" * levels + "]" * levels

    assert load_yaml(nested(MAX_DOCUMENT_DEPTH - 2), "contract")
    with pytest.raises(LimitExceededError, match="nested deeper"):
        load_yaml(nested(10_000), "contract")


def test_plain_documents_are_read() -> None:
    text = "a: 1\nb: [x, 'on', null]\nc: {d: true, 'on': 1.5}\ne: é"
    expected = {"a": 1, "b": ["x", "on", None], "c": {"d": True, "on": 1.5}, "e": "é"}
    assert load_yaml(text, "contract") == expected
    assert load_json(json.dumps(expected), "contract") == expected


def test_fields_are_checked() -> None:
    known = {"name": (str,), "size": (int,), "parts": (dict, list)}
    assert check_fields({"name": "a", "parts": []}, "x", known, ["name"]) == {
        "name": "a",
        "parts": [],
    }
    for document, problem in [
        ([], "x is no mapping"),
        ({"nam": "a"}, "x: unknown field 'nam'"),
        ({"name": 1}, "x: name must be str, not int"),
        ({"size": True}, "x: size must be int, not bool"),
        ({"parts": "a"}, "x: parts must be dict or list, not str"),
        ({"size": 1}, "x: name is missing"),
    ]:
        with pytest.raises(InvalidError) as refused:
            check_fields(document, "x", known, ["name"])
        assert refused.value.message == problem


def test_near_words() -> None:
    assert near("purpos", ["slice", "purpose"]) == "did you mean purpose?"
    assert near("zzz", ["slice", "purpose"]) == "known are slice, purpose"
