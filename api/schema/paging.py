"""Pages of long lists by keyset: a cursor holds the sort key of the last row, never an offset.

A cursor carries the name of its list and a MAC under a key of the home, so that a forged one, or
one of another list, is refused. The database is asked for one row more than the page holds, which
tells whether there is a next page.

>>> sealed = seal(b"secret", "runs", 41)
>>> unseal(b"secret", "runs", sealed)
41
"""

import base64
import binascii
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import graphene
from graphene import relay

from backstory.api.schema.fields import argument
from backstory.lake.errors import InvalidError, LimitExceededError

DEFAULT_FIRST = 20
MAX_FIRST = 100
_MAC_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A row with its cursor."""

    node: Any
    cursor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PageInfo:
    """Where a page lies in its list."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some rows of a list."""

    edges: Sequence[Edge]
    page_info: PageInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyset:
    """The order of a list: its name, and what its rows are sorted by.

    Attributes:
        name: with everything that the list is filtered by.
        key: a row's place in the order, unique in the list; JSON can hold it.
        secret: what cursors are sealed with.
    """

    name: str
    key: Callable[[Any], Any]
    secret: bytes

    def after(self, cursor: str | None) -> Any:
        """The sort key that a cursor stands for; None for the first page.

        Raises:
            InvalidError: the cursor is of another list, or of nobody.
        """
        return None if cursor is None else unseal(self.secret, self.name, cursor)

    def page_of(self, rows: Sequence[Any], *, first: int, after: str | None) -> Page:
        """A page of a list that is in memory, in its order.

        Raises:
            InvalidError: the row that the cursor stands for is not in the list.
        """
        check_first(first)
        behind = self.after(after)
        keys = [self.key(row) for row in rows]
        if behind is not None and behind not in keys:
            raise InvalidError("the cursor's row is not there any more", hint="begin again")
        begin = 0 if behind is None else keys.index(behind) + 1
        return self.page(rows[begin : begin + first + 1], first=first, after=after)

    def page(self, rows: Sequence[Any], *, first: int, after: str | None) -> Page:
        """A page of `first` rows, of which one more was asked for."""
        edges = [
            Edge(node=row, cursor=seal(self.secret, self.name, self.key(row)))
            for row in rows[:first]
        ]
        return Page(
            edges=edges,
            page_info=PageInfo(
                has_next_page=len(rows) > first,
                has_previous_page=after is not None,
                start_cursor=edges[0].cursor if edges else None,
                end_cursor=edges[-1].cursor if edges else None,
            ),
        )


def page_arguments() -> dict[str, Any]:
    """The arguments of every paged field."""
    return {
        "first": argument(
            graphene.NonNull(graphene.Int),
            f"How many, 1 to {MAX_FIRST}.",
            default_value=DEFAULT_FIRST,
        ),
        "after": argument(graphene.String, "Continue behind this cursor."),
    }


def check_first(first: int) -> int:
    """The size of a page.

    Raises:
        LimitExceededError: it is out of bounds.
    """
    if not 1 <= first <= MAX_FIRST:
        raise LimitExceededError(
            f"first is {first}, it goes from 1 to {MAX_FIRST}",
            hint="ask for the next page with `after`",
        )
    return first


def seal(secret: bytes, name: str, key: Any) -> str:
    """The cursor of a place in a list."""
    body = json.dumps([name, key], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_mac(secret, body) + body).decode().rstrip("=")


def unseal(secret: bytes, name: str, cursor: str) -> Any:
    """The place that a cursor stands for.

    Raises:
        InvalidError: the cursor is of another list, or of nobody.
    """
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError) as exc:
        raise _refused(cursor) from exc
    mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(secret, body)):
        raise _refused(cursor)
    of, key = json.loads(body)
    if of != name:
        raise InvalidError("the cursor belongs to another list", hint=_HINT)
    return key


_HINT = "take `endCursor` of the page before, and change nothing else"


def _mac(secret: bytes, body: bytes) -> bytes:
    return hmac.digest(secret, b"backstory cursor v1\n" + body, "sha256")[:_MAC_BYTES]


def _refused(cursor: str) -> InvalidError:
    return InvalidError(f"{cursor[:80]!r} is not a cursor", hint=_HINT)


def connection(of: Any) -> Any:
    """The connection type of a type's pages."""
    name = f"{of.__name__}Connection"
    description = f"A page of a list of `{of.__name__}`."
    meta = {"node": of, "strict_types": True, "description": description}
    return type(name, (relay.Connection,), {"Meta": type("Meta", (), meta)})
