"""`backstory maintain`: compact tables, and remove what nobody needs any more."""

from typing import TYPE_CHECKING

import click

from backstory.cli.command import verb
from backstory.cli.errors import Exit
from backstory.cli.figures import NUMBER, REF, SIZE, TEXT, size
from backstory.cli.session import Session
from backstory.cli.views import Facts, Table

if TYPE_CHECKING:
    from backstory.lineage.maintaining import Maintained

_COLUMNS = (
    ("slice", REF),
    ("compacted", NUMBER),
    ("into", NUMBER),
    ("condemned", NUMBER),
    ("waiting", NUMBER),
    ("rescued", NUMBER),
    ("removed", NUMBER),
    ("freed", SIZE),
    ("log begins", NUMBER),
    ("archived", NUMBER),
    ("problem", TEXT),
)


@verb(
    "maintain",
    examples=(
        "backstory maintain thumbs/en --dry-run",
        "backstory maintain --all",
    ),
)
@click.argument("name", metavar="[SLICE]", required=False)
@click.option("--all", "every", is_flag=True, help="All tables of ours, interactions too.")
@click.option("--dry-run", is_flag=True, help="Change nothing, and show what would be done.")
@click.option("--explain", "file", metavar="FILE", help="Say why a file stays or goes.")
def command(
    session: Session, name: str | None, *, every: bool, dry_run: bool, file: str | None
) -> Exit | None:
    """Compact tables, and remove what nobody needs any more.

    Small data files are rewritten as few, checked row for row before they take their place. Files
    that neither the newest version nor a pin nor a live reader needs are condemned, and removed
    once that is longer ago than the grace of the settings. The log is cut before a checkpoint, and
    what is cut off is archived. Pinned versions stay what they are; unpinned old ones go. In an
    object store tables are compacted, and nothing is removed.
    """
    if (name is None) is not every or (file is not None and name is None):
        raise click.UsageError("name a slice, or --all")
    if file is not None and name is not None:
        _explain(session, name, file)
        return None
    from backstory.cli.documents import documents

    with session.home() as home, session.output.working(f"maintaining {name or 'all tables'}"):
        found = home.maintain(name, dry_run=dry_run)
    table = Table(columns=_COLUMNS, rows=list(map(_row, found)))
    session.output.result(documents(found), table, empty="there is no table")
    if dry_run:
        freed = size(sum(one.freed for one in found))
        session.output.note(f"nothing was changed; {freed} would be free")
    if kept := [one.slice for one in found if one.keeps_all]:
        session.output.note(f"nothing is removed from an object store: {', '.join(kept)}")
    return Exit.FAILURE if any(one.problem for one in found) else None


def _row(one: "Maintained") -> tuple[object, ...]:
    return (
        one.slice,
        one.replaced,
        one.written,
        len(one.condemned),
        len(one.waiting),
        len(one.rescued),
        len(one.removed),
        one.freed,
        one.log_begin,
        one.log_entries,
        one.problem or None,
    )


def _explain(session: Session, name: str, file: str) -> None:
    from backstory.cli.documents import document

    with session.home() as home:
        found = home.explain_file(name, file)
    lines = [("fate", found.fate.value, TEXT), *(("why", why, TEXT) for why in found.reasons)]
    session.output.result(document(found), Facts(heading=found.path, lines=lines))
