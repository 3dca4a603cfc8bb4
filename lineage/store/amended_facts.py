"""What rows that were amended say, and those that superseded them, by the name of their table.

Whatever the horizon: an ended row says what it said.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, select

from backstory.lineage.graph import deployment_key, version_key
from backstory.lineage.store import tables as t
from backstory.lineage.times import time_text

Said = Mapping[str, Any]
Facts = dict[int, tuple[str, Said]]  # a thing's key and what is said of it, by the row


_INTERVALS = (
    select(
        t.deployment_interval.c.id,
        t.deployment.c.environment,
        t.deployment.c.number,
        t.deployment_interval.c.share,
        t.deployment_interval.c.from_at,
        t.deployment_interval.c.until_at,
    )
    .join(t.deployment, t.deployment.c.id == t.deployment_interval.c.deployment)
    .where(t.deployment_interval.c.id.in_(bindparam("ids", expanding=True)))
)


def _intervals(conn: Connection, ids: Sequence[int]) -> Facts:
    return {
        row.id: (
            deployment_key(row.environment, row.number),
            {
                "share": row.share,
                "from": time_text(row.from_at),
                "until": time_text(row.until_at) if row.until_at else None,
            },
        )
        for row in conn.execute(_INTERVALS, {"ids": list(ids)})
    }


_ALIASES = (
    select(
        t.alias.c.id,
        t.alias.c.model,
        t.alias.c.alias,
        t.model_version.c.number,
        t.alias.c.from_at,
    )
    .join(t.model_version, t.model_version.c.id == t.alias.c.model_version)
    .where(t.alias.c.id.in_(bindparam("ids", expanding=True)))
)


def _aliases(conn: Connection, ids: Sequence[int]) -> Facts:
    return {
        row.id: (
            f"{row.model}@{row.alias}",
            {"version": version_key(row.model, row.number), "from": time_text(row.from_at)},
        )
        for row in conn.execute(_ALIASES, {"ids": list(ids)})
    }


_TOLD = ("artifact_uri", "declared_digest")
_DECLARATIONS = select(
    t.declaration.c.id, t.entity.c.key, *(t.declaration.c[name] for name in _TOLD)
).join(t.entity, t.entity.c.id == t.declaration.c.model_version)
_VERSIONS = select(
    t.model_version.c.id, t.entity.c.key, *(t.model_version.c[name] for name in _TOLD)
).join(t.entity, t.entity.c.id == t.model_version.c.id)
_UPSTREAM, _DOWNSTREAM = t.entity.alias("upstream"), t.entity.alias("downstream")


def _declarations(conn: Connection, ids: Sequence[int]) -> Facts:
    """What was said of the bytes of versions; a negative number is a version's own row."""
    amended = _DECLARATIONS.where(t.declaration.c.id.in_([n for n in ids if n > 0]))
    first = _VERSIONS.where(t.model_version.c.id.in_([-n for n in ids if n < 0]))
    said = [(row.id, row) for row in conn.execute(amended)]
    said += [(-row.id, row) for row in conn.execute(first)]
    return {
        number: (row.key, {"artifact": row.artifact_uri, "digest": row.declared_digest})
        for number, row in said
    }


def _edges(conn: Connection, ids: Sequence[int]) -> Facts:
    rows = conn.execute(
        select(t.edge.c.id, _UPSTREAM.c.key.label("src"), _DOWNSTREAM.c.key.label("dst"))
        .join(_UPSTREAM, _UPSTREAM.c.id == t.edge.c.src)
        .join(_DOWNSTREAM, _DOWNSTREAM.c.id == t.edge.c.dst)
        .where(t.edge.c.id.in_(ids))
    )
    return {row.id: (row.dst, {"trainedOn": row.src}) for row in rows}


READERS: Mapping[str, Callable[[Connection, Sequence[int]], Facts]] = {
    t.deployment_interval.name: _intervals,
    t.alias.name: _aliases,
    t.declaration.name: _declarations,
    t.edge.name: _edges,
}
