"""YAML and JSON documents from outside, read without surprises.

Keeps true: a document that is returned is a mapping with text keys, no key was written twice, no
alias multiplied it, and its size and depth are bounded. It knows nothing of what documents mean.

>>> load_yaml("slice: thumbs/en", "contract")
{'slice': 'thumbs/en'}
"""

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from backstory.lake.errors import InvalidError, LimitExceededError

MAX_DOCUMENT_BYTES = 1 << 20
MAX_DOCUMENT_DEPTH = 32

_QUOTE = 'put text with a comma in quotes, as in type: "decimal(9,2)"'


class NotPlainError(ValueError):
    """JSON that a parser takes and we do not; its message may be shown to anybody."""


def load_yaml(text: str, what: str) -> dict[str, Any]:
    """Read one YAML document, plain data only.

    Args:
        text: the document.
        what: what it is, for messages.

    Raises:
        InvalidError: it is no YAML, no mapping, or has a key twice or an alias.
        LimitExceededError: it is beyond `MAX_DOCUMENT_BYTES` or `MAX_DOCUMENT_DEPTH`.
    """
    _check_size(text, what)
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 - _Loader is a SafeLoader
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        where = f" at line {mark.line + 1}" if mark else ""
        raise InvalidError(
            f"{what} is no plain YAML{where}: {exc.problem}",
            hint="mend that place; text with special characters goes in quotes",
        ) from exc
    except (yaml.YAMLError, ValueError) as exc:
        raise InvalidError(
            f"{what} is no plain YAML: {str(exc).splitlines()[0]}",
            hint="mend it; text with special characters goes in quotes",
        ) from exc
    return _mapping(document, what)


def load_json(text: str, what: str) -> dict[str, Any]:
    """Read one JSON object; see `load_yaml`."""
    _check_size(text, what)
    try:
        document = json.loads(text, object_pairs_hook=unique_fields)
    except (ValueError, RecursionError) as exc:
        raise InvalidError(
            f"{what} is no JSON: {exc}", hint="mend it, or write it again with a JSON library"
        ) from exc
    return _mapping(document, what)


def check_fields(
    document: object,
    where: str,
    known: Mapping[str, tuple[type, ...]],
    required: Iterable[str],
) -> dict[str, Any]:
    """The fields of a mapping, each of one of its kinds.

    Raises:
        InvalidError: a field is unknown, of another kind, or missing.
    """
    if not isinstance(document, dict):
        raise InvalidError(f"{where} is no mapping", hint=f"its fields are {', '.join(known)}")
    for name, value in document.items():
        if name not in known:
            hint = _QUOTE if name.endswith((")", ">")) else near(name, known)
            raise InvalidError(f"{where}: unknown field {name!r}", hint=hint)
        if type(value) not in known[name]:
            kinds = " or ".join(kind.__name__ for kind in known[name])
            raise InvalidError(
                f"{where}: {name} must be {kinds}, not {type(value).__name__}",
                hint="put text in quotes that YAML reads as something else",
            )
    for name in required:
        if name not in document:
            raise InvalidError(f"{where}: {name} is missing", hint="add it")
    return dict(document)


def near(word: str, known: Iterable[str]) -> str:
    """A hint for a word that is not among the known ones."""
    words = list(known)
    close = difflib.get_close_matches(word, words, n=1)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(words)}"


def _check_size(text: str, what: str) -> None:
    if len(text) > MAX_DOCUMENT_BYTES or len(text.encode(errors="replace")) > MAX_DOCUMENT_BYTES:
        raise LimitExceededError(
            f"{what} is larger than {MAX_DOCUMENT_BYTES} bytes",
            hint="shorten it, or check that it is the file you mean",
        )


def _mapping(document: object, what: str) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise InvalidError(
            f"{what} is no mapping of names to values", hint="write it as lines of NAME: VALUE"
        )
    return document


def unique_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The `object_pairs_hook` that refuses an object with a key twice.

    Raises:
        NotPlainError: naming the key.
    """
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise NotPlainError(f"the key {twice!r} stands there twice")
    return found


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader without aliases, deep nesting, double keys and keys that are no text."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="aliases (*name) are not taken")
        self._depth += 1
        if self._depth > MAX_DOCUMENT_DEPTH:
            raise LimitExceededError(
                f"YAML is nested deeper than {MAX_DOCUMENT_DEPTH} levels",
                hint="take levels out of it",
            )
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value!r} is no text; put it in quotes",
                    problem_mark=key.start_mark,
                )
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value!r} stands there twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)
