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
from backstory.lake.sources.batches import TypedPart, whole
from backstory.lake.sources.rejections import Rejections
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


def read_file(
    path: Path,
    contract: Contract,
    *,
    format: str | None = None,  # noqa: A002 - the word that users know
    rejections: Rejections | None = None,
) -> pa.Table:
    """Read a file as one batch; see `file_parts`.

    Args:
        path: the file.
        contract: what its rows must be.
        format: one of `FORMATS`; by default the file's name says.
        rejections: where faults are noted; strict ones where none are given.
    """
    return whole(_parts(path, contract, format, rejections or Rejections(contract)), path.name)


def file_parts(
    path: Path,
    contract: Contract,
    *,
    format: str | None = None,  # noqa: A002 - the word that users know
    strict: bool = True,
) -> Iterator[TypedPart]:
    """Read a file under a contract, a part at a time, cut at the same rows whenever it is read.

    Args:
        path: the file.
        contract: what its rows must be.
        format: one of `FORMATS`; by default the file's name says.
        strict: whether one row that does not fit refuses its part.

    Yields:
        At least one part.

    Raises:
        BatchRejectedError: a row of the next part or the schema does not fit.
        InvalidError: the format is unknown, or the file is damaged.
        NotFoundError: there is no such file.
    """
    rejections = Rejections(contract, strict=strict)
    for rows in _parts(path, contract, format, rejections):
        yield TypedPart(rows=rows, rejections=rejections.split())


def _parts(
    path: Path, contract: Contract, said: str | None, rejections: Rejections
) -> Iterator[pa.Table]:
    chosen = said or _format_of_file(path)
    if chosen not in _READERS:
        raise InvalidError(f"unknown format {chosen!r}", hint=near(chosen, FORMATS))
    return _READERS[chosen](path, contract, what=path.name, rejections=rejections)
