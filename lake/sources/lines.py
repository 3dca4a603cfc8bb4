r"""Lines of bytes from a file or stream, gzip or not, within bounds.

Keeps true: no line longer than `MAX_LINE_BYTES` and no input larger than `MAX_INFLATED_BYTES` is
held or passed on, and a damaged gzip stream is an error, never a short input. What lines mean is
decided elsewhere.

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
from typing import Any, BinaryIO, cast

from backstory.lake.errors import InvalidError, LimitExceededError, NotFoundError
from backstory.lake.location import translate_os_error

MAX_LINE_BYTES = 16 << 20
MAX_INFLATED_BYTES = 4 << 30

_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
_BUFFER = 1 << 18


@contextmanager
def open_lines(source: Path | BinaryIO, what: str) -> Iterator[Iterator[bytes]]:
    """Open the lines of a source, with their ends; a byte order mark at the start is dropped.

    Args:
        source: a file, or a stream of bytes, which stays open.
        what: what it is, for messages.

    Raises:
        NotFoundError: there is no such file.
        InvalidError: a gzip stream is damaged, or a file that is named `.gz` holds none.
        LimitExceededError: the input is beyond a bound.
        UnavailableError: it cannot be read.
    """
    try:
        with _opened(source, what) as stream:
            yield _bounded(stream, what)
    except FileNotFoundError as exc:
        raise NotFoundError(f"{what}: there is no such file", hint="check its path") from exc
    except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
        raise InvalidError(
            f"{what}: the gzip stream is damaged or cut short; nothing was written",
            hint="fetch the file again",
        ) from exc
    except OSError as exc:
        raise translate_os_error(exc, f"cannot read {what}") from exc


@contextmanager
def _opened(source: Path | BinaryIO, what: str) -> Iterator["io.BufferedReader[Any]"]:
    with ExitStack() as stack:
        raw = stack.enter_context(source.open("rb")) if isinstance(source, Path) else source
        stream = io.BufferedReader(cast("io.RawIOBase", raw), _BUFFER)
        stack.callback(stream.detach)  # a caller's stream stays open
        if stream.peek(len(_GZIP)).startswith(_GZIP):
            inflated = cast("io.RawIOBase", gzip.GzipFile(fileobj=stream))
            yield stack.enter_context(io.BufferedReader(inflated, _BUFFER))
        elif isinstance(source, Path) and source.suffix.lower() == ".gz":
            raise InvalidError(
                f"{what} is not gzip; nothing was written",
                hint="fetch the file again, or name it without .gz if it is plain text",
            )
        else:
            yield stream


def _bounded(stream: "io.BufferedReader[Any]", what: str) -> Iterator[bytes]:
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
        yield line.removeprefix(_BOM) if number == 1 else line
