"""`backstory contract`: what a slice promises, then and now, and what it shall promise next."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from backstory.cli.command import Family, verb
from backstory.cli.errors import Exit
from backstory.cli.figures import NUMBER, REF, STATE, TEXT, TIME
from backstory.cli.parameters import AS_OF, FILE, INSTANT, REF_TEXT
from backstory.cli.session import Session
from backstory.cli.views import Sentence, Table, Verbatim

if TYPE_CHECKING:
    from backstory.lake.contract_change import Change

_SLICE = click.argument("ref", type=REF_TEXT, metavar="SLICE")


@verb(
    "show",
    examples=(
        "backstory contract show thumbs/en@2026-11-14",
        "backstory contract show _interactions/ranker --odcs",
    ),
)
@_SLICE
@click.option("--odcs", is_flag=True, help="As an Open Data Contract Standard document (v3).")
@AS_OF
def _show(session: Session, *, ref: str, odcs: bool, as_of: datetime | None) -> None:
    """Show the contract of a slice, as YAML.

    The one that holds at the version or time that SLICE names, or now. The tables of interactions
    and of others have contracts too. What is shown can be edited and applied.
    """
    from backstory.cli.documents import document
    from backstory.lake.odcs import to_odcs

    with session.home() as home:
        found = home.contract(ref, as_of=as_of)
    text = to_odcs(found.contract) if odcs else found.contract.to_yaml()
    session.output.result(document(found), Verbatim(text=text))


@verb(
    "history",
    examples=(
        "backstory contract history thumbs/en",
        "backstory contract history thumbs/en@41 --json",
    ),
)
@_SLICE
@AS_OF
def _history(session: Session, *, ref: str, as_of: datetime | None) -> None:
    """Show the contracts that a slice has had, newest first.

    Each with since when it holds, the first version of the slice under it, and what became
    different.
    """
    from backstory.cli.documents import documents

    with session.home() as home:
        found = home.contracts(ref, as_of=as_of)
    rows = [
        (
            one.contract.version,
            one.at,
            f"{one.contract.slice}@{one.begins}" if one.begins is not None else None,
            "; ".join(map(str, one.changes)) or None,
        )
        for one in found
    ]
    columns = (("contract", NUMBER), ("since", TIME), ("from", REF), ("changes", TEXT))
    session.output.result(documents(found), Table(columns=columns, rows=rows))


@verb(
    "signals",
    examples=(
        "backstory contract signals thumbs/en",
        "backstory contract signals thumbs/en --at 2026-11-14",
    ),
)
@_SLICE
@click.option("--at", metavar="TIME", type=INSTANT, help="Those that could be given then.")
@AS_OF
def _signals(session: Session, *, ref: str, at: datetime | None, as_of: datetime | None) -> None:
    """Show the signals that users can give, and since when.

    With --at those that could be given at a time, as they were meant then: which reasons could a
    user give? Where a contract does not say since when, its history does.
    """
    from backstory.cli.documents import documents

    with session.home() as home:
        found = home.signals(ref, at=at, as_of=as_of)
    rows = [
        (
            one.signal.name,
            one.signal.since,
            one.signal.until,
            one.known_from,
            one.signal.meaning or None,
        )
        for one in found
    ]
    columns = (
        ("signal", TEXT),
        ("since", TIME),
        ("until", TIME),
        ("contract", NUMBER),
        ("meaning", TEXT),
    )
    session.output.result(
        documents(found),
        Table(columns=columns, rows=rows),
        empty="the contract names no signals" if at is None else "no signal could be given then",
    )


@verb(
    "check",
    examples=("backstory contract check thumbs.yaml", "backstory contract check odcs.yaml --json"),
)
@click.argument("contract", type=FILE, metavar="FILE")
def _check(session: Session, *, contract: Path) -> Exit | None:
    """Say what applying a contract would change; nothing is written.

    FILE is our YAML or an Open Data Contract Standard document (v3). Where a change would break
    something, the exit code is 6.
    """
    from backstory.cli.documents import document
    from backstory.lineage.contract_input import contract_read

    reading = contract_read(contract)
    with session.home() as home:
        checked = home.check_contract(reading.contract)
    _say_what_is_not_taken(session, reading.not_taken)
    same = Sentence(text=f"{checked.contract.slice} has this contract already", state="ok")
    session.output.result(document(checked), _table(checked.changes) if checked.changes else same)
    return Exit.REFUSED if checked.breaking else None


@verb(
    "apply",
    examples=("backstory contract apply thumbs.yaml", "backstory contract apply odcs.yaml --json"),
)
@click.argument("contract", type=FILE, metavar="FILE")
def _apply(session: Session, *, contract: Path) -> None:
    """Give a slice its next contract, where its rows can bear it.

    FILE is our YAML or an Open Data Contract Standard document (v3). A new column that may be null,
    a wider type, a new signal or another description is applied, and recorded as the next version
    of the contract. What would break something is refused, with all breaking points. Rows stay as
    they are, and earlier versions of the slice keep their schema.
    """
    from backstory.cli.documents import document
    from backstory.lineage.contract_input import contract_read

    reading = contract_read(contract)
    with session.home() as home:
        evolved = home.evolve(reading.contract)
    _say_what_is_not_taken(session, reading.not_taken)
    name = evolved.contract.slice
    said = f"{name} is under contract {evolved.contract.version} from {name}@{evolved.version}"
    if evolved.changes:
        session.output.result(
            document(evolved), Sentence(text=said, state="ok"), _table(evolved.changes)
        )
    else:
        session.output.result(
            document(evolved), Sentence(text=f"{name} has this contract already", state="ok")
        )


@verb(
    "infer",
    examples=(
        'backstory contract infer monday.jsonl --slice thumbs/en --purpose "improve the ranker"',
        'backstory contract infer row.json --json-schema --slice thumbs --purpose "a demo" --odcs',
    ),
)
@click.argument("source", type=FILE, metavar="FILE")
@click.option("--slice", "name", metavar="NAME", required=True, help="What the slice is called.")
@click.option("--purpose", metavar="TEXT", required=True, help="Why the feedback is kept.")
@click.option("--json-schema", is_flag=True, help="FILE is a JSON Schema, not a sample.")
@click.option(
    "--format",
    "file_format",
    metavar="FORMAT",
    help="jsonl, csv, parquet or arrow, where the name does not say.",
)
@click.option("--odcs", is_flag=True, help="As an Open Data Contract Standard document (v3).")
def _infer(
    session: Session,
    *,
    source: Path,
    name: str,
    purpose: str,
    json_schema: bool,
    file_format: str | None,
    odcs: bool,
) -> None:
    """Guess a first contract from a sample file or a JSON Schema.

    It is printed as YAML, with all that was guessed as comments above it. Nothing is tagged as
    personal data by a guess: read it, and say what is about people. No home is needed.
    """
    from backstory.cli.documents import document
    from backstory.lake.odcs import to_odcs
    from backstory.lineage.inferring import JSON_SCHEMA, infer

    inferred = infer(
        source, slice=name, purpose=purpose, format=JSON_SCHEMA if json_schema else file_format
    )
    text = inferred.comments() + to_odcs(inferred.contract) if odcs else inferred.to_yaml()
    session.output.result(document(inferred), Verbatim(text=text))


def _table(changes: Sequence["Change"]) -> Table:
    return Table(
        columns=(("where", TEXT), ("change", TEXT), ("is", STATE), ("why", TEXT)),
        rows=[
            (
                change.where,
                change.what,
                "breaking" if change.breaking else "compatible",
                change.why or None,
            )
            for change in changes
        ],
    )


def _say_what_is_not_taken(session: Session, fields: Sequence[str]) -> None:
    if fields:
        session.output.note(f"not taken, as a slice has no place for it: {', '.join(fields)}")


command = Family(
    "contract",
    default="show",
    commands=[_show, _history, _signals, _check, _apply, _infer],
    examples=("backstory contract thumbs/en", "backstory contract apply thumbs.yaml"),
)
