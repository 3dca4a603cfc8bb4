"""`backstory diff`: what changed between two versions of a slice."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from backstory.cli.command import verb
from backstory.cli.errors import Exit
from backstory.cli.figures import NUMBER, TEXT, TIME, count
from backstory.cli.parameters import AS_OF, REF_TEXT
from backstory.cli.session import Session
from backstory.cli.views import Facts, Table, View

if TYPE_CHECKING:
    from backstory.lineage.comparing import SnapshotDiff


@verb(
    "diff",
    examples=(
        "backstory diff thumbs/en@12 thumbs/en@58",
        "backstory diff thumbs/en@2026-11-01 thumbs/en --exit-code",
    ),
)
@click.argument("a", type=REF_TEXT)
@click.argument("b", type=REF_TEXT)
@click.option("--exit-code", "by_code", is_flag=True, help="Exit with 10 if the two differ.")
@AS_OF
def command(
    session: Session, a: str, b: str, *, by_code: bool, as_of: datetime | None
) -> Exit | None:
    """Show what changed between two versions of a slice.

    Files added and removed with their rows, who sent the rows between, and the commits.
    """
    from backstory.cli.documents import document

    with session.home() as home:
        found = home.diff(a, b, as_of=as_of)
    session.output.result(document(found), *_views(found))
    files = found.files
    different = bool(files.added or files.removed or files.schema_changes)
    return Exit.DIFFERENT if by_code and different else None


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
