"""Input files by their format: one way in for the command line and the SDK.

Keeps true: what a file is follows from its name or from what the caller says, never from a guess.

>>> format_of(Path("thumbs.csv.gz"))
'csv'
"""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from backstory.lake.contract import Contract
from backstory.lake.documents import near
from backstory.lake.errors import InvalidError, NotFoundError
from backstory.lake.sources.rejections import Rejections
from backstory.lake.sources.text import read_csv, read_jsonl
from backstory.lake.sources.typed import read_arrow, read_parquet

_SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".arrow": "arrow",
}
_READERS: dict[str, Callable[..., pa.Table]] = {
    "jsonl": read_jsonl,
    "csv": read_csv,
    "parquet": read_parquet,
    "arrow": read_arrow,
}
FORMATS = tuple(_READERS)


def format_of(path: Path) -> str:
    """What a file is, by its name.

    Raises:
        InvalidError: the name does not say.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
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
    """Read a file under a contract.

    Args:
        path: the file.
        contract: what its rows must be.
        format: one of `FORMATS`; by default the file's name says.
        rejections: where faults are noted; strict ones where none are given.

    Returns:
        The contract's columns, in its order.

    Raises:
        BatchRejectedError: a row or the schema does not fit.
        InvalidError: the format is unknown, or the file is damaged.
        NotFoundError: there is no such file.
    """
    chosen = format or _format_of_file(path)
    if chosen not in _READERS:
        raise InvalidError(f"unknown format {chosen!r}", hint=near(chosen, FORMATS))
    return _READERS[chosen](path, contract, what=path.name, rejections=rejections)
