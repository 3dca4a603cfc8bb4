"""What was known when: every reader has a horizon, the number of the last audit leaf that it knows.

A row was known at a leaf when it was recorded by then and not yet superseded (`known_in`). The
statements that ask for it are the same now and then: now, the horizon lies behind all leaves. It
travels with the connection, so that no question passes it on. Rows are hidden by when they were
recorded only; by when they were true, the questions themselves choose.

    with store.reader(as_of) as connection:
        connection.execute(select(alias).where(known_in(alias)), horizon(connection))
"""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, FromClause, bindparam, or_
from sqlalchemy.engine import Connection

NOW = 2**63 - 1
_KNOWN = "known"

LAST_KNOWN = bindparam(_KNOWN, type_=BigInteger)


def known_in(rows: FromClause) -> ColumnElement[bool]:
    """The condition that a row of a table, or of an alias of one, is known at the horizon."""
    recorded: ColumnElement[bool] = rows.c.recorded_seq <= LAST_KNOWN
    if "ended_seq" not in rows.c:
        return recorded
    ended = rows.c.ended_seq
    return recorded & or_(ended.is_(None), ended > LAST_KNOWN)


def horizon(connection: Connection) -> dict[str, Any]:
    """The value of `LAST_KNOWN` for a connection."""
    return {_KNOWN: connection.get_execution_options().get(_KNOWN, NOW)}


def is_now(connection: Connection) -> bool:
    """Whether a connection sees what is known now."""
    return _KNOWN not in connection.get_execution_options()


def bound_to(connection: Connection, seq: int) -> Connection:
    """The connection with the horizon at a leaf."""
    return connection.execution_options(**{_KNOWN: seq})
