"""Parameter types of our own."""

from datetime import datetime
from typing import Any

import click

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


INSTANT = Instant()
