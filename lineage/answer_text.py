"""Interactions as text: one JSON object a line, and parts as one word each.

    {"request": [0, 1], "response": 8, "version": "reader@3", "external_id": "zendesk:8812"}

A line has the names that `InteractionLog.record` takes, in its words; what it leaves out is as was
said for all of them. Nothing is recorded where one line is at fault, which is named.

>>> parse_part("chunk:faq#3")
Part(kind='chunk', ref='faq#3', digest=None, detail=None, status=<PartStatus.DECLARED: 'declared'>)
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from backstory.lake.errors import BackstoryError, InvalidError, LimitExceededError
from backstory.lineage.interaction import Part, PartStatus, json_text
from backstory.lineage.times import parse_time

MAX_ANSWERS = 100_000

_WORDS = ("version", "environment", "variant", "subject", "conversation", "external_id")
_FIELDS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys((*_WORDS, "at", "answered_by"), (str,)),
    "turn": (int,),
    "latency_ms": (int, float),
    "parts": (list,),
    "attributes": (dict,),
}
_NEEDED = ("request", "response")


def parse_part(text: str) -> Part:
    """Read `kind:ref`.

    Raises:
        InvalidError: it is no such text.
    """
    kind, colon, ref = text.partition(":")
    if not (kind and colon and ref):
        raise InvalidError(f"{text[:80]!r} is no part", hint="write it like chunk:faq#3")
    return Part(kind=kind, ref=ref)


def parse_json(text: str, what: str) -> Any:
    """Read a JSON text.

    Raises:
        InvalidError: it is none.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as exc:
        why = exc.msg if isinstance(exc, json.JSONDecodeError) else "it is nested too deep"
        raise InvalidError(
            f"{what} is not JSON: {why}", hint="a text is JSON in double quotes, like '\"hello\"'"
        ) from exc


def read_answers(lines: Iterable[bytes], said: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The arguments of `record` for each line.

    Args:
        lines: JSON objects, one a line; empty lines are left out.
        said: what is so of every line that does not say it.

    Raises:
        InvalidError: a line is no JSON object, or has a name or value that `record` does not take.
        LimitExceededError: more than `MAX_ANSWERS` lines.
    """
    for number, line in enumerate(lines, start=1):
        if number > MAX_ANSWERS:
            raise LimitExceededError(
                f"more than {MAX_ANSWERS:,} lines are given at a time", hint="send them in parts"
            )
        if line.strip():
            try:
                yield {**said, **_answer(line)}
            except BackstoryError as exc:
                exc.name(f"line {number}")
                raise


def _answer(line: bytes) -> dict[str, Any]:
    try:
        found = parse_json(line.decode(), "it")
    except UnicodeDecodeError as exc:
        raise InvalidError("it is not UTF-8 text", hint="save the file as UTF-8") from exc
    if not isinstance(found, dict):
        raise InvalidError("it is no JSON object", hint='write it like {"request": …}')
    for name in _NEEDED:
        if name not in found:
            raise InvalidError(f"it has no {name}", hint="each line has a request and a response")
    for name, value in found.items():
        _check(name, value)
    answer = {name: value for name, value in found.items() if value is not None or name in _NEEDED}
    if "at" in answer:
        answer["at"] = parse_time(answer["at"])
    if "parts" in answer:
        answer["parts"] = [_part(part) for part in answer["parts"]]
    return answer


def _check(name: str, value: Any) -> None:
    if name in _NEEDED or (name in _FIELDS and value is None):
        return
    if name not in _FIELDS:
        raise InvalidError(
            f"nothing of an interaction is called {name[:80]!r}",
            hint=f"one of {', '.join((*_NEEDED, *_FIELDS))}",
        )
    if not isinstance(value, _FIELDS[name]) or isinstance(value, bool):
        wanted = " or ".join(kind.__name__ for kind in _FIELDS[name])
        raise InvalidError(f"{name} is {value!r:.80}, not {wanted}", hint="mend that line")


def _part(value: Any) -> Part:
    if not isinstance(value, dict) or not {"kind", "ref"} <= value.keys():
        raise InvalidError("a part has no kind or no ref", hint="name both, or leave it out")
    detail = value.get("detail")
    try:
        return Part(
            kind=str(value["kind"]),
            ref=str(value["ref"]),
            digest=value.get("digest"),
            detail=None if detail is None else json_text(detail, "detail"),
            status=PartStatus(value.get("status", "declared")),
        )
    except (TypeError, ValueError) as exc:
        raise InvalidError(f"a part cannot be read: {exc}", hint="see its digest, status") from exc
