"""`backstory backup`: take a copy of a home, while it is at work."""

from pathlib import Path

import click

from backstory.cli.command import verb
from backstory.cli.figures import DIGEST, NUMBER, SIZE, TEXT, TIME
from backstory.cli.parameters import FOLDER
from backstory.cli.session import Session
from backstory.cli.views import Facts, Sentence


@verb(
    "backup",
    examples=(
        "backstory backup /mnt/safe/2026-11-24",
        "backstory backup /mnt/safe/2026-11-24 --lake reference --without-keys",
    ),
    interrupted="nothing was taken; take the backup again",
)
@click.argument("folder", type=FOLDER)
@click.option(
    "--lake",
    type=click.Choice(["copy", "reference"]),
    default="copy",
    show_default=True,
    help="Copy the tables, or refer to them where they lie.",
)
@click.option("--without-keys", is_flag=True, help="Leave the subject keys out.")
def command(session: Session, *, folder: Path, lake: str, without_keys: bool) -> None:
    """Take a backup of the home, while it is at work.

    Into an empty or absent FOLDER. The copy shows the home at one instant: store, tables, pins,
    artifacts, settings and keys. Others may append, train and deploy meanwhile. It appears whole or
    not at all. Whoever has it can match pseudonyms to people they know, unless it is without keys:
    keep it as you keep the home.
    """
    from backstory.cli.documents import document

    with session.home() as home, session.output.working("backing up"):
        taken = home.backup(folder, lake=lake, keys=not without_keys)
    manifest = taken.manifest
    lines = [
        ("as of", manifest.at, TIME),
        ("files", len(manifest.files), NUMBER),
        ("size", manifest.size, SIZE),
        ("manifest", manifest.digest, DIGEST),
        ("lake", manifest.lake or "copied", TEXT),
        ("keys", "included" if manifest.with_keys else "left out", TEXT),
    ]
    session.output.result(
        document(taken),
        Sentence(text=f"backed up to {folder}", state="ok"),
        Facts(heading="", lines=lines),
    )
    if without_keys:
        session.output.note("keep keys/subject.json elsewhere: it is not in this backup")
