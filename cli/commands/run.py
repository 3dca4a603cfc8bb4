"""`backstory run`: a training in any language, recorded as a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from backstory.cli.command import verb
from backstory.cli.session import Session
from backstory.cli.views import Sentence

if TYPE_CHECKING:
    from backstory.lineage.home import Home
    from backstory.lineage.trigger import Trigger

_PATH = click.Path(readable=False, path_type=Path)  # who reads it says why not


@verb(
    "run",
    examples=(
        "backstory run --model ranker --input thumbs/en --artifact model/ -- ./train.sh",
        "backstory run --if-due --trigger schedule:daily:every=1d --model r --artifact m -- make",
    ),
)
@click.option("--model", metavar="NAME", required=True, help="The model that is trained.")
@click.option(
    "--input",
    "inputs",
    metavar="SLICE[@REF][:ROLE]",
    multiple=True,
    help="A slice that it reads, as it is now by default, to train by default.",
)
@click.option(
    "--where",
    "conditions",
    metavar="SLICE[:ROLE]=SQL",
    multiple=True,
    help="Which rows of that input it takes; the command applies it.",
)
@click.option(
    "--artifact",
    metavar="PATH",
    required=True,
    type=_PATH,
    help="The file or folder that the command leaves.",
)
@click.option("--metrics", metavar="FILE", type=_PATH, help="JSON that it leaves: numbers by name.")
@click.option(
    "--component",
    "components",
    metavar="KIND:NAME@VERSION[=PATH]",
    multiple=True,
    help="What the version is composed with, like prompt:greeting@4; the path's bytes are kept.",
)
@click.option("--param", "params", metavar="NAME=VALUE", multiple=True, help="To be recorded.")
@click.option(
    "--trigger",
    metavar="TRIGGER",
    help="Why it runs: manual:REASON, schedule:NAME:every=1d, threshold:SLICE:rows=N, "
    "drift:SLICE:metric=M,limit=X,measured=Y, decay:SLICE:column=C,value=V,limit=SHARE, or the "
    "name of one in the settings.",
)
@click.option("--if-due", is_flag=True, help="Do nothing, and end with 0, while it is not due.")
@click.option("--job", metavar="NAME", help="The OpenLineage job; retrain.MODEL by default.")
@click.option("--retention", metavar="NAME", help="The class that says how long its data is kept.")
@click.argument(
    "training", metavar="-- COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED
)
def command(
    session: Session,
    *,
    model: str,
    inputs: Sequence[str],
    conditions: Sequence[str],
    artifact: Path,
    metrics: Path | None,
    components: Sequence[str],
    params: Sequence[str],
    trigger: str | None,
    if_due: bool,
    job: str | None,
    retention: str | None,
    training: Sequence[str],
) -> None:
    """Train by a command, and record it as a run.

    In any language: each input is pinned at an exact version and told to it in the JSON file that
    BACKSTORY_INPUTS names. A version is registered when the command ends with 0 and leaves its
    artifact; else the run is recorded as failed, and the exit code is the command's.
    """
    from backstory.lineage.commanding import CommandFailedError
    from backstory.lineage.input_text import parse_component, parse_inputs, parse_param
    from backstory.lineage.trigger import TriggerNotDue

    with session.home() as home:
        try:
            made = home.run_command(
                model,
                training,
                artifact=artifact,
                inputs=parse_inputs(inputs, conditions),
                components=list(map(parse_component, components)),
                metrics=metrics,
                params=dict(map(parse_param, params)),
                trigger=_trigger(home, model, trigger) if trigger else None,
                job=job,
                retention=retention,
            )
        except TriggerNotDue as exc:
            if not if_due:
                raise
            said = f"not due: {exc.evaluated.reason}"
            session.output.result({"due": False, "version": None}, Sentence(text=said))
            return
        except CommandFailedError as exc:
            click.echo(f"error: {exc.message}", err=True)
            raise click.exceptions.Exit(exc.exit_code) from exc
    session.output.result(
        {"due": True, "version": made.ref}, Sentence(text=f"made {made.ref}", state="ok")
    )


def _trigger(home: "Home", model: str, text: str) -> "Trigger":
    """What is one word without a colon is a name in the settings."""
    from backstory.lineage.input_text import parse_trigger

    is_name = ":" not in text and text != "manual"
    return home.trigger(model, text) if is_name else parse_trigger(text)
