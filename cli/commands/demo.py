"""`backstory demo`: the whole loop on real data, told as a story."""

from pathlib import Path

import click

from backstory.cli.command import verb
from backstory.cli.session import Session

DEFAULT_FOLDER = "backstory-demo"


@verb(
    "demo",
    examples=("backstory demo", "backstory demo --seed 7 elsewhere"),
    interrupted="the next demo in that folder begins anew",
)
@click.argument("path", default=DEFAULT_FOLDER, type=click.Path(path_type=Path))
@click.option("--seed", default=0, show_default=True, help="Of everything that is random.")
def command(session: Session, path: Path, seed: int) -> None:
    """Run the whole loop on real data, in a minute.

    Handwritten digits are read by a real classifier, clerks correct it, it is retrained, and one
    parcel goes to the wrong town. Then Backstory finds out why. The home stays in PATH; one that
    an earlier demo left there is replaced, anything else is left alone.
    """
    from backstory.cli.demo.opening import run_demo

    run_demo(path, seed=seed, output=session.output)
