"""`backstory interactions`: where they lie, and the tables of others that are read as such."""

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from backstory.cli.command import Family, verb
from backstory.cli.figures import NUMBER, PATH, REF, STATE, TEXT, TIME, count, span
from backstory.cli.parameters import AS_OF, FILE, INSTANT, REF_TEXT
from backstory.cli.session import Session
from backstory.cli.views import Facts, Sentence, Table
from backstory.lake.errors import InvalidError

_COLUMNS = (
    ("model", REF),
    ("table", REF),
    ("kind", TEXT),
    ("version", NUMBER),
    ("rows", NUMBER),
    ("last commit", TIME),
    ("lies at", PATH),
)
_MAPPED = {
    "version": "The version that answered: a number, or MODEL@N.",
    "environment": "Where it was answered.",
    "variant": "The arm of an experiment.",
    "subject": "The person; shown as a pseudonym.",
    "conversation": "The conversation.",
    "turn": "Its place in the conversation.",
    "external-id": "What another system calls it.",
    "request": "What was asked.",
    "response": "What was answered.",
    "parts": "What shaped the answer: a list, or its JSON.",
    "latency-ms": "How long the answer took.",
}


@verb("list", examples=("backstory interactions", "backstory interactions --json"))
@AS_OF
def _list(session: Session, *, as_of: datetime | None) -> None:
    """List the tables that hold interactions.

    Those that we record, and those of others that are linked.
    """
    from backstory.cli.documents import documents

    with session.home() as home:
        found = home.interaction_tables(as_of=as_of)
    rows = [
        (
            table.model,
            table.slice.name,
            "linked" if table.link else "recorded",
            table.slice.last_version,
            table.rows,
            table.slice.last_at,
            table.link.uri if table.link else None,
        )
        for table in found
    ]
    session.output.result(
        documents(found),
        Table(columns=_COLUMNS, rows=rows),
        empty="no interaction is recorded yet, and no table of them is linked",
    )


def _mapped(function: click.decorators.FC) -> click.decorators.FC:
    """An option for the column of everything that an interaction may say."""
    for name, text in reversed(_MAPPED.items()):
        function = click.option(f"--{name}", metavar="COLUMN", help=text)(function)
    for name, text in (("at", "When it was answered."), ("id", "What its writers call it.")):
        function = click.option(f"--{name}", metavar="COLUMN", required=True, help=text)(function)
    return function


@verb(
    "link",
    examples=(
        "backstory interactions link ranker /data/answers --id order --at ts --version v",
        "backstory interactions link ranker /data/answers --id order --at ts --versions ranker@7",
    ),
)
@click.argument("model", type=REF_TEXT)
@click.argument("uri")
@_mapped
@click.option("--versions", metavar="VERSION", type=REF_TEXT, help="What answered every row.")
@click.option("--environments", metavar="NAME", help="Where every row was answered.")
@click.option(
    "--evidence",
    type=click.Choice(["imported", "declared"]),
    default="imported",
    show_default=True,
    help="Another system recorded the rows, or somebody says so.",
)
@click.option("--as", "name", metavar="SLICE", help="What to call the linked slice.")
def _link(
    session: Session,
    /,
    model: str,
    uri: str,
    *,
    versions: str | None,
    environments: str | None,
    evidence: str,
    name: str | None,
    **columns: str | None,
) -> None:
    """Read a Delta table that others write as a model's interactions.

    Each option names the column that says it; what no column says is told as missing. The table
    is read in place, and nothing is written to it. Another link of the model ends the one before.
    Subjects are pseudonyms in what `state` tells; the table itself stays as it is.
    """
    from backstory.cli.documents import document

    with session.home() as home:
        made = home.link_interactions(
            model,
            uri,
            columns={field: column for field, column in columns.items() if column},
            version=versions,
            environment=environments,
            evidence=evidence,
            name=name,
        )
    mapped = ", ".join(f"{said} {column}" for said, column in made.mapping.columns.items())
    session.output.result(
        document(made),
        Sentence(text=f"interactions of {model} are read from {made.link.uri}", state="ok"),
        Facts(
            heading=made.ref,
            lines=[
                ("rows", made.snapshot.rows, NUMBER),
                ("columns", mapped, TEXT),
                ("not said", ", ".join(made.mapping.unmapped) or None, TEXT),
                ("evidence", made.link.evidence, TEXT),
            ],
        ),
    )


