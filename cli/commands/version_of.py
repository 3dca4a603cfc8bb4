"""`backstory version-of`: which model version a file or folder is."""

from pathlib import Path

import click

from backstory.cli.command import verb
from backstory.cli.figures import DIGEST, REF, TEXT, TIME
from backstory.cli.session import Session
from backstory.cli.views import Table

_COLUMNS = (("version", REF), ("aliases", TEXT), ("made", TIME), ("digest", DIGEST))


@verb(
    "version-of",
    examples=(
        "backstory version-of /srv/model.bin",
        "backstory version-of /srv/ranker --loaded --environment prod-eu",
    ),
)
@click.argument("path", type=click.Path(readable=False, path_type=Path))
@click.option("--loaded", is_flag=True, help="Record that it was loaded on this host.")
@click.option("--environment", metavar="ENV", help="Where it serves; with --loaded only.")
def command(session: Session, path: Path, *, loaded: bool, environment: str | None) -> None:
    """Say which model version a file or folder is.

    By the digest of its bytes, wherever it lies and whatever it is called. Several versions may
    have the same bytes; all of them are told, the newest first.
    """
    from backstory.cli.documents import documents

    with session.home() as home, session.output.working(f"hashing {path}"):
        found = home.version_of(path, loaded=loaded, environment=environment)
    rows = [(v.ref, ", ".join(v.aliases) or None, v.at, v.digest) for v in found]
    session.output.result(documents(found), Table(columns=_COLUMNS, rows=rows))
