"""`backstory query`: a GraphQL document, answered in this process."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from backstory.cli.command import verb
from backstory.cli.errors import Exit
from backstory.cli.parameters import FILE
from backstory.cli.session import Session
from backstory.lake.errors import InvalidError, NotFoundError
from backstory.lake.location import translate_os_error


@verb(
    "query",
    examples=(
        "backstory query trace.graphql --var ref=ranker@7",
        "echo '{ slices { name lastVersion } }' | backstory query -",
    ),
)
@click.argument("file", metavar="FILE|-", type=FILE)
@click.option(
    "--var",
    "variables",
    metavar="NAME=VALUE",
    multiple=True,
    help="A variable; JSON, or else text. May be repeated.",
)
@click.option("--operation", metavar="NAME", help="Which one, if the document has several.")
def command(
    session: Session, file: Path, variables: Sequence[str], operation: str | None
) -> Exit | None:
    """Answer a GraphQL document.

    In this process, by the same schema and limits as `backstory serve`. The answer is the JSON that
    the server would send; errors in it give exit code 1.
    """
    from backstory.api.app import execute

    text = _read(file)
    values = dict(map(_variable, variables))
    with session.home() as home:
        answer = execute(home, text, values, operation)
    click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    return Exit.FAILURE if answer.get("errors") else None


def _read(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
    except FileNotFoundError as exc:
        raise NotFoundError(f"there is no file {file}", hint="check its path") from exc
    except OSError as exc:
        raise translate_os_error(exc, f"reading {file}") from exc
    except UnicodeDecodeError as exc:
        raise InvalidError(f"{file} is not UTF-8 text", hint="a document is GraphQL") from exc


def _variable(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise InvalidError(f"{text!r} is no variable", hint="write it like --var ref=ranker@7")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
