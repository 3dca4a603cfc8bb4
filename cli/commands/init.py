"""`backstory init`: make a home."""

import os
from pathlib import Path

import click

from backstory.cli.command import verb
from backstory.cli.figures import TEXT
from backstory.cli.parameters import FOLDER, PLACE
from backstory.cli.session import Session
from backstory.cli.views import Facts, Sentence


@verb(
    "init",
    examples=(
        "backstory init",
        "backstory init shop --db postgresql://app@db/lineage --lake s3://shop/lake",
    ),
)
@click.argument("path", required=False, type=FOLDER)
@click.option("--db", metavar="URL", help="Where the store is; SQLite in the home by default.")
@click.option(
    "--lake",
    metavar="PLACE",
    type=PLACE,
    help="Where the tables are, a folder or s3://bucket/name; in the home by default.",
)
@click.option("--artifacts", metavar="PLACE", type=PLACE, help="Where the artifacts are; likewise.")
def command(
    session: Session, path: Path | None, db: str | None, lake: str | None, artifacts: str | None
) -> None:
    """Make a home.

    A home is the folder .backstory in PATH, or here: the store, the tables, the artifacts and the
    key that turns subjects into pseudonyms. Commands find it from any folder below.
    """
    from backstory.lineage import home
    from backstory.lineage.settings import HOME_FOLDER
    from backstory.lineage.store.engine import describe

    named = session.home_path or os.environ.get("BACKSTORY_HOME")
    folder = (path or Path()) / HOME_FOLDER if path or not named else Path(named)
    with home.init(folder, database_url=db, lake=lake, artifacts=artifacts) as made:
        settings = made.settings
        store = describe(made.store.engine)
    places = {
        "home": str(settings.home.resolve()),
        "store": store,
        "lake": str(settings.lake.resolve()),
        "key": str(settings.keys.resolve()),
    }
    session.output.result(
        places,
        Sentence(text=f"made a home in {settings.home}", state="ok"),
        Facts(heading="", lines=[(name, place, TEXT) for name, place in places.items()]),
    )
    session.output.note("next: backstory slices create CONTRACT.yaml")
    session.output.note("      backstory ingest SLICE FILE")
    session.output.note("      backstory help refs")
