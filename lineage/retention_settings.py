"""Retention classes in the settings: how long pins hold after the last use of their version.

    [retention]
    versions = "standard"       # the class of versions to which nobody gave another

    [retention.classes]
    standard = "forever"
    audit = "3650 days"

`standard` is there in every home, and forever where nothing else is said: what no setting speaks of
is kept.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from backstory.lake.errors import InvalidError, LimitExceededError, NotFoundError

FAILED_RUNS = timedelta(days=14)
STANDARD = "standard"
FOREVER = "forever"
MAX_RETENTION_DAYS = 36_525
MAX_RETENTION_CLASSES = 100

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long pins hold.

    Attributes:
        failed_runs: after the failure of a run, its pins.
        versions: the class of versions to which nobody gave another.
        classes: how long after the last use, by class; None for ever.
    """

    failed_runs: timedelta = FAILED_RUNS
    versions: str = STANDARD
    classes: Mapping[str, timedelta | None] = field(
        default_factory=lambda: MappingProxyType({STANDARD: None})
    )

    def check(self, name: str) -> str:
        """A class that somebody gives.

        Raises:
            NotFoundError: the settings have no such class.
        """
        if name not in self.classes:
            raise NotFoundError(
                f"no retention class is called {name[:80]!r}",
                hint=f"there is {', '.join(sorted(self.classes)[:10])}; "
                "others are made below [retention.classes] in the settings",
            )
        return name


def read_retention(section: Mapping[str, Any], path: Path) -> Retention:
    """Read the `[retention]` of a settings file.

    Raises:
        InvalidError: a length is none, or the class of versions is not among the classes.
        LimitExceededError: there are too many classes.
    """
    given = section.get("classes", {})
    if len(given) > MAX_RETENTION_CLASSES:
        raise LimitExceededError(
            f"{path}: {len(given)} retention classes are more than {MAX_RETENTION_CLASSES}",
            hint="give several kinds of models one class",
        )
    classes = {STANDARD: None} | {n: _class(n, text, path) for n, text in given.items()}
    versions = section.get("versions", STANDARD)
    if versions not in classes:
        raise InvalidError(
            f"{path}: retention.versions is {versions!r}, which is no class",
            hint=f"write one of: {', '.join(sorted(classes)[:10])}",
        )
    failed = section.get("failed_runs")
    return Retention(
        failed_runs=FAILED_RUNS if failed is None else _days("failed_runs", failed, path),
        versions=versions,
        classes=MappingProxyType(classes),
    )


def _class(name: str, text: Any, path: Path) -> timedelta | None:
    if not _NAME.fullmatch(name):
        raise InvalidError(
            f"{path}: retention.classes: {name[:80]!r} is no name of a class",
            hint="up to 63 of a-z, 0-9, _ and -, a letter first",
        )
    return None if text == FOREVER else _days(f"classes.{name}", text, path, forever=True)


def _days(key: str, text: Any, path: Path, *, forever: bool = False) -> timedelta:
    days = re.fullmatch(r"([0-9]{1,6}) days?", text) if isinstance(text, str) else None
    if days is None or int(days[1]) > MAX_RETENTION_DAYS:
        raise InvalidError(
            f"{path}: retention.{key} is {text!r}, not a number of days up to "
            f"{MAX_RETENTION_DAYS:,}",
            hint='write it like "14 days"' + (f', or "{FOREVER}"' if forever else ""),
        )
    return timedelta(days=int(days[1]))
