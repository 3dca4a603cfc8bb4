"""`backstory diff`: what changed between two versions of a slice."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from backstory.cli.command import verb
from backstory.cli.errors import Exit
from backstory.cli.figures import NUMBER, TEXT, TIME, count
from backstory.cli.output import Step
from backstory.cli.parameters import AS_OF, FILE, REF_TEXT
from backstory.cli.session import Session
from backstory.cli.views import Facts, Table, View
from backstory.lake.errors import InvalidError

if TYPE_CHECKING:
    from backstory.lake.change_shares import ChangeShares
    from backstory.lineage.comparing import SnapshotDiff
    from backstory.lineage.comparing_rows import RowsCompared


@verb(
    "diff",
    examples=(
        "backstory diff thumbs/en@12 thumbs/en@58 --rows --by 'rating < 3' --out changes.parquet",
        "backstory diff thumbs/en@2026-11-01 thumbs/en --exit-code",
    ),
)
@click.argument("a", type=REF_TEXT)
@click.argument("b", type=REF_TEXT)
@click.option("--rows", "by_row", is_flag=True, help="Compare row by row; the rest is for that.")
@click.option(
    "--by",
    metavar="WHAT",
    help="Count by source, column or signal, or by the value of an SQL expression.",
)
@click.option("--key", metavar="COLUMN", help="What tells rows apart, if not the event id.")
@click.option(
    "--label", metavar="COLUMN", help="Show rows of which another source says another label."
)
@click.option(
    "--about", metavar="A,B", help="What such rows agree in, if not the interaction alone."
)
@click.option("--sample", metavar="N", type=int, help="Show so many rows of each kind.")
@click.option("--columns", metavar="A,B", help="Show these columns only, personal ones too.")
@click.option(
    "--out", metavar="FILE", type=FILE, help="Write all rows to a .jsonl, .csv or .parquet."
)
@click.option("--exit-code", "by_code", is_flag=True, help="Exit with 10 if the two differ.")
@AS_OF
def command(
    session: Session,
    /,
    a: str,
    b: str,
    *,
    by_row: bool,
    by_code: bool,
    as_of: datetime | None,
    **asked: Any,
) -> Exit | None:
    """Show what changed between two versions of a slice.

    Files added and removed with their rows, who sent the rows between, and the commits. With
    --rows: rows added, removed and changed, by column, source and signal, and some of them.
    A changed row is told as before and after. What compaction moved is no change.
    """
    if by_row:
        different = _told_by_row(session, a, b, as_of=as_of, **asked)
        return Exit.DIFFERENT if by_code and different else None
    if given := next((name for name, value in asked.items() if value is not None), None):
        raise click.UsageError(f"--{given} is for --rows")
    from backstory.cli.documents import document

    with session.home() as home:
        found = home.diff(a, b, as_of=as_of)
    session.output.result(document(found), *_views(found))
    files = found.files
    different = bool(files.added or files.removed or files.schema_changes)
    return Exit.DIFFERENT if by_code and different else None


def _told_by_row(
    session: Session,
    a: str,
    b: str,
    *,
    as_of: datetime | None,
    by: str | None,
    key: str | None,
    label: str | None,
    about: str | None,
    sample: int | None,
    columns: str | None,
    out: Path | None,
) -> bool:
    """Compare row by row; whether the two differ."""
    from backstory.cli.documents import document
    from backstory.cli.documents.changes import RowsTold
    from backstory.cli.row_changes import change_views, notes
    from backstory.lake.row_file import check_target
    from backstory.lineage.comparing_rows import DEFAULT_SAMPLE

    if about is not None and label is None:
        raise click.UsageError("--about is for --label")
    if out is not None:
        check_target(out)
    with (
        session.output.working("comparing") as step,
        session.home() as home,
        home.diff_rows(a, b, key=key, label=label, about=_names(about), as_of=as_of) as diff,
    ):
        told = RowsTold(
            diff=diff,
            sample=diff.sample(DEFAULT_SAMPLE if sample is None else sample, _names(columns)),
            by=by,
            groups=_groups(diff, by),
            disagreements=diff.rows.disagreements() if label else None,
            written=_written(diff, out, step),
        )
        data, views, said = document(told), list(change_views(told)), list(notes(told))
        different = bool(diff.counts or diff.schema_changes)
    session.output.result(data, *views)
    for note in said:
        session.output.note(note)
    return different


def _groups(diff: "RowsCompared", by: str | None) -> "ChangeShares | None":
    """The groups that were asked for; columns are counted in any case."""
    if by == "column":
        if diff.rows.shape.key is None:
            raise InvalidError(
                "without a key no row counts as changed, and so no column does",
                hint="name the column that tells rows apart with --key",
            )
        return None
    return diff.by(by) if by else None


def _written(diff: "RowsCompared", out: Path | None, step: Step) -> int | None:
    if out is None:
        return None
    step(f"writing {out.name}")
    return diff.write(out)


def _names(text: str | None) -> list[str] | None:
    return [name.strip() for name in text.split(",")] if text else None


def _views(found: "SnapshotDiff") -> list[View]:
    files = found.files
    views: list[View] = [
        Facts(
            heading=f"{found.base.ref} → {found.head.ref}",
            lines=[
                ("added", f"{count(files.rows_added, 'row')} in {_files(files.added)}", TEXT),
                ("removed", f"{count(files.rows_removed, 'row')} in {_files(files.removed)}", TEXT),
                ("kept", count(files.kept, "file"), TEXT),
                *(
                    (c.column, f"{c.before or 'new'} → {c.after or 'gone'}", TEXT)
                    for c in files.schema_changes
                ),
            ],
        )
    ]
    if found.sources:
        columns = (("source", TEXT), ("commits", NUMBER), ("rows", NUMBER))
        rows = [(s.source, s.commits, s.rows) for s in found.sources]
        views.append(Table(columns=columns, rows=rows))
    if found.commits:
        views.append(_commits(found))
    return views


def _commits(found: "SnapshotDiff") -> Table:
    columns = (
        ("version", NUMBER),
        ("at", TIME),
        ("operation", TEXT),
        ("source", TEXT),
        ("rows", NUMBER),
    )
    rows = [(c.version, c.at, c.operation, c.source, c.rows) for c in found.commits]
    return Table(columns=columns, rows=rows)


def _files(files: tuple[object, ...]) -> str:
    return count(len(files), "file")
