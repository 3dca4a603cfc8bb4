"""`backstory ingest`: append files of feedback to a slice."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from backstory.cli.command import verb
from backstory.cli.figures import NUMBER, REF, STATE, TEXT
from backstory.cli.parameters import FILE, REF_TEXT
from backstory.cli.session import Session
from backstory.cli.views import Table
from backstory.lake.errors import InvalidError

if TYPE_CHECKING:
    from backstory.lake.receipt import Receipt

STDIN = Path("/dev/stdin")
_COLUMNS = (
    ("file", TEXT),
    ("outcome", STATE),
    ("rows", NUMBER),
    ("duplicate", NUMBER),
    ("rejected", NUMBER),
    ("version", REF),
    ("source", TEXT),
    ("offset", NUMBER),
)


@verb(
    "ingest",
    examples=(
        "backstory ingest thumbs/en monday.jsonl tuesday.csv.gz 'days/**/*.jsonl.zst'",
        "zcat events.gz | backstory ingest thumbs/en - --format jsonl --source app --offset 42",
    ),
    interrupted="repeat the command: what was committed is kept whole, and is not stored twice",
)
@click.argument("slice_name", type=REF_TEXT, metavar="SLICE")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)
@click.option("--source", metavar="NAME", help="Who sent them; by default the file says.")
@click.option(
    "--offset",
    metavar="N",
    type=click.IntRange(min=0),
    help="Where the one file ends in its source; rows are counted by default.",
)
@click.option(
    "--format",
    "file_format",
    metavar="FORMAT",
    help="jsonl, csv, parquet or arrow, where the name does not say.",
)
@click.option(
    "--contract",
    metavar="FILE",
    type=FILE,
    help="Make the slice from this contract if there is none.",
)
@click.option("--strict", is_flag=True, help="Refuse a whole file for one row that does not fit.")
def command(
    session: Session,
    *,
    slice_name: str,
    files: Sequence[Path],
    source: str | None,
    offset: int | None,
    file_format: str | None,
    contract: Path | None,
    strict: bool,
) -> None:
    """Append files of feedback to a slice, each exactly once.

    Text (JSONL, CSV, packed with gzip or zstd or not) is read by the slice's contract; Parquet and
    Arrow must match it. Rows that do not fit go to the quarantine of the slice; a file of which too
    many do not fit is refused, and with --strict one that has any; of a file above half a million
    rows, which is stored in parts, that part is and what follows. An event whose id came lately is
    not stored again. A file that was stored before is recognised, also in part. A pattern in quotes
    names the files that match. `-` reads standard input.
    """
    from backstory.lineage.ingest import ensure_slice
    from backstory.lineage.taking_files import ingest_files, named_files

    paths = named_files([STDIN if str(path) == "-" else path for path in files])
    if STDIN in paths and file_format is None:
        raise InvalidError(
            "standard input has no name that says what it is",
            hint="say it with --format jsonl, csv, parquet or arrow",
        )
    done: list[tuple[Path, Receipt]] = []
    with session.home() as home:
        if contract is not None:
            ensure_slice(home, slice_name, contract)
        try:
            with session.output.working(f"ingesting into {slice_name}", len(paths)) as step:
                stored = ingest_files(
                    home,
                    slice_name,
                    paths,
                    source=source,
                    offset=offset,
                    file_format=file_format,
                    strict=strict,
                    told=lambda path, rows: step(path.name, rows),
                )
                for path in paths:
                    step(path.name)
                    done.append(next(stored))
        finally:
            # A file that is refused does not undo the ones before it: they are told all the same.
            if done:
                _tell(session, done)


def _tell(session: Session, done: Sequence[tuple[Path, "Receipt"]]) -> None:
    from backstory.cli.documents import document

    rows = [
        (
            path.name,
            str(receipt.outcome),
            receipt.accepted if receipt.outcome == "accepted" else receipt.duplicate,
            receipt.duplicate if receipt.outcome == "accepted" and receipt.duplicate else None,
            receipt.rejected or None,
            f"{receipt.slice}@{receipt.version}" if receipt.version is not None else None,
            receipt.source,
            receipt.offset,
        )
        for path, receipt in done
    ]
    session.output.result(
        [{"file": path.name, **document(receipt)} for path, receipt in done],
        Table(columns=_COLUMNS, rows=rows),
    )
    for path, receipt in done:
        _note(session, path.name, receipt)


def _note(session: Session, name: str, receipt: "Receipt") -> None:
    if receipt.version is None:
        session.output.note(f"{name} has no rows: nothing to ingest")
    if receipt.rejected:
        session.output.note(
            f"{name}: {receipt.rejected:,} of its rows went to quarantine: "
            f"see `backstory quarantine show {receipt.slice} --commit {receipt.version}`"
        )
    for expectation, rows in receipt.warnings.items():
        session.output.note(f"{name}: {rows:,} rows miss an expectation: {expectation}")
