"""Errors at the command line: one line, one hint, one exit code, decided in this place alone.

    error: no slice is called 'thumb'
    hint: did you mean 'thumbs'?

With `--json` the same stands on stderr as `{"error": {"code", "message", "hint"}}`. What nobody
expected is told with an id, and its traceback goes to a file in the home; none reaches the screen
unless `-v` asks for it.
"""

import json
import secrets
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import TextIO

import click

from backstory.lake.errors import (
    BackstoryError,
    BatchRejectedError,
    ConflictError,
    GoneError,
    IntegrityError,
    InvalidError,
    NotFoundError,
    NotPermittedError,
    RefusedError,
    UnavailableError,
)
from backstory.lake.location import translate_os_error
from backstory.lineage.redaction import redact_text

ERRORS_FOLDER = "errors"


class Exit(IntEnum):
    """What the exit code of a command says."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    NOT_FOUND = 3
    NOT_PERMITTED = 4
    INTEGRITY = 5
    REFUSED = 6
    DIFFERENT = 10
    INTERRUPTED = 130
    OUTPUT_CLOSED = 141


EXIT_CODES: dict[Exit, str] = {
    Exit.OK: "done; serve was stopped with Ctrl-C; nothing is due (run --if-due)",
    Exit.FAILURE: "a failure or a conflict: a name, an offset or a port is taken, the disk is "
    "full, a lock is held, the database is out of reach, doctor has found a problem, db check an "
    "old store, or an answer of query has errors; run ends with its command's own code, or 128 and "
    "the number of the signal that ended it",
    Exit.USAGE: "wrong use: an unknown option, or a value, file or setting that cannot be taken",
    Exit.NOT_FOUND: "nothing has that name, or it is gone",
    Exit.NOT_PERMITTED: "the operating system or the database does not permit it",
    Exit.INTEGRITY: "bytes are not what was recorded; verify found something",
    Exit.REFUSED: "understood, and refused by a rule: shares beyond 1, a store of a newer version, "
    "an address that others reach",
    Exit.DIFFERENT: "the two differ (diff --exit-code)",
    Exit.INTERRUPTED: "interrupted with Ctrl-C",
    Exit.OUTPUT_CLOSED: "the reader of the output went away, as `head` does",
}

# The first class that fits decides; the word is the `code` of `--json`.
_CLASSES: tuple[tuple[type[BackstoryError], str, Exit], ...] = (
    (InvalidError, "INVALID", Exit.USAGE),
    (GoneError, "GONE", Exit.NOT_FOUND),
    (NotFoundError, "NOT_FOUND", Exit.NOT_FOUND),
    (ConflictError, "CONFLICT", Exit.FAILURE),
    (RefusedError, "REFUSED", Exit.REFUSED),
    (IntegrityError, "INTEGRITY", Exit.INTEGRITY),
    (NotPermittedError, "NOT_PERMITTED", Exit.NOT_PERMITTED),
    (UnavailableError, "UNAVAILABLE", Exit.FAILURE),
    (BackstoryError, "FAILED", Exit.FAILURE),
)

_MISSPELT = (click.NoSuchCommand, click.NoSuchOption)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What is told of an error.

    Attributes:
        code: its word for programs.
        details: further lines, told with `-v` only.
    """

    exit: Exit
    code: str
    message: str
    hint: str = ""
    details: tuple[str, ...] = ()


def failure_of(exc: BaseException, *, home: Path | None = None) -> Failure:
    """What to tell of an exception; an unexpected one leaves its traceback in the home."""
    match exc:
        case BackstoryError():
            return _known(exc)
        case click.ClickException():
            return _usage(exc)
        case OSError():
            return replace(
                _known(translate_os_error(exc, "the system says")), details=_traceback(exc)
            )
        case KeyboardInterrupt() | click.Abort():
            return Failure(
                exit=Exit.INTERRUPTED,
                code="INTERRUPTED",
                message="interrupted",
                hint=str(exc),  # the command's own, if it has one
            )
        case _:
            return _unexpected(exc, home)


def report(
    failure: Failure, stderr: TextIO, *, as_json: bool = False, verbose: bool = False
) -> None:
    """Write a failure to stderr."""
    if as_json:
        body = {"code": failure.code, "message": failure.message, "hint": failure.hint}
        print(json.dumps({"error": body}, ensure_ascii=False), file=stderr)
        return
    print(f"error: {_line(failure.message)}", file=stderr)
    if failure.hint:
        print(f"hint: {_line(failure.hint)}", file=stderr)
    for line in failure.details if verbose else ():
        print(f"  {line}", file=stderr)


def _known(exc: BackstoryError) -> Failure:
    code, exit_code = next((c, e) for kind, c, e in _CLASSES if isinstance(exc, kind))
    rejections = exc.rejections if isinstance(exc, BatchRejectedError) else ()
    return Failure(
        exit=exit_code,
        code=code,
        message=exc.message,
        hint=exc.hint,
        details=tuple(str(rejection) for rejection in rejections),
    )


def _usage(exc: click.ClickException) -> Failure:
    """Wrong use; click's own sentences end with a full stop and begin with a capital."""
    message = exc.message if isinstance(exc, _MISSPELT) else exc.format_message()
    message, hint = message.rstrip("."), ""
    if isinstance(exc, _MISSPELT) and exc.possibilities:
        hint = f"did you mean {exc.possibilities[0]!r}?"
    elif isinstance(exc, click.UsageError) and exc.ctx is not None:
        hint = f"see `{exc.ctx.command_path} --help`"
    return Failure(
        exit=Exit.USAGE, code="USAGE", message=message[:1].lower() + message[1:], hint=hint
    )


def _unexpected(exc: BaseException, home: Path | None) -> Failure:
    number = secrets.token_hex(4)
    lines = _traceback(exc)
    hint = "run it again with -v to see where"
    if home is not None and (path := _keep(home, number, lines)):
        hint = f"this is a fault of Backstory: please report it with {path}"
    return Failure(
        exit=Exit.FAILURE,
        code="INTERNAL",
        message=f"unexpected {type(exc).__name__} (id {number})",
        hint=hint,
        details=lines,
    )


def _traceback(exc: BaseException) -> tuple[str, ...]:
    return tuple(redact_text("".join(traceback.format_exception(exc))).splitlines())


def _keep(home: Path, number: str, lines: Sequence[str]) -> Path | None:
    """Write a traceback into the home; None where that cannot be."""
    path = home / ERRORS_FOLDER / f"{number}.txt"
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text("\n".join(lines) + "\n", "utf-8")
    except OSError:
        return None
    return path


def _line(text: str) -> str:
    """One line, whatever stands in a name that somebody gave; no control character acts."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
