"""Input files by their format: one way in for the command line and the SDK.

Keeps true: what a file is follows from its name or from what the caller says, never from a guess.

>>> format_of(Path("thumbs.csv.gz"))
'csv'
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from backstory.lake.contract import Contract
from backstory.lake.documents import near
from backstory.lake.errors import InvalidError, NotFoundError
from backstory.lake.sources.batches import whole
from backstory.lake.sources.text import csv_parts, jsonl_parts
from backstory.lake.sources.typed import arrow_parts, parquet_parts

_SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".arrow": "arrow",
}
_PACKED = (".gz", ".zst")
_READERS: dict[str, Callable[..., Iterator[pa.Table]]] = {
    "jsonl": jsonl_parts,
    "csv": csv_parts,
    "parquet": parquet_parts,
    "arrow": arrow_parts,
}
FORMATS = tuple(_READERS)


def format_of(path: Path) -> str:
    """What a file is, by its name.

    Raises:
        InvalidError: the name does not say.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
        if suffixes and _SUFFIXES.get(suffixes[-1]) not in {"jsonl", "csv"}:
            suffixes.pop()  # Parquet and Arrow compress inside
    if not suffixes or suffixes[-1] not in _SUFFIXES:
        raise InvalidError(
            f"{path.name}: the name does not say what the file is",
            hint=f"name it {', '.join(_SUFFIXES)} or say the format: {', '.join(FORMATS)}",
        )
    return _SUFFIXES[suffixes[-1]]


def _format_of_file(path: Path) -> str:
    try:
        return format_of(path)
    except InvalidError as exc:
        if path.exists():
            raise
        raise NotFoundError(f"{path.name}: there is no such file", hint="check its path") from exc


def read_file(path: Path, contract: Contract, *, format: str | None = None) -> pa.Table:  # noqa: A002 - the word that users know
    """Read a file as one batch; see `file_parts`."""
    return whole(file_parts(path, contract, format=format), path.name)


def file_parts(
    path: Path,
    contract: Contract,
    *,
    format: str | None = None,  # noqa: A002 - the word that users know
) -> Iterator[pa.Table]:
    """Read a file under a contract, a part at a time, cut at the same rows whenever it is read.

    Args:
        path: the file.
        contract: what its rows must be.
        format: one of `FORMATS`; by default the file's name says.

    Returns:
        The contract's columns, in its order; at least one part.

    Raises:
        BatchRejectedError: a row of the next part or the schema does not fit.
        InvalidError: the format is unknown, or the file is damaged.
        NotFoundError: there is no such file.
    """
    chosen = format or _format_of_file(path)
    if chosen not in _READERS:
        raise InvalidError(f"unknown format {chosen!r}", hint=near(chosen, FORMATS))
    return _READERS[chosen](path, contract, what=path.name)
