"""`backstory slices`: list them, create one from a contract, link one that others write."""

from datetime import datetime
from pathlib import Path

import click

from backstory.cli.command import Family, verb
from backstory.cli.figures import NUMBER, REF, TEXT, TIME
from backstory.cli.parameters import AS_OF, FILE
from backstory.cli.session import Session
from backstory.cli.views import Facts, Sentence, Table

_COLUMNS = (
    ("slice", REF),
    ("version", NUMBER),
    ("rows", NUMBER),
    ("last commit", TIME),
    ("pinned", NUMBER),
    ("kind", TEXT),
)


@verb("list", examples=("backstory slices", "backstory slices --interactions --json"))
@click.option("--interactions", is_flag=True, help="List the tables of interactions too.")
@AS_OF
def _list(session: Session, *, interactions: bool, as_of: datetime | None) -> None:
    """List the slices.

    Each with its newest version, its rows and how many of its snapshots are pinned.
    """
    from backstory.cli.documents import documents

    with session.home() as home:
        found = home.slices(interactions=interactions, as_of=as_of)
    rows = [
        (
            summary.slice.name,
            summary.slice.last_version,
            summary.rows,
            summary.slice.last_at,
            summary.pinned,
            summary.slice.flavour,
        )
        for summary in found
    ]
    session.output.result(
        documents(found),
        Table(columns=_COLUMNS, rows=rows),
        empty="there are no slices yet; make one with `backstory slices create CONTRACT.yaml`",
    )


@verb(
    "create",
    examples=(
        "backstory slices create thumbs.yaml",
        "backstory slices create contracts/clicks.yaml",
    ),
)
@click.argument("contract", type=FILE)
def _create(session: Session, contract: Path) -> None:
    """Make a slice from a contract.

    The contract is a YAML file: the slice's name and purpose, and its columns with their types,
    roles and personal-data tags. An Open Data Contract Standard document (v3) is taken too.
    """
    with session.home() as home:
        table = home.create_slice(contract)
    made = {"name": table.name, "version": table.version, "uri": table.uri}
    columns = ", ".join(column.name for column in table.contract.columns)
    session.output.result(
        made,
        Sentence(text=f"made the slice {table.name}", state="ok"),
        Facts(heading=table.name, lines=[("columns", columns, TEXT), ("table", table.uri, TEXT)]),
    )


@verb(
    "link",
    examples=(
        "backstory slices link clicks /data/delta/clicks",
        "backstory slices link web/clicks file:///data/delta/clicks",
    ),
)
@click.argument("name")
@click.argument("uri")
def _link(session: Session, name: str, uri: str) -> None:
    """Read a Delta table that others write as a slice.

    Nothing is written to the table. Its pins are watched or copied, as Backstory cannot keep others
    from removing files.
    """
    with session.home() as home:
        table = home.link_slice(name, uri)
        version = home.slice(name).at().version
    session.output.result(
        {"name": name, "version": version, "uri": table.uri},
        Sentence(text=f"{name} reads {table.uri}, now at version {version}", state="ok"),
    )


command = Family(
    "slices",
    default="list",
    commands=[_list, _create, _link],
    examples=("backstory slices", "backstory slices create thumbs.yaml"),
)
