"""`backstory quarantine`: the rows that did not fit: list, show, mend, send again, give up."""

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from backstory.cli.command import Family, verb
from backstory.cli.figures import ID, NUMBER, REF, TEXT, TIME
from backstory.cli.parameters import FILE, REF_TEXT
from backstory.cli.session import Session
from backstory.cli.views import Sentence, Table, Verbatim

if TYPE_CHECKING:
    from backstory.lineage.quarantining import Replayed
    from backstory.lineage.store.quarantines import QuarantineRecord

SHOWN_ROWS = 20
_BATCHES = (
    ("commit", REF),
    ("at", TIME),
    ("source", TEXT),
    ("file", TEXT),
    ("rows", NUMBER),
    ("waiting", NUMBER),
    ("replayed", NUMBER),
    ("dropped", NUMBER),
    ("reasons", TEXT),
)
_ROWS = (("row", ID), ("source", TEXT), ("file", TEXT), ("reasons", TEXT), ("kept", TEXT))
_VERSION = click.option(
    "--commit",
    "version",
    metavar="N",
    type=click.IntRange(min=0),
    help="Only the rows of the batch of this commit.",
)


@verb("list", examples=("backstory quarantine", "backstory quarantine list thumbs/en --json"))
@click.argument("slice_name", type=REF_TEXT, metavar="SLICE", required=False)
def _list(session: Session, slice_name: str | None) -> None:
    """List the batches with rows that did not fit, with reasons.

    Of one slice or of all. A row with several faults counts for each of its reasons.
    """
    from backstory.cli.documents import documents

    with session.home() as home:
        found = home.quarantined(slice_name)
    session.output.result(
        documents(found),
        Table(columns=_BATCHES, rows=list(map(_batch, found))),
        empty="no row is in quarantine",
    )


def _batch(batch: "QuarantineRecord") -> tuple[object, ...]:
    reasons = ", ".join(f"{reason} ({count})" for reason, count in batch.reasons.items())
    return (
        f"{batch.slice_name}@{batch.version}",
        batch.at,
        batch.source,
        batch.file,
        batch.rows,
        batch.waiting,
        len(batch.replayed),
        len(batch.dropped),
        reasons,
    )


@verb(
    "show",
    examples=("backstory quarantine show thumbs/en", "backstory quarantine show thumbs --json"),
)
@click.argument("slice_name", type=REF_TEXT, metavar="SLICE")
@_VERSION
@click.option(
    "--rows",
    metavar="N",
    type=click.IntRange(1, 10_000),
    default=SHOWN_ROWS,
    help="At most so many.",
)
def _show(session: Session, *, slice_name: str, version: int | None, rows: int) -> None:
    """Show the rows that wait: why, and what is kept of them.

    A row is named COMMIT:ROW; the row is its line in JSONL, its record in CSV, its place elsewhere.
    """
    from backstory.cli.documents import documents

    with session.home() as home:
        found = list(islice(home.quarantined_rows(slice_name, version), rows))
    shown = [
        (
            one.key,
            one.batch.source,
            one.batch.file,
            one.told,
            json.dumps(one.row.fields) if one.row.fields is not None else one.row.text,
        )
        for one in found
    ]
    session.output.result(
        documents(found), Table(columns=_ROWS, rows=shown), empty="no row waits in quarantine"
    )


@verb(
    "export",
    examples=(
        "backstory quarantine export thumbs/en > mend.jsonl",
        "backstory quarantine export thumbs/en --commit 58 > mend.jsonl",
    ),
)
@click.argument("slice_name", type=REF_TEXT, metavar="SLICE")
@_VERSION
def _export(session: Session, *, slice_name: str, version: int | None) -> None:
    """Write the rows that wait as JSON lines, to be mended and replayed.

    Each line has the row's fields and, beside them, its name in `_quarantine`, its faults in
    `_reasons`, and what was not kept of it in `_left_out`: take that field away when you have added
    what it names.
    """
    with session.home() as home:
        lines = [one.to_json() for one in home.quarantined_rows(slice_name, version)]
    text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
    session.output.result(lines, Verbatim(text=text), empty="no row waits in quarantine")


@verb(
    "replay",
    examples=(
        "backstory quarantine replay thumbs/en mend.jsonl",
        "backstory quarantine replay thumbs/en --commit 58",
    ),
    interrupted="repeat the command: what landed is not stored twice",
)
@click.argument("slice_name", type=REF_TEXT, metavar="SLICE")
@click.argument("mended", type=FILE, metavar="FILE", required=False)
@_VERSION
def _replay(session: Session, *, slice_name: str, mended: Path | None, version: int | None) -> None:
    """Send rows again, mended in FILE or as they are, under the contract as it is now.

    What fits lands once, however often it is sent; what still does not fit goes on waiting.
    """
    from backstory.cli.documents import document

    with session.home() as home:
        done = home.replay_quarantine(slice_name, mended, version=version)
    session.output.result(document(done), Sentence(text=_said(done), state="ok"))
    for key, fault in list(done.faults.items())[:SHOWN_ROWS]:
        session.output.note(f"row {key} waits: {fault}")


def _said(done: "Replayed") -> str:
    where = f" in {', '.join(f'{done.slice}@{v}' for v in done.versions)}" if done.versions else ""
    known = f", {done.duplicate:,} had landed before" if done.duplicate else ""
    rows = "row" if done.accepted == 1 else "rows"
    return f"{done.accepted:,} {rows} landed{where}{known}, {done.rejected:,} still wait"


@verb(
    "drop",
    examples=(
        "backstory quarantine drop thumbs/en 58:3 58:7 --reason 'a test of the app'",
        "backstory quarantine drop thumbs/en --all --reason 'sent again by the app'",
    ),
)
@click.argument("slice_name", type=REF_TEXT, metavar="SLICE")
@click.argument("rows", metavar="ROW...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every row that waits.")
@click.option("--reason", metavar="TEXT", required=True, help="Why, for the audit log.")
def _drop(
    session: Session, *, slice_name: str, rows: Sequence[str], every: bool, reason: str
) -> None:
    """Give rows up; what is kept of them goes with the last row of their batch."""
    if bool(rows) == every:
        raise click.UsageError("name the rows, such as 58:3, or say --all")
    with session.home() as home:
        dropped = home.drop_quarantine(slice_name, None if every else rows, reason=reason)
    told = f"{dropped:,} {'row' if dropped == 1 else 'rows'} of {slice_name} dropped"
    session.output.result(
        {"slice": slice_name, "dropped": dropped}, Sentence(text=told, state="ok")
    )


command = Family(
    "quarantine",
    default="list",
    commands=[_list, _show, _export, _replay, _drop],
    examples=("backstory quarantine thumbs/en", "backstory quarantine replay thumbs/en mend.jsonl"),
)
