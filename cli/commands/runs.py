"""`backstory runs`: the training runs, and one of them whole."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from backstory.cli.command import Family, verb
from backstory.cli.figures import (
    DIGEST,
    DURATION,
    NUMBER,
    REF,
    STATE,
    TEXT,
    TIME,
    VALUE,
)
from backstory.cli.parameters import AS_OF
from backstory.cli.session import Session
from backstory.cli.views import Facts, Sentence, Table, View
from backstory.lineage.graph import run_key

if TYPE_CHECKING:
    from backstory.lineage.inspecting import RunSummary
    from backstory.lineage.store.runs import RunRecord

_COLUMNS = (
    ("run", REF),
    ("model", TEXT),
    ("state", STATE),
    ("started", TIME),
    ("took", DURATION),
    ("trigger", TEXT),
    ("not captured", TEXT),
)


@verb("list", examples=("backstory runs", "backstory runs --model ranker --limit 5"))
@click.option("--model", metavar="NAME", help="Runs of this model only.")
@click.option("--limit", metavar="N", default=50, show_default=True, help="How many at most.")
@AS_OF
def _list(session: Session, model: str | None, limit: int, *, as_of: datetime | None) -> None:
    """List the training runs.

    The newest first, each with its state and what triggered it.
    """
    from backstory.cli.documents import documents

    with session.home() as home:
        found = home.runs(model, limit=limit, as_of=as_of)
    rows = [
        (
            run_key(run.run_id),
            run.model,
            run.state,
            run.started,
            _took(run),
            _trigger(run),
            run.not_captured,
        )
        for run in found
    ]
    session.output.result(
        documents(found), Table(columns=_COLUMNS, rows=rows), empty="no run is recorded yet"
    )


@verb(
    "show", examples=("backstory runs show 019a8f3c-5b1e", "backstory runs show run:019a8f --json")
)
@click.argument("run", metavar="ID")
@AS_OF
def _show(session: Session, run: str, *, as_of: datetime | None) -> None:
    """Show one run.

    What it read, under which selection; what it made; parameters, metrics, code and environment.
    """
    show_run(session, run, as_of)


def show_run(session: Session, run: str, as_of: datetime | None) -> None:
    """Tell all of one run, to whichever command was asked."""
    from backstory.cli.documents import document

    with session.home() as home:
        found = home.run(run, as_of=as_of)
    views: list[View] = [_facts(found)]
    if found.reads:
        views.append(_reads(found))
    training = found.facets.get("backstory_training") or {}
    for title in ("metrics", "params"):
        if values := training.get(title):
            columns = ((title, TEXT), ("value", VALUE))
            views.append(Table(columns=columns, rows=list(values.items())))
    session.output.result(document(found), *views)


@verb(
    "close",
    examples=(
        "backstory runs close run:019a8f3c-5b1e",
        "backstory runs close 019a8f3c-5b1e --reason 'the machine is gone'",
    ),
)
@click.argument("run", metavar="ID")
@click.option("--reason", metavar="TEXT", help="How that is known, for the audit log.")
def _close(session: Session, run: str, reason: str | None) -> None:
    """Record that a run was abandoned, because its processes were lost.

    Its pins are kept, and what it tells of its own end later beats it.
    """
    from backstory.cli.documents import document
    from backstory.lineage.closing import LOST

    with session.home() as home:
        closed = home.close_run(run, reason=reason or LOST)
    session.output.result(
        document(closed), Sentence(text=f"{run_key(closed.run_id)} is {closed.state}")
    )


def _facts(found: "RunSummary") -> Facts:
    run = found.run
    training = found.facets.get("backstory_training") or {}
    code, environment = training.get("code") or {}, training.get("environment") or {}
    dataset = training.get("dataset") or {}
    return Facts(
        heading=run_key(run.run_id),
        lines=[
            ("state", run.state, STATE),
            ("message", run.message, TEXT),
            ("made", ", ".join(version.ref for version in found.versions) or None, REF),
            ("model", run.model, TEXT),
            ("job", f"{run.namespace}/{run.job}", TEXT),
            ("started", run.started, TIME),
            ("ended", run.ended, TIME),
            ("trigger", _trigger(run), TEXT),
            ("seed", training.get("seed"), TEXT),
            ("trained on", dataset.get("rows"), NUMBER),
            ("code", _code(code), TEXT),
            ("python", environment.get("python"), TEXT),
            ("lock file", environment.get("lockFile"), TEXT),
            ("not captured", run.not_captured, TEXT),
            ("events", len(found.events), NUMBER),
        ],
    )


def _reads(found: "RunSummary") -> Table:
    columns = (
        ("read", REF),
        ("role", TEXT),
        ("rows", NUMBER),
        ("columns", TEXT),
        ("where", TEXT),
        ("digest", DIGEST),
    )
    rows = [
        (
            snapshot.ref,
            read.role,
            read.rows,
            ", ".join(read.columns) if read.columns else "all",
            read.filter,
            snapshot.digest,
        )
        for read, snapshot in found.reads
    ]
    return Table(columns=columns, rows=rows)


def _took(run: "RunRecord") -> object:
    return run.ended - run.started if run.ended and run.started else None


def _trigger(run: "RunRecord") -> str | None:
    if not run.trigger:
        return None
    kind, reason = run.trigger["kind"], run.trigger["reason"]
    return f"{kind}: {reason}" if reason else str(kind)


def _code(code: dict[str, object]) -> str | None:
    if not code.get("commit"):
        return None
    return f"{code['commit']}{' with uncommitted changes' if code.get('dirty') else ''}"


command = Family(
    "runs",
    default="list",
    commands=[_list, _show, _close],
    examples=("backstory runs --model ranker", "backstory runs show 019a8f3c-5b1e"),
)