@verb(
    "unlink",
    examples=(
        "backstory interactions unlink ranker",
        'backstory interactions unlink ranker --reason "moved to the new log"',
    ),
)
@click.argument("model", type=REF_TEXT)
@click.option("--reason", default="", help="Why, for the audit log.")
def _unlink(session: Session, model: str, reason: str) -> None:
    """Read a model's interactions from a table of others no longer.

    The table and its linked slice stay; as of a time before, its interactions are still told.
    """
    from backstory.cli.documents import document

    with session.home() as home:
        ended = home.unlink_interactions(model, reason=reason)
    session.output.result(
        document(ended),
        Sentence(text=f"interactions of {model} are no longer read from {ended.uri}", state="ok"),
    )


@verb(
    "record",
    examples=(
        "backstory interactions record ranker --version ranker@7 --request '[0, 1]' --response 8",
        "backstory interactions record ranker answers.jsonl --version ranker@7 --environment prod",
    ),
)
@click.argument("model", type=REF_TEXT)
@click.argument("file", metavar="[FILE]", required=False, type=FILE)
@click.option("--version", metavar="VERSION", type=REF_TEXT, help="The version that answered.")
@click.option("--request", metavar="JSON", help="What was asked.")
@click.option("--response", metavar="JSON", help="What was answered.")
@click.option("--subject", help="The person; only a pseudonym is kept.")
@click.option("--external-id", metavar="ID", help="What another system calls it.")
@click.option("--at", metavar="TIME", type=INSTANT, help="When it was answered, if not now.")
@click.option("--environment", metavar="NAME", help="Where.")
@click.option(
    "--part",
    "part_texts",
    metavar="KIND:REF",
    multiple=True,
    help="What shaped the answer beyond the version; may be given again.",
)
def _record(
    session: Session,
    /,
    model: str,
    file: Path | None,
    *,
    request: str | None,
    response: str | None,
    part_texts: Sequence[str],
    **words: Any,
) -> None:
    """Record what a version answered: one interaction, or a file of them.

    A file has a JSON object on each line (- is standard input) with request, response and what
    else is known, named as in Python; the options say what is so of every line that does not. With
    the same times and external ids, the same file is stored once. A time that has not come is
    recorded, and said to be ahead of the clock.
    """
    from backstory.cli.documents import documents
    from backstory.lake.sources.lines import open_lines
    from backstory.lineage.answer_text import parse_json, parse_part, read_answers

    said = {name: word for name, word in words.items() if word is not None}
    if part_texts:
        said["parts"] = [parse_part(text) for text in part_texts]
    if (file is None) != (request is not None and response is not None):
        raise InvalidError(
            "name a request and its response, or a file of them",
            hint="for example --request '[0, 1]' --response 8",
        )
    with session.home() as home:
        log = home.interactions(model)
        if file is None:
            asked = parse_json(str(request), "the request")
            answered = parse_json(str(response), "the response")
            done = log.record_answers([{**said, "request": asked, "response": answered}])
        else:
            source = sys.stdin.buffer if str(file) == "-" else file
            with open_lines(source, "standard input" if source is not file else file.name) as lines:
                done = log.record_answers(read_answers(lines, said))
    columns = (("interaction", REF), ("at", TIME), ("time", STATE))
    rows = [(one.ref, one.at, f"{span(one.ahead)} ahead" if one.ahead else None) for one in done]
    session.output.result(documents(done), Table(columns=columns, rows=rows))
    if ahead := sum(one.ahead is not None for one in done):
        session.output.note(f"{count(ahead, 'time')} ahead of the clock: one is wrong")


command = Family(
    "interactions",
    default="list",
    commands=[_list, _record, _link, _unlink],
    examples=(
        "backstory interactions",
        "backstory interactions link ranker /data/answers --id order --at ts",
    ),
)
