"""Contracts and types for tests."""

from datetime import UTC, datetime

import pyarrow as pa
from hypothesis import strategies as st

from backstory.lake.columns import Column, PersonalData, Role
from backstory.lake.contract import Contract
from backstory.lake.signals import Signal
from backstory.lake.types import parse_type

SCALARS = (
    *("bool", "int8", "int16", "int32", "int64", "float32", "float64"),
    *("string", "binary", "date", "timestamp", "decimal(9,4)", "decimal(38,0)"),
)


def contract_of(*columns: Column, **types: str) -> Contract:
    """A contract with the given columns, then plain ones: `contract_of(label="int64")`."""
    plain = tuple(Column(name=name, type=parse_type(text)) for name, text in types.items())
    return Contract(slice="thumbs/en", purpose="improve the ranker", columns=(*columns, *plain))


def column(name: str, type_: str = "string", *, nullable: bool = True) -> Column:
    return Column(name=name, type=parse_type(type_), nullable=nullable)


def subject(name: str = "user") -> Column:
    return Column(name=name, type=pa.string(), role=Role.SUBJECT)


_READABLE = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]) | st.sampled_from("\n\t")
FIELD_NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True)


def types(*, max_leaves: int = 6) -> st.SearchStrategy[pa.DataType]:
    """Every type that a contract may have."""
    decimals = st.integers(1, 38).flatmap(
        lambda digits: st.integers(0, digits).map(lambda scale: pa.decimal128(digits, scale))
    )
    scalars = st.one_of(st.sampled_from([parse_type(text) for text in SCALARS]), decimals)
    return st.recursive(scalars, _nested, max_leaves=max_leaves)


def _nested(parts: st.SearchStrategy[pa.DataType]) -> st.SearchStrategy[pa.DataType]:
    keys = st.sampled_from([pa.string(), pa.int64(), pa.date32()])
    fields = st.dictionaries(FIELD_NAMES, parts, min_size=1, max_size=3)
    return st.one_of(
        parts.map(pa.list_),
        st.builds(pa.map_, keys, parts),
        fields.map(lambda named: pa.struct(list(named.items()))),
    )


def contracts() -> st.SearchStrategy[Contract]:
    """Contracts that users may write."""
    words = st.text(_READABLE, max_size=20)
    return st.builds(
        Contract,
        slice=st.sampled_from(["thumbs", "thumbs/en", "a-1/b_2/c/d"]),
        purpose=words.filter(str.strip),
        version=st.integers(1, 9),
        retention_days=st.none() | st.integers(1, 4000),
        signals=st.lists(_signals(), unique_by=lambda s: s.name, max_size=3).map(tuple),
        description=words,
        columns=st.lists(_columns(), min_size=1, max_size=4, unique_by=lambda c: c.name)
        .map(_distinct_roles)
        .map(tuple),
    )


def _signals() -> st.SearchStrategy[Signal]:
    instants = st.none() | st.datetimes(timezones=st.just(UTC))
    return st.builds(
        Signal,
        name=st.text(_READABLE, max_size=10).filter(str.strip),
        meaning=st.text(_READABLE, max_size=10),
        since=instants,
        until=st.none() | st.just(datetime.max.replace(tzinfo=UTC)),
    )


def _columns() -> st.SearchStrategy[Column]:
    plain = st.builds(
        Column,
        name=FIELD_NAMES,
        type=types(),
        personal=st.sampled_from(PersonalData),
        nullable=st.booleans(),
        description=st.text(_READABLE, max_size=10),
    )
    roles = st.sampled_from([Role.EVENT_ID, Role.SUBJECT, Role.INTERACTION, Role.SOURCE])
    return plain | st.builds(Column, name=FIELD_NAMES, type=st.just(pa.string()), role=roles)


def _distinct_roles(columns: list[Column]) -> list[Column]:
    kept: dict[Role | str, Column] = {found.role or found.name: found for found in columns}
    return list(kept.values())
