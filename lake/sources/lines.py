r"""Lines of bytes from a file or stream, packed with gzip or zstd or not, within bounds.

Keeps true: no line longer than `MAX_LINE_BYTES` is held, no input larger than `MAX_INFLATED_BYTES`
is passed on, nor one that unpacks to more than `MAX_INFLATION` times what was read, and a damaged
stream is an error, never a short input. What lines mean is decided elsewhere.

>>> import io
>>> with open_lines(io.BytesIO(b"a\nb"), "answers") as lines:
...     list(lines)
[b'a\n', b'b']
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from backstory.lake.errors import InvalidError, LimitExceededError, NotFoundError
from backstory.lake.location import translate_os_error

MAX_LINE_BYTES = 16 << 20
MAX_INFLATED_BYTES = 1 << 40
MAX_INFLATION = 200
INFLATION_FREE_BYTES = 64 << 20  # what is unpacked before its factor counts

_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_PACKED = {".gz": "gzip", ".zst": "zstd"}
_BUFFER = 1 << 18


@contextmanager
def open_lines(source: Path | BinaryIO, what: str) -> Iterator[Iterator[bytes]]:
    """Open the lines of a source, with their ends; a byte order mark at the start is dropped.

    Args:
        source: a file, or a stream of bytes, which stays open.
        what: what it is, for messages.

    Raises:
        NotFoundError: there is no such file.
        InvalidError: a packed stream is damaged, or a file is not packed as its name says.
        LimitExceededError: the input is beyond a bound.
        UnavailableError: it cannot be read.
    """
    try:
        with _opened(source, what) as (stream, raw):
            yield _bounded(stream, raw, what)
    except FileNotFoundError as exc:
        raise NotFoundError(f"{what}: there is no such file", hint="check its path") from exc
    except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
        raise _damaged("gzip", what) from exc
    except OSError as exc:
        if exc.errno is None:  # Arrow's own word for a damaged stream
            raise _damaged("zstd", what) from exc
        raise translate_os_error(exc, f"cannot read {what}") from exc


def _damaged(packing: str, what: str) -> InvalidError:
    return InvalidError(
        f"{what}: the {packing} stream is damaged or cut short; nothing was written",
        hint="fetch the file again",
    )


class _Counting(io.RawIOBase):
    """A stream of bytes that knows how many were read from it; closed, its source stays open."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = self._source.read(len(buffer))
        buffer[: len(data)] = data
        self.count += len(data)
        return len(data)


@contextmanager
def _opened(
    source: Path | BinaryIO, what: str
) -> Iterator[tuple["io.BufferedReader[Any]", _Counting]]:
    with ExitStack() as stack:
        file = stack.enter_context(source.open("rb")) if isinstance(source, Path) else source
        raw = _Counting(file)
        stream = stack.enter_context(io.BufferedReader(raw, _BUFFER))
        found = _packing(stream.peek(len(_ZSTD)))
        suffix = source.suffix.lower() if isinstance(source, Path) else ""
        named = _PACKED.get(suffix)
        if named not in {None, found}:
            raise InvalidError(
                f"{what} is not {named}; nothing was written",
                hint=f"fetch the file again, or name it without {suffix} if it is plain text",
            )
        if found is None:
            yield stream, raw
        else:
            unpacked = stack.enter_context(_unpacked(stream, found))
            yield stack.enter_context(io.BufferedReader(unpacked, _BUFFER)), raw


def _packing(start: bytes) -> str | None:
    if start.startswith(_GZIP):
        return "gzip"
    return "zstd" if start.startswith(_ZSTD) else None


def _unpacked(stream: "io.BufferedReader[Any]", packing: str) -> Any:
    if packing == "gzip":
        return gzip.GzipFile(fileobj=stream)
    return pa.CompressedInputStream(pa.PythonFile(stream, "r"), "zstd")


def _bounded(stream: "io.BufferedReader[Any]", raw: _Counting, what: str) -> Iterator[bytes]:
    size = 0
    for number, line in enumerate(iter(partial(stream.readline, MAX_LINE_BYTES + 1), b""), start=1):
        size += len(line)
        if len(line) > MAX_LINE_BYTES:
            raise LimitExceededError(
                f"{what}: line {number} is longer than {MAX_LINE_BYTES} bytes; nothing was written",
                hint="give each row a line of its own; rows that large fit in Parquet or Arrow",
            )
        if size > MAX_INFLATED_BYTES:
            raise LimitExceededError(
                f"{what} is larger than {MAX_INFLATED_BYTES} bytes; nothing was written",
                hint="send it in parts",
            )
        if size > max(INFLATION_FREE_BYTES, MAX_INFLATION * raw.count):
            raise LimitExceededError(
                f"{what} unpacks to more than {MAX_INFLATION} times its size; nothing was written",
                hint="if that is what it is, unpack it first",
            )
        yield line.removeprefix(_BOM) if number == 1 else line
