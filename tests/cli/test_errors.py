"""Each class of error has its code, word and line; what nobody expected is kept, not shown."""

import io
import json
from pathlib import Path

import click
import pytest

from backstory.cli.errors import EXIT_CODES, Exit, Failure, failure_of, report
from backstory.lake.errors import (
    BackstoryError,
    BatchRejectedError,
    ConflictError,
    GoneError,
    IntegrityError,
    InvalidError,
    LimitExceededError,
    NotFoundError,
    NotPermittedError,
    OffsetConflict,
    RefusedError,
    Rejection,
    UnavailableError,
)
from backstory.lineage.trigger import TriggerNotDue
from tests.cli.running import run

REJECTED = BatchRejectedError(
    "thumbs",
    [
        Rejection(row=3, column="at", expected="a time", found="'soon'"),
        Rejection(row=4, column="at", expected="a time", found="'later'"),
    ],
)
TABLE = {
    "invalid": (InvalidError("m"), "INVALID", 2),
    "limit": (LimitExceededError("m"), "INVALID", 2),
    "rejected": (REJECTED, "INVALID", 2),
    "usage": (click.UsageError("m"), "USAGE", 2),
    "not found": (NotFoundError("m"), "NOT_FOUND", 3),
    "gone": (GoneError("m"), "GONE", 3),
    "not permitted": (NotPermittedError("m"), "NOT_PERMITTED", 4),
    "integrity": (IntegrityError("m"), "INTEGRITY", 5),
    "refused": (RefusedError("m"), "REFUSED", 6),
    "conflict": (ConflictError("m"), "CONFLICT", 1),
    "offset": (OffsetConflict(source="a", offset=1, last=2), "CONFLICT", 1),
    "unavailable": (UnavailableError("m"), "UNAVAILABLE", 1),
    "base": (BackstoryError("m"), "FAILED", 1),
    "interrupted": (KeyboardInterrupt(), "INTERRUPTED", 130),
    "aborted": (click.Abort(), "INTERRUPTED", 130),
    "unexpected": (ZeroDivisionError("m"), "INTERNAL", 1),
}


def told(failure: Failure, *, as_json: bool = False, verbose: bool = False) -> str:
    stderr = io.StringIO()
    report(failure, stderr, as_json=as_json, verbose=verbose)
    return stderr.getvalue()


@pytest.mark.parametrize("name", TABLE)
def test_each_error_has_its_word_and_code(name: str) -> None:
    error, code, exit_code = TABLE[name]
    failure = failure_of(error)
    assert (failure.code, failure.exit) == (code, exit_code)


def test_a_trigger_that_is_not_due_is_a_refusal() -> None:
    assert issubclass(TriggerNotDue, RefusedError)


def test_every_code_is_explained() -> None:
    assert set(EXIT_CODES) == set(Exit)
    topic = run("help", "exit-codes").out
    assert [f"  {code.value:>3}  " in topic for code in Exit] == [True] * len(Exit)


def test_an_error_is_a_line_and_a_hint() -> None:
    failure = failure_of(NotFoundError("no slice is called 'x'", hint="see `backstory slices`"))
    assert told(failure) == "error: no slice is called 'x'\nhint: see `backstory slices`\n"


def test_an_error_as_json() -> None:
    failure = failure_of(NotFoundError("no slice is called 'ü'", hint="look"))
    assert json.loads(told(failure, as_json=True)) == {
        "error": {"code": "NOT_FOUND", "message": "no slice is called 'ü'", "hint": "look"}
    }


def test_no_name_breaks_the_line_or_moves_the_cursor() -> None:
    lines = told(failure_of(InvalidError("a\nb\x1b[2J"))).splitlines()
    assert lines == ["error: a\\nb\\x1b[2J"]


def test_rejections_are_listed_on_request() -> None:
    failure = failure_of(REJECTED)
    assert len(told(failure).splitlines()) == 2
    assert told(failure, verbose=True).splitlines()[-1] == (
        "  row 4, column at: expected a time, found 'later'"
    )


def test_a_fault_is_kept_in_the_home_and_not_shown(tmp_path: Path) -> None:
    try:
        1 / 0  # noqa: B018 - the fault
    except ZeroDivisionError as exc:
        failure = failure_of(exc, home=tmp_path)
    (kept,) = (tmp_path / "errors").iterdir()
    assert kept.stem in failure.message
    assert str(kept) in failure.hint
    assert "Traceback" not in told(failure)
    assert "Traceback" in told(failure, verbose=True)
    assert "ZeroDivisionError" in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0


def test_a_fault_without_a_home_says_how_to_see_it(tmp_path: Path) -> None:
    for home in (None, tmp_path / "nowhere"):
        failure = failure_of(ZeroDivisionError("m"), home=home)
        assert failure.hint == "run it again with -v to see where"


def test_secrets_of_a_fault_are_not_kept(tmp_path: Path) -> None:
    url = "postgresql://app:hunter2@db/lineage"
    failure = failure_of(ZeroDivisionError(url), home=tmp_path)
    (kept,) = (tmp_path / "errors").iterdir()
    assert "hunter2" not in kept.read_text() + told(failure, verbose=True)
