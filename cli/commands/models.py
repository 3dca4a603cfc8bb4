"""`backstory models`: the model versions, and their aliases."""

from datetime import datetime

import click

from backstory.cli.command import Family, verb
from backstory.cli.figures import DIGEST, REF, SIZE, TEXT, TIME
from backstory.cli.parameters import INSTANT, REF_TEXT
from backstory.cli.session import Session
from backstory.cli.views import Sentence, Table

_COLUMNS = (
    ("version", REF),
    ("aliases", TEXT),
    ("made", TIME),
    ("artifact", TEXT),
    ("size", SIZE),
    ("digest", DIGEST),
)


@verb("list", examples=("backstory models", "backstory models ranker --json"))
@click.argument("model", type=REF_TEXT, required=False)
def _list(session: Session, model: str | None) -> None:
    """List the model versions.

    Of one model or of all, the newest first.
    """
    from backstory.cli.documents import documents

    with session.home() as home:
        found = home.models(model)
    rows = [
        (
            version.ref,
            ", ".join(version.aliases) or None,
            version.at,
            f"{version.artifact_name} ({version.artifact_kind})",
            version.artifact_size,
            version.artifact,
        )
        for version in found
    ]
    session.output.result(
        documents(found),
        Table(columns=_COLUMNS, rows=rows),
        empty="there are no model versions yet; a retraining makes one",
    )


@verb(
    "alias",
    examples=(
        "backstory models alias ranker@7 champion --reason 'won the holdout'",
        "backstory models alias ranker@6 champion --at 2026-11-14T09:41Z",
    ),
)
@click.argument("ref", type=REF_TEXT)
@click.argument("name")
@click.option("--at", metavar="TIME", type=INSTANT, help="Since when; now by default.")
@click.option("--reason", metavar="TEXT", default="", help="Why, for the audit log.")
def _alias(session: Session, ref: str, name: str, at: datetime | None, reason: str) -> None:
    """Let an alias name a version.

    From now on, or from a time on; what it named before stays in the record.
    """
    from backstory.cli.documents import document

    with session.home() as home:
        move = home.alias(ref, name, at=at, reason=reason)
    before = f", before that {move.before.ref}" if move.before else ""
    text = f"{move.model}@{move.alias} is {move.version.ref}{before}"
    session.output.result(document(move), Sentence(text=text, state="ok"))


command = Family(
    "models",
    default="list",
    commands=[_list, _alias],
    examples=("backstory models ranker", "backstory models alias ranker@7 champion"),
)
