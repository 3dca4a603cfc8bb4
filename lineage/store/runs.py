"""What the store knows of runs: their states, what they read, their facets and events."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Text, exists, func, select, type_coerce

from backstory.lake.process import Process
from backstory.lineage.run import RunState, StateChange, last_change, not_captured
from backstory.lineage.store import tables as t
from backstory.lineage.store.column_types import Json
from backstory.lineage.store.horizon import horizon, known_in
from backstory.lineage.store.number_list import among
from backstory.lineage.store.prepared import Prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A run with its state as of now.

    Attributes:
        started: when the run began; None where only later events arrived.
        ended: when it completed, failed or was aborted.
        message: why it failed.
        not_captured: what of its reads nobody saw; None where all of them are known.
    """

    id: int
    run_id: str
    namespace: str
    job: str
    model: str | None
    trigger: dict[str, Any] | None
    state: str
    started: datetime | None
    ended: datetime | None
    message: str | None
    not_captured: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRecord:
    """One read of a run: which snapshot, and the selection applied to it."""

    run: int
    snapshot: int
    role: str
    columns: list[str] | None
    filter: str | None
    rows: int | None


_NEWEST = select(t.run.c.id).where(known_in(t.run)).order_by(t.run.c.id.desc())
_RUNS_AND_STATES = Prepared(
    select(
        t.run.c.id,
        t.run.c.run_id,
        t.run.c.namespace,
        t.run.c.job,
        t.run.c.model,
        type_coerce(t.run.c.trigger, Text),  # decoded once a run, not once a state
        exists()
        .where(
            t.run_facet.c.run == t.run.c.id,
            t.run_facet.c.key == "backstory_command",
            known_in(t.run_facet),
        )
        .label("by_command"),
        exists().where(t.run_read.c.run == t.run.c.id, known_in(t.run_read)).label("has_reads"),
        t.run_state.c.state,
        t.run_state.c.at,
        t.run_state.c.message,
    )
    .outerjoin(t.run_state, (t.run_state.c.run == t.run.c.id) & known_in(t.run_state))
    .where(among(t.run.c.id, "ids"))
    .order_by(t.run.c.id.desc(), t.run_state.c.at, t.run_state.c.id)
)
_PROCESSES = Prepared(
    select(
        t.run_process.c.run, t.run_process.c.host, t.run_process.c.pid, t.run_process.c.started
    ).where(among(t.run_process.c.run, "ids"))
)
_READS = Prepared(
    select(
        t.run_read.c.run,
        t.run_read.c.snapshot,
        t.run_read.c.role,
        t.run_read.c.columns,
        t.run_read.c.filter,
        t.run_read.c.rows,
    )
    .where(among(t.run_read.c.run, "ids"), known_in(t.run_read))
    .order_by(t.run_read.c.id)
)


def newest_runs(
    conn: Connection, *, model: str | None = None, limit: int = 50, before: int | None = None
) -> list[RunRecord]:
    """Runs, newest first: of a model where one is given, below `before` where it is."""
    query = _NEWEST.limit(limit)
    if model is not None:
        query = query.where(t.run.c.model == model)
    if before is not None:
        query = query.where(t.run.c.id < before)
    return list(runs_by_id(conn, conn.scalars(query, horizon(conn)).all()).values())


def runs_by_id(conn: Connection, ids: Sequence[int]) -> dict[int, RunRecord]:
    """Runs by id, newest first, each in the state that its changes amount to in any order."""
    rows = _RUNS_AND_STATES.rows(conn, ids=ids) if ids else ()
    return {run: _run_record(list(same)) for run, same in groupby(rows, key=itemgetter(0))}


def runs_with_prefix(conn: Connection, prefix: str, limit: int = 3) -> list[RunRecord]:
    """Runs whose id begins so."""
    query = _NEWEST.where(t.run.c.run_id.startswith(prefix, autoescape=True)).limit(limit)
    return list(runs_by_id(conn, conn.scalars(query, horizon(conn)).all()).values())


