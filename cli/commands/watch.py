"""`backstory watch`: ingest the files of a folder as they come."""

from pathlib import Path

import click

from backstory.cli.command import verb
from backstory.cli.ending import asked_to_end
from backstory.cli.errors import Exit
from backstory.cli.figures import NUMBER, TEXT
from backstory.cli.parameters import FILE, FOLDER, REF_TEXT
from backstory.cli.session import Session
from backstory.cli.views import Facts

DEFAULT_SECONDS = 2.0


@verb(
    "watch",
    examples=(
        "backstory watch thumbs/en incoming/",
        "backstory watch thumbs/en incoming/ --once --json",
    ),
    interrupted="repeat the command: what was committed is kept whole, and is not stored twice",
)
@click.argument("slice_name", type=REF_TEXT, metavar="SLICE")
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option(
    "--every",
    "seconds",
    metavar="SECONDS",
    type=click.FloatRange(0.1, 3600),
    default=DEFAULT_SECONDS,
    show_default=True,
    help="Between two looks; a file that is the same at two of them is complete.",
)
@click.option("--once", is_flag=True, help="End when all that is there is dealt with.")
@click.option("--source", metavar="NAME", help="Who sends them; by default the file says.")
@click.option(
    "--format",
    "file_format",
    metavar="FORMAT",
    help="jsonl, csv, parquet or arrow, where the names do not say.",
)
@click.option(
    "--contract",
    metavar="FILE",
    type=FILE,
    help="Make the slice from this contract if there is none.",
)
def command(
    session: Session,
    *,
    slice_name: str,
    folder: Path,
    seconds: float,
    once: bool,
    source: str | None,
    file_format: str | None,
    contract: Path | None,
) -> Exit | None:
    """Ingest the files of a folder as they come, each once, until Ctrl-C.

    A file is taken when it is complete: write it elsewhere on the same disk and rename it into the
    folder, or let it rest. One that is refused is said, and holds nothing up; the exit code is 1
    then. Names that begin with . or _ are left alone. Files stay where they are; what is stored is
    recognised when the command is started again.
    """
    from backstory.lineage.ingest import ensure_slice
    from backstory.lineage.watching import watch

    counts = {"files": 0, "rows": 0, "duplicates": 0, "refused": 0}
    with session.home() as home, asked_to_end() as asked:
        if contract is not None:
            ensure_slice(home, slice_name, contract)
        for found in watch(
            home,
            slice_name,
            folder,
            wait=asked.wait,
            seconds=seconds,
            once=once,
            source=source,
            file_format=file_format,
        ):
            counts["files"] += 1
            if found.error is not None:
                counts["refused"] += 1
                session.output.note(f"refused: {found.error.message}")
            elif (receipt := found.receipt) is not None:
                counts["rows"] += receipt.accepted
                counts["duplicates"] += receipt.duplicate
                session.output.note(f"{found.path.name}: {receipt.outcome}")
            if asked.is_set():
                break
    lines = [(name, count, NUMBER) for name, count in counts.items()]
    session.output.result(
        {"slice": slice_name, **counts},
        Facts(heading="", lines=[("slice", slice_name, TEXT), *lines]),
    )
    return Exit.FAILURE if counts["refused"] else None
