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
_CODE = re.compile(r"<Code>(\w+)</Code>")  # of an object store
_STATUS = re.compile(r"Server returned non-2xx status code: (\d{3} [A-Za-z ]+)")
_REQUEST = re.compile(r"Error performing (?:GET|PUT|HEAD|POST|DELETE) ")
_DECORATION = re.compile(r"\x1b\[[\d;]*m|↳")
_KINDS = re.compile(r"^(?:(?:[A-Z]\w*(?: \w+){0,3} [Ee]rror|\w+(?:Error|Exception)): )+")


def plain(exc: BaseException) -> str:
    """A library's message; the name of its class where it says nothing."""
    if said := answer_of(exc):
        return said
    text = str(exc)
    for noise in (_BACKTRACE, _TRACEBACK, _EXCERPT):
        text = noise.sub("", text)
    text = " ".join(_DECORATION.sub(" ", text).split())
    return _KINDS.sub("", text) or type(exc).__name__


def answer_of(exc: BaseException) -> str:
    """The code by which an object store refused, or that it did not answer; empty for others.

    The rest of its answer is left out: some servers repeat the key and signature they were shown.
    """
    text = str(exc)
    for known in (_CODE, _STATUS):
        if found := known.search(text):
            return f"the object store says {found[1]}"
    return "the object store cannot be reached" if _REQUEST.search(text) else ""


def cause_of(exc: Exception) -> Exception | None:
    """What to raise an error of ours `from`: nothing where that would show a store's answer."""
    return None if answer_of(exc) else exc


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
