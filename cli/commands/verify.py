"""`backstory verify`: are the bytes still what was recorded?"""

import click

from backstory.cli.command import verb
from backstory.cli.errors import Exit
from backstory.cli.figures import STATE, TEXT, count, size
from backstory.cli.parameters import REF_TEXT
from backstory.cli.session import Session
from backstory.cli.views import Facts, Sentence, Table

_COLUMNS = (
    ("problem", STATE),
    ("where", TEXT),
    ("file", TEXT),
    ("expected", TEXT),
    ("found", TEXT),
)


@verb("verify", examples=("backstory verify", "backstory verify ranker@7 --json"))
@click.argument("ref", type=REF_TEXT, required=False)
def command(session: Session, ref: str | None) -> Exit | None:
    """Check that the bytes are still what was recorded.

    Everything by default: the store and its audit log, every table, artifact and key. Or one slice,
    a slice at a version, or a model version with all that it stands on. Every file is hashed again;
    what differs is named, and the exit code is 5. Settings are yours to edit and are only read.
    """
    from backstory.cli.documents import document

    with session.home() as home, session.output.working(f"verifying {ref or 'everything'}"):
        found = home.verify(ref)
    rows = [(f.problem, f.where, f.path, f.expected, f.found) for f in found.findings]
    hashed = f"{count(found.files, 'file')}, {size(found.size)}"
    if found.intact:
        checked = Facts(heading="", lines=[("checked", what, TEXT) for what in found.checked])
        said = Sentence(text=f"intact: {hashed} hashed", state="intact")
        session.output.result(document(found), said, checked)
        return None
    text = f"{count(len(found.findings), 'finding')} in {hashed}"
    table = Table(columns=_COLUMNS, rows=rows)
    session.output.result(document(found), table, Sentence(text=text, state="damaged"))
    return Exit.INTEGRITY
