"""Parameter types: times, refs that a shell completes from the home, files and folders."""

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from backstory.cli.session import Session
from backstory.lake.errors import BackstoryError, InvalidError
from backstory.lineage.times import parse_time


class Instant(click.ParamType[datetime, str]):
    """A time with its zone, or a date; another text is refused with a hint."""

    name = "time"

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,  # noqa: ARG002 - click's signature
        ctx: click.Context | None,  # noqa: ARG002 - click's signature
    ) -> datetime:
        """Read the text."""
        return value if isinstance(value, datetime) else parse_time(value)


class RefText(click.ParamType[str, str]):
    """A ref; what it means is found out by the use case that gets it."""

    name = "ref"

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,  # noqa: ARG002 - click's signature
        ctx: click.Context | None,  # noqa: ARG002 - click's signature
    ) -> str:
        """The text as it is."""
        return str(value)

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002 - click's signature
        incomplete: str,
    ) -> list[CompletionItem]:
        """The refs of the home that begin so; none where it cannot be asked."""
        from backstory.lineage.inspecting import known_refs

        try:
            with Session.of(ctx).home(heal=False) as home:
                return [CompletionItem(ref) for ref in known_refs(home, incomplete)]
        except BackstoryError:
            return []


def pairs(texts: Sequence[str]) -> dict[str, str]:
    """`name=value` texts by name.

    Raises:
        InvalidError: a text has no name or no `=`, or a name is given twice.

    >>> pairs(["depth=4", "note=a=b"])
    {'depth': '4', 'note': 'a=b'}
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals) or name in found:
            raise InvalidError(
                f"{text[:80]!r} is no NAME=VALUE, or its name is given twice",
                hint="write it like depth=4",
            )
        found[name] = value
    return found


INSTANT = Instant()


class PlaceText(click.Path):
    """A folder, or the address of a place in an object store, as it was written."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str:
        """The text that was given, where it is none of a folder."""
        text = os.fspath(value)
        return text if "://" in text else str(super().convert(value, param, ctx))


REF_TEXT = RefText()
AS_OF = click.option("--as-of", metavar="TIME", type=INSTANT, help="As it was known then.")
FILE = click.Path(dir_okay=False, readable=False, path_type=Path)  # who reads it says why not
FOLDER = click.Path(file_okay=False, readable=False, path_type=Path)
PLACE = PlaceText(file_okay=False, readable=False)
