"""`backstory show`: a slice at a version or a time, or a run."""

import json
from datetime import datetime
from typing import TYPE_CHECKING

import click

from backstory.cli.command import verb
from backstory.cli.commands.runs import show_run
from backstory.cli.figures import (
    DIGEST,
    DIGITS,
    NUMBER,
    PATH,
    SIZE,
    TEXT,
    TIME,
    count,
    recorded,
    value_kind,
)
from backstory.cli.parameters import AS_OF, REF_TEXT
from backstory.cli.session import Session
from backstory.cli.views import Facts, Table, Verbatim, View
from backstory.lake.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstory.lineage.inspecting import Shown


@verb(
    "show",
    examples=(
        "backstory show thumbs/en@2026-11-14T09:41Z",
        'backstory show thumbs/en@58 --where "rating < 3" --columns at,rating --rows 20',
    ),
)
@click.argument("ref", type=REF_TEXT)
@click.option("--rows", metavar="N", type=int, help="Show that many rows, and nothing else.")
@click.option("--columns", metavar="A,B", help="Show these columns only.")
@click.option("--where", metavar="SQL", help="Show rows that meet a condition only.")
@click.option("--schema", is_flag=True, help="Show the contract, as YAML.")
@click.option("--files", is_flag=True, help="Show the data files with their digests.")
@AS_OF
def command(
    session: Session,
    ref: str,
    rows: int | None,
    columns: str | None,
    where: str | None,
    *,
    schema: bool,
    files: bool,
    as_of: datetime | None,
) -> None:
    """Show a slice at a version or a time, or a run.

    Its digest, size, commit and pins, and its first rows. An option that asks for rows, the
    contract or the files shows that alone. A run is told as by `backstory runs show`.
    """
    from backstory.cli.documents import document
    from backstory.lineage.inspecting import DEFAULT_ROWS

    if ref.startswith("run:"):
        if schema or files or where or columns or rows is not None:
            raise InvalidError(
                f"{ref} is a run, which has no rows, contract or files of its own",
                hint="leave the option out; `backstory trace` names what it read",
            )
        show_run(session, ref, as_of)
        return
    names = [name.strip() for name in columns.split(",")] if columns else None
    with session.home() as home:
        shown = home.show(
            ref,
            rows=DEFAULT_ROWS if rows is None else rows,
            columns=names,
            where=where,
            as_of=as_of,
        )
    if schema:
        contract = json.loads(shown.contract.to_json())
        session.output.result(contract, Verbatim(text=shown.contract.to_yaml()))
        _say_what_is_added(session, shown)
    elif files:
        session.output.result(document(shown)["files"], _files(shown))
    elif rows is not None or columns or where:
        how_many = _how_many(shown, selected=where is not None)
        session.output.result(document(shown)["sample"], _sample(shown), empty=how_many)
        if shown.rows and how_many:
            session.output.note(how_many)
    else:
        views: list[View] = [_facts(shown)]
        session.output.result(document(shown), *views, *([_sample(shown)] if shown.rows else []))


def _facts(shown: "Shown") -> Facts:
    snapshot, commit = shown.snapshot, shown.at.commit
    return Facts(
        heading=shown.at.ref,
        lines=[
            ("digest", snapshot.digest, DIGITS),
            ("rows", snapshot.rows, NUMBER),
            ("size", snapshot.size, SIZE),
            ("files", len(snapshot.manifest.files), NUMBER),
            ("committed", commit.at if commit else None, TIME),
            ("recorded", recorded(commit.recorded_at, commit.late) if commit else None, TEXT),
            ("source", commit.source if commit else None, TEXT),
            ("purpose", shown.contract.purpose, TEXT),
            *(("pinned", f"{p.strength} by {p.holder}: {p.reason}", TEXT) for p in shown.pins),
        ],
    )


def _files(shown: "Shown") -> Table:
    return Table(
        columns=(("path", PATH), ("rows", NUMBER), ("size", SIZE), ("sha256", DIGEST)),
        rows=[
            (file.path, file.rows, file.size, file.sha256 or None)
            for file in shown.snapshot.manifest.files
        ],
    )


def _sample(shown: "Shown") -> Table:
    names: Sequence[str] = list(shown.rows[0]) if shown.rows else []
    columns = [(name, value_kind([row[name] for row in shown.rows])) for name in names]
    return Table(columns=columns, rows=[list(row.values()) for row in shown.rows], whole=True)


def _how_many(shown: "Shown", *, selected: bool) -> str:
    """How many rows there are, where the sample does not show them all."""
    if not shown.matching:
        return f"no row of {shown.at.ref} matches" if selected else f"{shown.at.ref} has no rows"
    if len(shown.rows) == shown.matching:
        return ""
    which = " that match" if selected else ""
    return f"{len(shown.rows):,} of {count(shown.matching, 'row')}{which}; see --rows"


def _say_what_is_added(session: Session, shown: "Shown") -> None:
    """Name the columns that stand in no contract, as Backstory writes them."""
    own = shown.snapshot.schema.names
    added = [name for name in shown.snapshot.full_schema.names if name not in own]
    if added:
        session.output.note(f"every row also has {', '.join(added)}; ask for them with --columns")
