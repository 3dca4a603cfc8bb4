"""`column IN (…)` with any count of numbers as one bound value, on SQLite and PostgreSQL.

An expanding IN would be compiled again for every length, and both databases bound the count of
parameters. SQLite takes a JSON array apart; PostgreSQL has arrays.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import TypeEngine


class _Numbers(sa.TypeDecorator[Sequence[int]]):
    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(
            ARRAY(sa.BigInteger) if dialect.name == "postgresql" else sa.Text()
        )

    def process_bind_param(self, value: Sequence[int] | None, dialect: sa.Dialect) -> Any:
        numbers = list(value or ())
        return numbers if dialect.name == "postgresql" else f"[{','.join(map(str, numbers))}]"


class _Among(FunctionElement[bool]):
    """Takes the column and the list as its arguments."""

    inherit_cache = True
    type = sa.Boolean()

    def self_group(self, against: OperatorType | None = None) -> "_Among":  # noqa: ARG002
        """Stand as it is: SQLAlchemy would compare it with 1 on SQLite, which no index answers."""
        return self


def among(column: sa.Column[int], parameter: str) -> ColumnElement[bool]:
    """Whether the column's number is in the list that will be bound to `parameter`."""
    return _Among(column, sa.bindparam(parameter, type_=_Numbers()))


@compiles(_Among)
def _sqlite(element: _Among, compiler: Any, **kw: Any) -> str:
    column, numbers = (compiler.process(part, **kw) for part in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({numbers}))"


@compiles(_Among, "postgresql")
def _postgresql(element: _Among, compiler: Any, **kw: Any) -> str:
    column, numbers = (compiler.process(part, **kw) for part in element.clauses)
    return f"{column} = ANY ({numbers})"
