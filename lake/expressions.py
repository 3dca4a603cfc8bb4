"""Users' conditions over rows: one scalar expression, the same answer for ever.

What a user writes after "where" is parsed by sqlglot and rebuilt from the parsed tree, so that no
engine ever sees a character that was not understood. Everything is refused that is not listed
here: a second statement, sub-queries, files, settings, columns that the table does not have, and
whatever would answer differently tomorrow (`now()`, `random()`). It runs nothing.

>>> import pyarrow as pa
>>> check_expression("label between 3 and 8 -- digits", pa.schema([("label", pa.int64())]))
'"label" BETWEEN 3 AND 8'
"""

import difflib
import re

import pyarrow as pa
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from backstory.lake.errors import InvalidError, LimitExceededError

MAX_EXPRESSION_CHARS = 10_000
MAX_EXPRESSION_DEPTH = 100

_DIALECT = "duckdb"
_CLASS = re.compile(r"<class '[^']*'>")  # sqlglot names its own classes

_VALUES = (
    *(exp.Column, exp.Identifier, exp.Literal, exp.Boolean, exp.Null, exp.Neg, exp.Array),
    *(exp.Dot, exp.Bracket, exp.Interval, exp.Var, exp.DataType, exp.DataTypeParam),
)
_LOGIC = (
    *(exp.And, exp.Or, exp.Not, exp.Paren, exp.Case, exp.If, exp.Coalesce, exp.Nullif),
    *(exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ),
    *(exp.Between, exp.In, exp.Is, exp.Like, exp.ILike, exp.Escape),
)
_FUNCTIONS = (
    *(exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod),
    *(exp.Abs, exp.Round, exp.Floor, exp.Ceil, exp.Greatest, exp.Least, exp.IsNan),
    *(exp.Lower, exp.Upper, exp.Length, exp.Trim, exp.Substring, exp.Concat, exp.DPipe),
    *(exp.StartsWith, exp.EndsWith, exp.Contains, exp.RegexpLike, exp.MD5),
    *(exp.ArrayContains, exp.Cast, exp.TryCast),
    *(exp.TimestampTrunc, exp.DateTrunc, exp.Extract, exp.Year, exp.Month, exp.Day),
)
_ALLOWED = frozenset((*_VALUES, *_LOGIC, *_FUNCTIONS))


def check_expression(text: str, schema: pa.Schema, *, what: str = "where") -> str:
    """Return the expression's canonical text, if it may be run over rows of this schema.

    Args:
        text: one SQL expression in DuckDB's spelling.
        schema: the columns that it may name.
        what: what to call it in errors.

    Raises:
        InvalidError: it is not one expression, or it uses something that is not allowed.
        LimitExceededError: it is too long or nested too deeply.
    """
    if len(text) > MAX_EXPRESSION_CHARS:
        raise LimitExceededError(
            f"{what}: {len(text)} characters; at most {MAX_EXPRESSION_CHARS} are taken",
            hint="keep the expression short, or filter the rows after reading them",
        )
    tree = _parse(text, what)
    _check_depth(tree, what)
    for node in tree.walk():
        if type(node) not in _ALLOWED:
            raise _refused(node, what)
        if isinstance(node, exp.Column):
            _check_column(node, schema)
    return tree.sql(dialect=_DIALECT, identify=True, comments=False)


def _parse(text: str, what: str) -> exp.Expr:
    try:
        trees = sqlglot.parse(text, dialect=_DIALECT)
    except SqlglotError as exc:
        first = str(exc).partition(". Line")[0].partition("\n")[0].rstrip(".")
        reason = _CLASS.sub("an operator", first)
        raise InvalidError(
            f"{what}: {_short(text)!r} is no SQL expression: {reason}",
            hint="give one condition, for example \"label = 3 and source = 'app'\"",
        ) from exc
    except RecursionError as exc:
        raise _too_deep(what) from exc
    match trees:
        case [exp.Expr() as tree]:
            return tree
    raise InvalidError(
        f"{what}: {_short(text)!r} is not exactly one expression",
        hint="give one condition, for example \"label = 3 and source = 'app'\"",
    )


def _check_depth(tree: exp.Expr, what: str) -> None:
    level = [tree]
    for _ in range(MAX_EXPRESSION_DEPTH):
        level = [child for node in level for child in node.iter_expressions()]
        if not level:
            return
    raise _too_deep(what)


def _check_column(column: exp.Column, schema: pa.Schema) -> None:
    # `st.field` parses as a column of a table: the first part has to be the column.
    name = column.parts[0].name
    known = {known.lower(): known for known in schema.names}
    if name.lower() not in known:
        raise unknown_column(name, schema)


def unknown_column(name: str, schema: pa.Schema) -> InvalidError:
    """The error for a column that the rows do not have."""
    near = difflib.get_close_matches(name, schema.names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"its columns are {', '.join(schema.names)}"
    return InvalidError(f"there is no column {name!r}", hint=hint)


def _refused(node: exp.Expr, what: str) -> InvalidError:
    return InvalidError(
        f"{what}: {_short(node.sql(dialect=_DIALECT))!r} is not allowed",
        hint="columns, literals, comparisons, arithmetic and the plain functions of text and time; "
        "no sub-queries, aggregates, files, settings or functions that change with time",
    )


def _too_deep(what: str) -> LimitExceededError:
    return LimitExceededError(
        f"{what}: nested deeper than {MAX_EXPRESSION_DEPTH} levels",
        hint="use IN (…) for long lists of values",
    )


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}…"
