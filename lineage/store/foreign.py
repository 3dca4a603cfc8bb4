"""Commits to tables of ours that others made: ours name the contract that holds from then on."""

from sqlalchemy import Connection, select

from backstory.lineage.store import tables as t
from backstory.lineage.store.horizon import horizon, known_in


def foreign_commits(conn: Connection, limit: int) -> list[str]:
    """The newest such commits, like `thumbs/en@58 (OPTIMIZE)`."""
    query = (
        select(t.slice_.c.name, t.commit.c.version, t.commit.c.operation)
        .join(t.slice_, t.slice_.c.id == t.commit.c.slice)
        .where(
            t.slice_.c.flavour != "linked",
            t.commit.c.contract_version.is_(None),
            known_in(t.commit),
        )
        .order_by(t.commit.c.at.desc(), t.commit.c.version.desc())
        .limit(limit)
    )
    rows = conn.execute(query, horizon(conn))
    return [f"{name}@{version} ({operation})" for name, version, operation in rows]
