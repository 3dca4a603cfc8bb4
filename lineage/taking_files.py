"""Files into a slice: each is one batch, or where it is large a part at a time; each exactly once.

A file of one part is a batch of its source, like any other. A larger one is a source of its own,
`file:monday#1f0c…`: the source that was named and the digest of the first part. The offset of a
part is the number of the file's rows so far. So the same command again goes on after the last part
that is stored, and what is there already is compared and not stored twice.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from glob import glob, has_magic
from itertools import chain, islice
from pathlib import Path

from backstory.lake.errors import (
    BackstoryError,
    ConflictError,
    InvalidError,
    LimitExceededError,
    NotFoundError,
)
from backstory.lake.receipt import Outcome, Receipt
from backstory.lake.rows import batch_digest
from backstory.lake.sources.batches import TypedPart
from backstory.lake.sources.files import file_parts, read_file
from backstory.lake.sources.rejections import Rejections
from backstory.lake.table import SliceTable
from backstory.lineage.ingest import own_table, store
from backstory.lineage.parts import Parts

MAX_FILES = 100_000
_DIGEST_DIGITS = 16

Told = Callable[[Path, int], None]


def named_files(patterns: Sequence[Path]) -> list[Path]:
    """The files that paths and patterns (`days/*.jsonl`, `**`) name, each once; patterns sorted.

    Raises:
        NotFoundError: nothing matches a pattern.
        LimitExceededError: there are more than `MAX_FILES`.
    """
    found = dict.fromkeys(chain.from_iterable(map(_matching, patterns)))
    files = list(islice(found, MAX_FILES + 1))
    if len(files) > MAX_FILES:
        raise LimitExceededError(
            f"more than {MAX_FILES:,} files are named", hint="ingest them in parts"
        )
    return files


def _matching(pattern: Path) -> Iterator[Path]:
    if pattern.exists() or not has_magic(str(pattern)):
        yield pattern
        return
    matches = glob(str(pattern), recursive=True)  # noqa: PTH207 - the pattern may be absolute
    found = sorted(path for path in map(Path, matches) if path.is_file())
    if not found:
        raise NotFoundError(f"no file matches {pattern}", hint="check the pattern")
    yield from found


def ingest_files(
    parts: Parts,
    slice_name: str,
    paths: Sequence[Path],
    *,
    source: str | None = None,
    offset: int | None = None,
    file_format: str | None = None,
    strict: bool = False,
    told: Told = lambda _path, _rows: None,
) -> Iterator[tuple[Path, Receipt]]:
    """Append files to a slice one by one, each exactly once.

    Args:
        paths: JSONL, CSV (packed with gzip or zstd or not), Parquet or Arrow files.
        source: who sent them; `file:` and the first part of the file's name where not given.
        offset: end position of the one file in its source; the file is one batch then.
        file_format: what the files are, where their names do not tell.
        strict: whether one row that does not fit refuses its file, or of a large one its part.
        told: called with the file and the rows of each part, as soon as it is stored.

    Yields:
        The file with its receipt, as soon as all of it is stored.
    """
    if offset is not None and len(paths) != 1:
        raise InvalidError("an offset belongs to one file", hint="ingest the files one by one")
    table = own_table(parts, slice_name)
    for path in paths:
        sender = source or f"file:{path.name.split('.')[0]}"
        try:
            if offset is None:
                found = file_parts(path, table.contract, format=file_format, strict=strict)
                tell = partial(told, path)
                receipt = _take(parts, table, found, source=sender, file=path.name, told=tell)
            else:
                part = _whole(path, table, file_format, strict=strict)
                info = {"file": path.name}
                receipt = store(parts, table, part, source=sender, offset=offset, info=info)
                told(path, part.given)
        except BackstoryError as exc:
            exc.name(path.name)
            raise
        yield path, receipt


def _whole(path: Path, table: SliceTable, file_format: str | None, *, strict: bool) -> TypedPart:
    rejections = Rejections(table.contract, strict=strict)
    rows = read_file(path, table.contract, format=file_format, rejections=rejections)
    return TypedPart(rows=rows, rejections=rejections)


def _take(
    parts: Parts,
    table: SliceTable,
    found: Iterator[TypedPart],
    *,
    source: str,
    file: str,
    told: Callable[[int], None],
) -> Receipt:
    info = {"file": file}
    first = next(found)
    second = next(found, None)
    if second is None:
        receipt = store(parts, table, first, source=source, offset=None, info=info)
        told(first.given)
        return receipt
    source = f"{source}#{batch_digest(first.rows)[:_DIGEST_DIGITS]}"
    receipts, end = [], 0
    try:
        for part in chain((first, second), found):
            start, end = end, end + part.given
            _check_boundary(table, source, start, end)
            receipts.append(store(parts, table, part, source=source, offset=end, info=info))
            told(part.given)
    except BackstoryError as exc:
        if receipts:
            exc.came_after(receipts[-1].offset)
        raise
    return _joined(receipts)


def _check_boundary(table: SliceTable, source: str, start: int, end: int) -> None:
    """Parts are cut at the same rows each time; who ended between them was another file."""
    last = table.last_offset(source)
    if start < last < end:
        raise ConflictError(
            f"another file of {source} began with the same rows and ended after {last:,}",
            hint="send what is new in a file of its own",
        )


def _joined(receipts: Sequence[Receipt]) -> Receipt:
    """The receipt of a file that is stored in parts."""
    is_new = any(receipt.outcome is Outcome.ACCEPTED for receipt in receipts)
    return replace(
        receipts[-1],
        outcome=Outcome.ACCEPTED if is_new else Outcome.DUPLICATE,
        accepted=sum(receipt.accepted for receipt in receipts),
        duplicate=sum(receipt.duplicate for receipt in receipts),
        rejected=sum(receipt.rejected for receipt in receipts),
    )
