r"""Small texts that prove themselves: the last line is the SHA-256 of all that stands before it.

A seal finds damage, not malice: whoever can write the file can also write its seal.

>>> unseal(seal("held by run 7\n").encode(), "holder")
'held by run 7\n'
>>> unseal(seal("held by run 7\n").replace("7", "8").encode(), "holder")
Traceback (most recent call last):
...
backstory.lake.errors.IntegrityError: holder is not what was written: its seal does not fit
"""

import hashlib
from pathlib import Path

from backstory.lake.errors import IntegrityError, LimitExceededError, UnavailableError

MAX_SEALED_BYTES = 256 << 20  # a pin's log and digests grow with the table's log, not its data

_MARK = "sha256 "


def seal(text: str) -> str:
    """Add the seal to a text that ends with a new line."""
    return f"{text}{_MARK}{hashlib.sha256(text.encode()).hexdigest()}\n"


def unseal(data: bytes, what: str) -> str:
    """The text below the seal.

    Args:
        data: the sealed text's bytes.
        what: its name in the error.

    Raises:
        IntegrityError: a byte differs from what was sealed.
    """
    try:
        text, mark, _ = data.decode().rpartition(_MARK)
    except UnicodeDecodeError as exc:
        raise IntegrityError(f"{what} is not what was written: it is no text") from exc
    if not mark or seal(text).encode() != data:
        raise IntegrityError(f"{what} is not what was written: its seal does not fit")
    return text


def read_sealed(path: Path) -> str:
    """Read a sealed file.

    Raises:
        IntegrityError: it is damaged or missing.
        LimitExceededError: it is larger than anything Backstory writes.
        UnavailableError: the operating system does not let it be read.
    """
    try:
        if path.stat().st_size > MAX_SEALED_BYTES:
            raise LimitExceededError(
                f"{path} is larger than {MAX_SEALED_BYTES} bytes",
                hint="it is none that Backstory wrote; see `backstory verify`",
            )
        return unseal(path.read_bytes(), str(path))
    except FileNotFoundError as exc:
        raise IntegrityError(f"{path} is missing") from exc
    except OSError as exc:
        raise UnavailableError(f"{path} cannot be read: {exc.strerror}") from exc
