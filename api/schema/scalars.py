"""The scalars that GraphQL does not have: instants, digests, large counts and open JSON.

>>> Long.serialize(10_214)
10214
>>> DateTime.parse_value("2026-11-14T10:41+01:00").isoformat()
'2026-11-14T09:41:00+00:00'
"""

from datetime import datetime
from typing import Any

import graphene
from graphql import GraphQLError, ValueNode, value_from_ast_untyped

from backstory.lake.errors import InvalidError
from backstory.lineage.times import parse_time, time_text

_LARGEST = 2**63 - 1


class DateTime(graphene.Scalar):
    """An instant in RFC 3339, in UTC on the way out: `2026-11-14T09:41:07Z`.

    On the way in a zone is required; a date alone is its midnight in UTC.
    """

    @staticmethod
    def serialize(value: datetime) -> str:
        """The shortest exact text."""
        return time_text(value)

    @staticmethod
    def parse_value(value: Any) -> datetime:
        """Read a variable."""
        if not isinstance(value, str):
            raise GraphQLError("DateTime is a text like 2026-11-14T09:41:07Z")
        try:
            return parse_time(value)
        except InvalidError as exc:
            raise GraphQLError(f"{exc.message}; {exc.hint}") from exc

    @staticmethod
    def parse_literal(node: ValueNode, _variables: Any = None) -> datetime:
        """Read a literal of a document."""
        return DateTime.parse_value(value_from_ast_untyped(node))


class Digest(graphene.Scalar):
    """A SHA-256 as 64 lower-case hex digits."""

    @staticmethod
    def serialize(value: str) -> str:
        """The digits as they are."""
        return value


class Long(graphene.Scalar):
    """A whole number of up to 64 bits, as a JSON number: counts of rows and bytes."""

    @staticmethod
    def serialize(value: int) -> int:
        """The number; one that 64 bits cannot hold is an error."""
        if not -_LARGEST <= value <= _LARGEST:
            raise GraphQLError("a number is larger than 64 bits hold")
        return value


class JSON(graphene.Scalar):
    """Any JSON value, as somebody else shaped it."""

    @staticmethod
    def serialize(value: Any) -> Any:
        """The value as it is."""
        return value
