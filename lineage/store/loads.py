"""What the store knows of loads: which version a process really loaded, where and when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from backstory.lineage.store import tables as t
from backstory.lineage.store.horizon import horizon, known_in


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRecord:
    """A version that a process loaded.

    Attributes:
        asked: the ref that was asked for, or the path whose digest was known.
        process: its number on its host.
        digest: of the bytes that were loaded.
    """

    id: int
    model_version: int
    model: str
    version: int
    asked: str
    environment: str | None
    host: str
    process: str
    digest: str
    at: datetime

    @property
    def ref(self) -> str:
        """`ranker@7`."""
        return f"{self.model}@{self.version}"


_COLUMNS = (
    t.load.c.id,
    t.load.c.model_version,
    t.model_version.c.model,
    t.model_version.c.number.label("version"),
    t.load.c.asked,
    t.load.c.environment,
    t.load.c.host,
    t.load.c.process,
    t.load.c.digest,
    t.load.c.at,
)
_LOADS = (
    select(*_COLUMNS)
    .join(t.model_version, t.model_version.c.id == t.load.c.model_version)
    .where(known_in(t.load))
)


def newest_loads(
    conn: Connection,
    *,
    limit: int,
    version: int | None = None,
    model: str | None = None,
    environment: str | None = None,
    before: int | None = None,
) -> list[LoadRecord]:
    """Loads, the last recorded first: of a version, of a model, in an environment, or all.

    Args:
        before: only those recorded before the load of that id.
    """
    query = _LOADS.order_by(t.load.c.id.desc())
    if version is not None:
        query = query.where(t.load.c.model_version == version)
    if model is not None:
        query = query.where(t.model_version.c.model == model)
    if environment is not None:
        query = query.where(t.load.c.environment == environment)
    if before is not None:
        query = query.where(t.load.c.id < before)
    return [LoadRecord(**row) for row in conn.execute(query.limit(limit), horizon(conn)).mappings()]


def last_loads(
    conn: Connection, environments: Sequence[str], at: datetime
) -> dict[tuple[str, str], list[LoadRecord]]:
    """The last load on each host until a time, by environment and model, hosts by name."""
    ranked = (
        _LOADS.add_columns(
            func.row_number()
            .over(
                partition_by=(t.load.c.environment, t.model_version.c.model, t.load.c.host),
                order_by=(t.load.c.at.desc(), t.load.c.id.desc()),
            )
            .label("rank")
        )
        .where(t.load.c.environment.in_(environments), t.load.c.at <= at)
        .subquery()
    )
    query = (
        select(*(ranked.c[column.name] for column in _LOADS.selected_columns))
        .where(ranked.c["rank"] == 1)
        .order_by(ranked.c.host)
    )
    found: dict[tuple[str, str], list[LoadRecord]] = {}
    for row in conn.execute(query, horizon(conn)).mappings():
        load = LoadRecord(**row)
        found.setdefault((str(load.environment), load.model), []).append(load)
    return found
