r"""What libraries say, as the end of a line of ours.

Keeps true: one line, without backtrace, colours, a Python traceback, and the library's own names
for its kinds of error, which tell a reader nothing. It does not say what went wrong for whom: that
is the line before it.

>>> plain(ValueError("Conversion Error: Could not convert string 'a' to INT64\nLINE 1: …"))
"Could not convert string 'a' to INT64"
"""

import errno
import os
import re

_BACKTRACE = re.compile(r"\n\s*0: .*", re.DOTALL)  # of Rust
_TRACEBACK = re.compile(
    r"\. Detail: Python exception.*", re.DOTALL
)  # of a stream that DuckDB reads
_EXCERPT = re.compile(r"\n\s*(?:LINE \d+|Candidate \w+):.*", re.DOTALL)  # of the SQL that we made
_OS_ERROR = re.compile(r"\(os error (\d+)\)")  # as Rust tells it
_NOT_OPENED = re.compile(r'Cannot open file "(.*)": (.*)', re.DOTALL)  # as DuckDB tells it
_DECORATION = re.compile(r"\x1b\[[\d;]*m|↳")
_KINDS = re.compile(r"^(?:(?:[A-Z]\w*(?: \w+){0,3} [Ee]rror|\w+(?:Error|Exception)): )+")


def plain(exc: BaseException) -> str:
    """A library's message; the name of its class where it says nothing."""
    text = str(exc)
    for noise in (_BACKTRACE, _TRACEBACK, _EXCERPT):
        text = noise.sub("", text)
    text = " ".join(_DECORATION.sub(" ", text).split())
    return _KINDS.sub("", text) or type(exc).__name__


def system_error(exc: BaseException) -> OSError | None:
    """The operating system's error that a library met, also where it only tells of it."""
    if found := _OS_ERROR.search(str(exc)):
        code = int(found[1])
        return OSError(code, os.strerror(code))
    if found := _NOT_OPENED.search(str(exc)):
        path, reason = found.groups()
        codes = (code for code in errno.errorcode if os.strerror(code) == reason)
        return next((OSError(code, reason, path) for code in codes), None)
    return exc if isinstance(exc, OSError) and exc.errno else None