def _run_record(rows: Sequence[Sequence[Any]]) -> RunRecord:
    """A run from its rows, one for each of its states; a run without any has one row."""
    number, run_id, namespace, job, model, trigger, by_command, has_reads = rows[0][:8]
    told = [
        StateChange(state=RunState(state), at=at, message=message)
        for *_, state, at, message in rows
        if state is not None
    ]
    last = last_change(told)
    started = [change.at for change in told if change.state is RunState.STARTED]
    return RunRecord(
        id=number,
        run_id=run_id,
        namespace=namespace,
        job=job,
        model=model,
        trigger=Json.parse(trigger),
        state=last.state.value if last else "unknown",
        started=min(started, default=None),
        ended=last.at if last and last.state.ended else None,
        message=last.message if last else None,
        not_captured=not_captured(by_command=by_command, has_reads=has_reads),
    )


def processes_of(conn: Connection, ids: Sequence[int]) -> dict[int, list[Process]]:
    """The processes that run or ran runs."""
    found: dict[int, list[Process]] = {}
    for run, host, pid, started in _PROCESSES.rows(conn, ids=ids) if ids else ():
        found.setdefault(run, []).append(Process(host=host, pid=pid, started=started))
    return found


def run_facets(conn: Connection, run: int) -> dict[str, Any]:
    """A run's current facets by key."""
    query = select(t.run_facet.c.key, t.run_facet.c.body).where(
        t.run_facet.c.run == run, known_in(t.run_facet)
    )
    return {row.key: row.body for row in conn.execute(query, horizon(conn))}


def run_events(conn: Connection, run_id: str, limit: int = 1000) -> list[str]:
    """The raw OpenLineage events of a run, in the order of their times."""
    query = (
        select(t.openlineage_event.c.body)
        .where(t.openlineage_event.c.run_id == run_id, known_in(t.openlineage_event))
        .order_by(t.openlineage_event.c.event_time, t.openlineage_event.c.id)
        .limit(limit)
    )
    return list(conn.execute(query, horizon(conn)).scalars())


def reads_of(conn: Connection, runs: Sequence[int]) -> list[ReadRecord]:
    """What runs read, in the order of reading."""
    return _READS.records(conn, ReadRecord, ids=runs) if runs else []


def readers_of(conn: Connection, snapshots: Sequence[int]) -> list[ReadRecord]:
    """The reads of given snapshots."""
    query = select(
        t.run_read.c.run,
        t.run_read.c.snapshot,
        t.run_read.c.role,
        t.run_read.c.columns,
        t.run_read.c.filter,
        t.run_read.c.rows,
    ).where(t.run_read.c.snapshot.in_(snapshots), known_in(t.run_read))
    return [ReadRecord(**row) for row in conn.execute(query, horizon(conn)).mappings()]


def last_read_of(conn: Connection, model: str, slice_id: int) -> int | None:
    """The newest version of a slice that a completed run of this model has read."""
    query = (
        select(func.max(t.snapshot.c.version))
        .join(t.run_read, t.run_read.c.snapshot == t.snapshot.c.id)
        .join(t.run, t.run.c.id == t.run_read.c.run)
        .join(t.run_state, t.run_state.c.run == t.run.c.id)
        .where(
            t.run.c.model == model,
            t.snapshot.c.slice == slice_id,
            t.run_state.c.state == "completed",
            known_in(t.run_read),
        )
    )
    newest: int | None = conn.execute(query, horizon(conn)).scalar_one()
    return newest


def last_success(conn: Connection, model: str) -> datetime | None:
    """When a run of this model last completed."""
    query = (
        select(func.max(t.run_state.c.at))
        .join(t.run, t.run.c.id == t.run_state.c.run)
        .where(t.run.c.model == model, t.run_state.c.state == "completed")
    )
    ended: datetime | None = conn.execute(query).scalar_one()
    return ended
