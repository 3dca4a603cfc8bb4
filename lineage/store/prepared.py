"""Small reads at the price of the driver: a Core statement, compiled once for each dialect.

A walk sends a statement a level and a trace a few more, each for a handful of rows. Executed by
SQLAlchemy such a statement costs several times what SQLite needs to answer it (26 µs beside 3,
measured). A prepared one goes to the driver's own connection, within the same transaction; its
values and rows pass the same types, its errors come as SQLAlchemy's, and listeners see it.
Parameters that expand (`IN` with a list) are not for it; see `number_list`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc as sa_exc
from sqlalchemy.engine import Connection

from backstory.lineage.store.horizon import horizon

_T = TypeVar("_T")
_Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compiled:
    """A statement as a dialect says it.

    Attributes:
        text: the SQL.
        parameters: by position, each with how its value is taken from those that are given.
        by_name: whether the driver wants them by name.
        read: how a column's value is read, by position, where that is not as it is.
    """

    text: str
    parameters: tuple[tuple[str, _Convert], ...]
    by_name: bool
    read: tuple[tuple[int, _Convert], ...]

    def values(self, given: Mapping[str, Any]) -> Any:
        if self.by_name:
            return {name: take(given) for name, take in self.parameters}
        return [take(given) for _, take in self.parameters]


class Prepared:
    """A statement that is compiled once.

    Args:
        statement: a SELECT without parameters that expand.
    """

    def __init__(self, statement: sa.Select[Any]) -> None:
        self.fields = statement.selected_columns.keys()
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def rows(self, connection: Connection, **values: Any) -> list[Any]:
        """All rows, as sequences in the order of the columns, at the connection's horizon."""
        dialect = connection.dialect
        ready = self._compiled.get(dialect.name) or self._compile(dialect)
        bound = ready.values(horizon(connection) | values)
        for listener in connection.engine.dispatch.before_cursor_execute:
            listener(connection, None, ready.text, bound, None, False)
        driver: Any = connection.connection.driver_connection
        try:
            rows: list[Any] = driver.execute(ready.text, bound).fetchall()
        except dialect.loaded_dbapi.Error as exc:
            raise sa_exc.DBAPIError(None, None, exc) from exc
        return list(_converted(rows, ready.read)) if ready.read else rows

    def records(self, connection: Connection, make: Callable[..., _T], **values: Any) -> list[_T]:
        """All rows, each made into a record by the names of its columns."""
        fields = self.fields
        rows = self.rows(connection, **values)
        return [make(**dict(zip(fields, row, strict=True))) for row in rows]

    def _compile(self, dialect: sa.Dialect) -> _Compiled:
        compiled: Any = self._statement.compile(dialect=dialect)
        columns = enumerate(self._statement.selected_columns)
        ready = _Compiled(
            text=str(compiled),
            parameters=tuple(
                (name, _taken(compiled.binds[name], dialect))
                for name in compiled.positiontup or compiled.binds
            ),
            by_name=not compiled.positional,
            read=tuple(
                (i, c) for i, one in columns if (c := one.type.result_processor(dialect, None))
            ),
        )
        self._compiled[dialect.name] = ready
        return ready


def _taken(bind: sa.BindParameter[Any], dialect: sa.Dialect) -> _Convert:
    """How a parameter's value is taken from those given; a constant is the statement's own."""
    convert = bind.type.bind_processor(dialect)
    if not bind.required:
        constant = convert(bind.value) if convert else bind.value
        return lambda _given: constant
    name = bind.key
    return (lambda given: convert(given[name])) if convert else itemgetter(name)


def _converted(rows: list[Any], convert: tuple[tuple[int, _Convert], ...]) -> Iterator[list[Any]]:
    for row in rows:
        values = list(row)
        for position, read in convert:
            values[position] = read(values[position])
        yield values
