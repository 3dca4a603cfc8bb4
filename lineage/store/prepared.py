"""Small reads at the price of the driver: a Core statement, compiled once for each dialect.

A walk sends a statement a level and a trace a few more, each for a handful of rows. Executed by
SQLAlchemy such a statement costs several times what SQLite needs to answer it (26 µs beside 3,
measured). A prepared one goes to the driver's own connection, within the same transaction; its
values and rows pass the same types, its errors come as SQLAlchemy's, and listeners see it.
Parameters that expand (`IN` with a list) are not for it; see `number_list`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc as sa_exc
from sqlalchemy.engine import Connection

_T = TypeVar("_T")
_Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compiled:
    """A statement as a dialect says it.

    Attributes:
        text: the SQL.
        constants: the values that the statement itself holds.
        names: the parameters by position, where the driver wants them so.
        bind: how a parameter's value is handed over, where that is not as it is.
        read: the same for columns, by position.
    """

    text: str
    constants: dict[str, Any]
    names: tuple[str, ...] | None
    bind: tuple[tuple[str, _Convert], ...]
    read: tuple[tuple[int, _Convert], ...]

    def values(self, given: dict[str, Any]) -> Any:
        values = self.constants | given
        for name, convert in self.bind:
            values[name] = convert(values[name])
        return values if self.names is None else [values[name] for name in self.names]


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
        """All rows, as sequences in the order of the columns."""
        dialect = connection.dialect
        ready = self._compiled.get(dialect.name) or self._compile(dialect)
        bound = ready.values(values)
        for listener in connection.dispatch.before_cursor_execute:
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
        binds = compiled.binds.items()
        ready = _Compiled(
            text=str(compiled),
            constants={n: value for n, value in compiled.params.items() if value is not None},
            names=tuple(compiled.positiontup) if compiled.positional else None,
            bind=tuple((n, c) for n, bind in binds if (c := bind.type.bind_processor(dialect))),
            read=tuple(
                (i, c) for i, one in columns if (c := one.type.result_processor(dialect, None))
            ),
        )
        self._compiled[dialect.name] = ready
        return ready


def _converted(rows: list[Any], convert: tuple[tuple[int, _Convert], ...]) -> Iterator[list[Any]]:
    for row in rows:
        values = list(row)
        for position, read in convert:
            values[position] = read(values[position])
        yield values
