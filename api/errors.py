"""How what goes wrong is told: one code a class of errors, and nothing of what was not foreseen.

An error that Backstory raised on purpose is told with its message and hint. Anything else is logged
with the request's id, and only the id leaves.
"""

import logging
from typing import Any

from graphql import GraphQLError

from backstory.lake.errors import (
    BackstoryError,
    ConflictError,
    GoneError,
    IntegrityError,
    InvalidError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)

_log = logging.getLogger("backstory.api")

# The first class that fits tells the code.
CODES: tuple[tuple[type[BackstoryError], str], ...] = (
    (InvalidError, "BAD_USER_INPUT"),
    (GoneError, "GONE"),
    (NotFoundError, "NOT_FOUND"),
    (ConflictError, "CONFLICT"),
    (RefusedError, "REFUSED"),
    (IntegrityError, "INTEGRITY"),
    (UnavailableError, "UNAVAILABLE"),
)


def error_body(message: str, code: str, **more: Any) -> dict[str, Any]:
    """An error of the request as a whole."""
    return {"message": message, "extensions": {"code": code, **more}}


def document_error(error: GraphQLError, code: str) -> dict[str, Any]:
    """An error of the document or of its variables: GraphQL's own words, with their places."""
    return _told(error, error.message, code=code)


def field_error(error: GraphQLError, request_id: str) -> dict[str, Any]:
    """An error that a field met while it was answered."""
    cause = error.original_error
    if isinstance(cause, BackstoryError):
        code = next(code for kind, code in CODES if isinstance(cause, kind))
        hint = {"hint": cause.hint} if cause.hint else {}
        return _told(error, cause.message, code=code, **hint)
    if cause is None or isinstance(cause, GraphQLError):
        return _told(error, error.message, code="BAD_USER_INPUT")
    _log.error("request %s failed in %s", request_id, error.path, exc_info=cause)
    return _told(error, "this is a fault of the server", code="INTERNAL", requestId=request_id)


def _told(error: GraphQLError, message: str, **extensions: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"message": message, "extensions": extensions}
    if error.locations:
        told["locations"] = [{"line": at.line, "column": at.column} for at in error.locations]
    if error.path:
        told["path"] = error.path
    return told
