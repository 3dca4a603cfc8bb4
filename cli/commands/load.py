"""`backstory load`: the artifact of a model version, and the record that it was loaded."""

from pathlib import Path

import click

from backstory.cli.command import verb
from backstory.cli.parameters import FOLDER, REF_TEXT
from backstory.cli.session import Session
from backstory.cli.views import Verbatim


@verb(
    "load",
    examples=(
        "backstory load ranker@champion --environment prod-eu",
        "backstory load ranker@7 --to /srv/ranker",
    ),
)
@click.argument("ref", type=REF_TEXT)
@click.option("--to", type=FOLDER, metavar="DIR", help="Copy it into an empty or new folder.")
@click.option("--environment", metavar="ENV", help="Where it serves; compared with what should.")
def command(session: Session, ref: str, to: Path | None, environment: str | None) -> None:
    """Print the path of a version's artifact, verified.

    That this process loaded it is recorded, with its host and time. Nothing is refused because
    something else is declared in the environment: a warning says so. Without --to the path lies in
    the home and is only to be read.
    """
    with session.home() as home:
        path = home.load(ref, environment=environment, to=to)
    session.output.result({"path": str(path)}, Verbatim(text=str(path)))
