"""`backstory restore`: make a home from a backup."""

from pathlib import Path

import click

from backstory.cli.command import verb
from backstory.cli.figures import TEXT
from backstory.cli.parameters import FOLDER, PLACE
from backstory.cli.session import Session
from backstory.cli.views import Facts, Sentence


@verb(
    "restore",
    examples=(
        "backstory restore /mnt/safe/2026-11-24 --to shop/.backstory",
        "backstory restore /mnt/safe/2026-11-24 --to shop/.backstory --db postgresql://app@db/new",
    ),
    interrupted="no home was made; restore again",
)
@click.argument("folder", type=FOLDER)
@click.option("--to", metavar="HOME", type=FOLDER, required=True, help="The home to make.")
@click.option("--db", metavar="URL", help="An empty database; SQLite in the home by default.")
@click.option(
    "--lake", metavar="PLACE", type=PLACE, help="Where the lake lies that is referred to."
)
def command(session: Session, *, folder: Path, to: Path, db: str | None, lake: str | None) -> None:
    """Make a home from a backup.

    HOME must be empty or absent. Every file is compared with the backup's manifest on its way; of a
    damaged backup, or half of one, no home is made. What the lake has and the store has not is
    registered.
    """
    from backstory.lineage.backup.restoring import restore
    from backstory.lineage.store.engine import describe

    with (
        session.output.working("restoring"),
        restore(folder, to, database_url=db, lake=lake) as home,
    ):
        settings = home.settings
        places = {
            "home": str(settings.home.resolve()),
            "store": describe(home.store.engine),
            "lake": str(settings.lake.resolve()),
        }
        has_keys = settings.keys.joinpath("subject.json").exists()
    session.output.result(
        {**places, "keys": has_keys},
        Sentence(text=f"restored a home in {to}", state="ok"),
        Facts(heading="", lines=[(name, place, TEXT) for name, place in places.items()]),
    )
    if not has_keys:
        session.output.note(f"the backup has no keys: put subject.json into {settings.keys}")
