"""`backstory subject`: what the home holds of a person."""

import sys
from datetime import datetime
from typing import TYPE_CHECKING

import click

from backstory.cli.command import verb
from backstory.cli.figures import ID, NUMBER, REF, STATE, TEXT, TIME
from backstory.cli.intervals import interval_table
from backstory.cli.parameters import AS_OF
from backstory.cli.session import Session
from backstory.cli.views import Facts, Table, View
from backstory.lake.errors import InvalidError, LimitExceededError

if TYPE_CHECKING:
    from backstory.lineage.subject import Subject

_HINT = "send one id to standard input: `backstory subject - < id.txt`"


@verb(
    "subject",
    examples=(
        "cat id.txt | backstory subject -",
        f"backstory subject --pseudonym k1:{'9671a701' * 8}",
    ),
)
@click.argument("source", required=False, metavar="-")
@click.option(
    "--pseudonym", metavar="KEYID:HMAC", help="Who it is about, as it stands in the rows."
)
@AS_OF
def command(
    session: Session, source: str | None, pseudonym: str | None, as_of: datetime | None
) -> None:
    """Show what the home holds of a person.

    The id is read from standard input, never from the command line, which shells and process lists
    keep. It is hashed under every subject key of the home, and written nowhere.

    Rows by slice; the snapshots that hold some, and what keeps them; the runs that read those, each
    with the number of the person's rows that its selection let through, exact or as an upper bound;
    the versions that came of it and where they serve; answers that were given to the person. Rows
    of data files that are gone are known too. Where nobody could look is said last.
    """
    from backstory.cli.documents import document

    raw = _raw(source, pseudonym)
    with session.home() as home:
        found = home.subject(raw, pseudonym=pseudonym, as_of=as_of)
    session.output.result(document(found), *_views(found))
    if not (found.slices or found.interactions):
        session.output.note("no row of this person was found")
    for one in found.unknown:
        files = "" if one.files is None else f" ({one.files:,} files)"
        session.output.note(f"not looked into: {one.slice}{files}: {one.why}")


def _raw(source: str | None, pseudonym: str | None) -> str | None:
    """The id on standard input; nothing of what came is repeated in an error."""
    from backstory.lineage.person import MAX_SUBJECT_BYTES

    if source is None:
        if pseudonym is None:
            raise InvalidError("nobody is named", hint=f"{_HINT}, or give --pseudonym")
        return None
    if source != "-":
        raise InvalidError("an id on the command line is kept by shells", hint=_HINT)
    body = sys.stdin.buffer.read(MAX_SUBJECT_BYTES + 3)
    line = body.removesuffix(b"\n").removesuffix(b"\r")
    if len(line) > MAX_SUBJECT_BYTES:
        raise LimitExceededError(
            f"standard input has more than the {MAX_SUBJECT_BYTES:,} bytes of an id", hint=_HINT
        )
    if not line:
        raise InvalidError("standard input is empty", hint=_HINT)
    if b"\n" in line or b"\r" in line:
        raise InvalidError("standard input has more than one line", hint=_HINT)
    try:
        return line.decode()
    except UnicodeDecodeError:
        # Not `from` it: what came in would stand in the traceback.
        raise InvalidError("standard input is not UTF-8 text", hint=_HINT) from None


def _views(found: "Subject") -> list[View]:
    names = Facts(heading="subject", lines=[("pseudonym", name, TEXT) for name in found.pseudonyms])
    tables = [
        _slices(found),
        _snapshots(found),
        _reads(found),
        _versions(found),
        interval_table([one for version in found.versions for one in version.deployments]),
        _interactions(found),
    ]
    return [names, *(table for table in tables if table.rows)]


def _slices(found: "Subject") -> Table:
    return Table(
        columns=(("slice", REF), ("rows", NUMBER), ("files", NUMBER), ("versions", TEXT)),
        rows=[
            (
                f"{one.name}@{one.version}",
                one.rows,
                one.files or None,
                ", ".join(f"{first}..{'' if last is None else last}" for first, last in one.held),
            )
            for one in found.slices
        ],
    )


def _snapshots(found: "Subject") -> Table:
    return Table(
        columns=(("snapshot", REF), ("rows", NUMBER), ("at", TIME), ("kept for", TEXT)),
        rows=[
            (
                snapshot.ref,
                snapshot.rows,
                snapshot.at,
                ", ".join(dict.fromkeys(pin.holder for pin in snapshot.pins)) or None,
            )
            for one in found.slices
            for snapshot in one.snapshots
        ],
    )


def _reads(found: "Subject") -> Table:
    return Table(
        columns=(
            ("run", ID),
            ("snapshot", REF),
            ("rows", NUMBER),
            ("known", STATE),
            ("filter", TEXT),
            ("versions", REF),
        ),
        rows=[
            (
                f"run:{read.run}",
                snapshot.ref,
                read.rows,
                str(read.known),
                read.filter,
                ", ".join(read.versions) or None,
            )
            for one in found.slices
            for snapshot in one.snapshots
            for read in snapshot.reads
        ],
    )


def _versions(found: "Subject") -> Table:
    return Table(
        columns=(("version", REF), ("made", TIME), ("known", STATE)),
        rows=[(version.ref, version.at, str(version.known)) for version in found.versions],
    )


def _interactions(found: "Subject") -> Table:
    return Table(
        columns=(
            ("model", REF),
            ("interactions", NUMBER),
            ("first", TIME),
            ("last", TIME),
            ("table", TEXT),
        ),
        rows=[(one.model, one.rows, one.first, one.last, one.table) for one in found.interactions],
    )
