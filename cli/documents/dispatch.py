"""What gives a record its JSON, by its type; and a time that may be absent."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import singledispatch
from typing import Any

from backstory.lineage.times import time_text

Document = dict[str, Any]


@singledispatch
def document(thing: object) -> Document:
    """The JSON of a record."""
    raise TypeError(f"{type(thing).__name__} has no JSON form")


def documents(things: Iterable[object]) -> list[Document]:
    """The JSON of some records."""
    return [document(thing) for thing in things]


def time_or_null(at: datetime | None) -> str | None:
    """The text of a time that may not apply."""
    return None if at is None else time_text(at)


def seconds_or_null(span: timedelta | None) -> float | None:
    """The seconds of a span that may not apply."""
    return None if span is None else span.total_seconds()


def recorded(at: datetime | None, late: timedelta | None) -> Document:
    """When a fact was recorded, and how late that is; nothing where nobody asked, as in a walk."""
    if at is None:
        return {}
    return {"recordedAt": time_text(at), "lateSeconds": seconds_or_null(late)}
