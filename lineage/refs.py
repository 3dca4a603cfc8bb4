"""Refs: how people name things in commands, code and queries. Parsing only; nothing is looked up.

    ranker  ranker@7  ranker@champion  thumbs/en@58  thumbs/en@2026-11-14T09:41Z
    model:ranker@7  slice:thumbs/en  run:019a8f…  int:019a8f…  ext:zendesk:8812
    env:prod-eu  env:prod-eu#3  component:prompt:greeting@4

After `@`, digits are a version, a date is a time, and anything else is an alias. `str` of a ref
gives its canonical text, which parses to the same ref.

>>> parse_ref("ranker@7")
NameRef(name='ranker', at=Version(number=7), kind=None)
>>> str(parse_ref("thumbs/en@2026-11-14T10:41+01:00"))
'thumbs/en@2026-11-14T09:41:00Z'
"""

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from backstory.lake.errors import InvalidError, LimitExceededError, NotFoundError
from backstory.lake.location import check_name, check_table_name
from backstory.lineage.times import parse_time, time_text

MAX_REF_LENGTH = 1024
MIN_PREFIX = 6
MAX_DIGITS = 18  # of a version, which is a signed 64-bit number in Delta and in the store

_NUMBER = re.compile(r"\d+", re.ASCII)
_DATE = re.compile(r"\d{4}-\d", re.ASCII)
_ALIAS = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_RUN = re.compile(rf"[^\s@#]{{{MIN_PREFIX},}}")
_INTERACTION = re.compile(rf"[0-9a-f-]{{{MIN_PREFIX},36}}")
_WORD = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_EXAMPLES = "a ref is like ranker@7, ranker@champion, thumbs/en@58, run:019a8f…, int:019a8f…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version by number."""

    number: int

    def __str__(self) -> str:
        return str(self.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Time:
    """What was so at an instant."""

    at: datetime

    def __str__(self) -> str:
        return time_text(self.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """What an alias points at."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class NameRef:
    """A slice or a model, at a version, time or alias, or as a whole.

    Attributes:
        kind: what it is, where that was written; slices and models share one namespace.
    """

    name: str
    at: Version | Time | Alias | None = None
    kind: Literal["model", "slice"] | None = None

    def __str__(self) -> str:
        kind = f"{self.kind}:" if self.kind else ""
        at = f"@{self.at}" if self.at else ""
        return f"{kind}{self.name}{at}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRef:
    """A run by its id or a unique beginning of it."""

    prefix: str

    def __str__(self) -> str:
        return f"run:{self.prefix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionRef:
    """An interaction by its id or a unique beginning of it."""

    prefix: str

    def __str__(self) -> str:
        return f"int:{self.prefix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalRef:
    """An interaction by what another system calls it."""

    system: str
    id: str

    def __str__(self) -> str:
        return f"ext:{self.system}:{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentRef:
    """An environment."""

    name: str

    def __str__(self) -> str:
        return f"env:{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentRef:
    """An environment's n-th deployment."""

    environment: str
    number: int

    def __str__(self) -> str:
        return f"env:{self.environment}#{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentRef:
    """A component at a version."""

    kind: str
    name: str
    version: str

    def __str__(self) -> str:
        return f"component:{self.kind}:{self.name}@{self.version}"


Ref = (
    NameRef | RunRef | InteractionRef | ExternalRef | EnvironmentRef | DeploymentRef | ComponentRef
)


def parse_ref(text: str) -> Ref:
    """Read a ref.

    Raises:
        InvalidError: it is none; the hint shows how one looks.
        NotFoundError: it has a number that nothing can have.
    """
    if len(text) > MAX_REF_LENGTH:
        raise LimitExceededError(f"a ref has at most {MAX_REF_LENGTH} characters", hint=_EXAMPLES)
    prefix, colon, rest = text.partition(":")
    if not colon or "@" in prefix:
        return _name(text, None)
    if prefix not in _PARSERS:
        raise InvalidError(
            f"{text!r}: nothing is named by {prefix!r}",
            hint=did_you_mean(prefix, _PARSERS) or _EXAMPLES,
        )
    return _PARSERS[prefix](rest, text)


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """A hint with the nearest of the names that exist; empty when none is near.

    >>> did_you_mean("rankr", ["ranker", "thumbs"])
    "did you mean 'ranker'?"
    """
    near = difflib.get_close_matches(word, list(candidates), n=2)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else ""


def _name(text: str, kind: Literal["model", "slice"] | None) -> NameRef:
    name, at_sign, at = text.partition("@")
    return NameRef(name=check_table_name(name), at=_at(at, text) if at_sign else None, kind=kind)


def _at(at: str, text: str) -> Version | Time | Alias:
    if _NUMBER.fullmatch(at):
        return Version(number=_number(at, text))
    if _DATE.match(at):
        return Time(at=parse_time(at))
    if _ALIAS.fullmatch(at):
        return Alias(name=at)
    raise InvalidError(
        f"{text!r}: after '@' comes a version, a time or an alias",
        hint="for example ranker@7, thumbs/en@2026-11-14T09:41Z or ranker@champion",
    )


def _number(digits: str, text: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise NotFoundError(
            f"{text!r} names nothing: no number has more than {MAX_DIGITS} digits",
            hint=_EXAMPLES,
        )
    return int(digits)


def _id(shape: re.Pattern[str], prefix: str, text: str) -> str:
    if shape.fullmatch(prefix) is None:
        raise InvalidError(
            f"{text!r}: expected an id or the first {MIN_PREFIX} or more characters of one",
            hint="for example run:019a8f or int:019a8f3c-5b1e",
        )
    return prefix


def _external(rest: str, text: str) -> ExternalRef:
    system, colon, external_id = rest.partition(":")
    if not (_WORD.fullmatch(system) and colon and external_id and external_id.isprintable()):
        raise InvalidError(
            f"{text!r}: expected a system and its id", hint="for example ext:zendesk:8812"
        )
    return ExternalRef(system=system, id=external_id)


def _environment(rest: str, text: str) -> EnvironmentRef | DeploymentRef:
    name, hash_sign, number = rest.partition("#")
    if not hash_sign:
        return EnvironmentRef(name=check_name(name))
    if _NUMBER.fullmatch(number) is None:
        raise InvalidError(
            f"{text!r}: expected a deployment's number after '#'", hint="for example env:prod-eu#3"
        )
    return DeploymentRef(environment=check_name(name), number=_number(number, text))


def _component(rest: str, text: str) -> ComponentRef:
    kind, _, named = rest.partition(":")
    name, _, version = named.rpartition("@")
    if not (_WORD.fullmatch(kind) and name and version and named.isprintable()):
        raise InvalidError(
            f"{text!r}: expected a component's kind, name and version",
            hint="for example component:prompt:greeting@4",
        )
    return ComponentRef(kind=kind, name=name, version=version)


_PARSERS: dict[str, Callable[[str, str], Ref]] = {
    "component": _component,
    "env": _environment,
    "ext": _external,
    "int": lambda rest, text: InteractionRef(prefix=_id(_INTERACTION, rest.lower(), text)),
    "model": lambda rest, _: _name(rest, "model"),
    "run": lambda rest, text: RunRef(prefix=_id(_RUN, rest, text)),
    "slice": lambda rest, _: _name(rest, "slice"),
}
