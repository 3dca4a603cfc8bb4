"""Who gets a home's events: receivers by name, read from a transport as OpenLineage configures it.

A receiver's name is what its events wait under, so it outlives another order, another URL and
another token. In a `composite` transport it is the name that the configuration gives; elsewhere,
and where a list gives none, it is the kind: `file`, `http` or `kafka`. `async_http` is `http` here:
the outbox sends one event at a time, in order, so there is nothing to do at once.

>>> from pathlib import Path
>>> [r.name for r in read_receivers({"type": "http", "url": "http://marquez:5000"}, Path("."))]
['http']
"""

import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from backstory.lake.errors import InvalidError, LimitExceededError

MAX_RECEIVERS = 16
MAX_RECEIVER_NAME = 64
SETTING = "openlineage.transport"

# What each transport is sent as, and what it cannot do without.
_KINDS: Mapping[str, tuple[str, Mapping[str, type[Any]]]] = {
    "file": ("file", {"log_file_path": str}),
    "http": ("http", {"url": str}),
    "async_http": ("http", {"url": str}),
    "kafka": ("kafka", {"topic": str, "config": dict}),
}
TRANSPORTS = (*_KINDS, "composite")
_WORDS: Mapping[type[Any], str] = {str: "text", dict: "table"}
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_RECEIVER_NAME - 1}}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Somebody who gets every event.

    Attributes:
        name: what its events wait under.
        kind: `file`, `http` or `kafka`.
        config: the transport's configuration as OpenLineage documents it.
    """

    name: str
    kind: str
    config: Mapping[str, Any] = field(repr=False, hash=False)

    @property
    def at_hand(self) -> bool:
        """Whether a run may write to it itself: a file on this machine that nobody has to read."""
        if self.kind != "file":
            return False
        path = self.config["log_file_path"]
        if "filesystem" in self.config or "://" in path:
            return False
        try:
            return not stat.S_ISFIFO(Path(path).stat().st_mode)
        except OSError:
            return True


def read_receivers(transport: Mapping[str, Any], home: Path) -> tuple[Receiver, ...]:
    """The receivers of a transport; relative paths of files are the home's.

    Raises:
        InvalidError: a transport that is not served, or one that lacks what it needs.
        LimitExceededError: more than `MAX_RECEIVERS`.
    """
    if transport.get("type") != "composite":
        return (_receiver(transport, home, SETTING),)
    found = tuple(_receiver(config, home, where) for where, config in _members(transport))
    if len(found) > MAX_RECEIVERS:
        raise LimitExceededError(
            f"{len(found)} OpenLineage receivers", hint=f"configure at most {MAX_RECEIVERS}"
        )
    names = [receiver.name for receiver in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidError(
            f"two OpenLineage receivers are called {twice[0]!r}",
            hint=f"name each: [{SETTING}.transports.NAME]",
        )
    return found


def _members(transport: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Where each transport of a composite one stands, and its configuration with its name."""
    for choice in ("continue_on_failure", "continue_on_success"):
        if transport.get(choice, True) is not True:
            raise InvalidError(
                f"{SETTING}.{choice} is {transport[choice]!r}: each receiver gets each event here",
                hint=f"leave {choice} out, and configure only who is to get the events",
            )
    given = transport.get("transports")
    if not isinstance(given, dict | list) or not given:
        raise InvalidError(
            "the OpenLineage composite transport has no transports",
            hint=f"add a [{SETTING}.transports.NAME] for each receiver",
        )
    items = given.items() if isinstance(given, dict) else ((None, config) for config in given)
    for number, (name, config) in enumerate(items):
        where = f"{SETTING}.transports.{number if name is None else name}"
        if not isinstance(config, dict):
            raise InvalidError(f"{where} is not a table", hint="write its type, and what it needs")
        yield where, config if name is None else {**config, "name": name}


def _receiver(config: Mapping[str, Any], home: Path, where: str) -> Receiver:
    given = config.get("type")
    served = _KINDS.get(given) if isinstance(given, str) else None
    if served is None:
        raise InvalidError(
            f"OpenLineage transport {given!r} is not served",
            hint=f"set {where}.type to one of: {', '.join(TRANSPORTS)}",
        )
    kind, needed = served
    for key, of in needed.items():
        if not isinstance(config.get(key), of):
            raise InvalidError(
                f"the OpenLineage {given} transport has no {key}",
                hint=f"set {where}.{key}, a {_WORDS[of]}",
            )
    name = config.get("name", kind)
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise InvalidError(
            f"an OpenLineage receiver cannot be called {name!r}",
            hint=f"use letters, digits, '.', '_' and '-', at most {MAX_RECEIVER_NAME}",
        )
    anchored = {**config, "type": kind}
    if kind == "file" and "://" not in config["log_file_path"]:
        anchored["log_file_path"] = str(home / config["log_file_path"])
    return Receiver(name=name, kind=kind, config=MappingProxyType(anchored))
