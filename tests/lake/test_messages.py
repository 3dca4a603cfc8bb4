import errno

import duckdb
import pytest
from deltalake.exceptions import DeltaError

from backstory.lake.messages import plain, system_error

COLOURED = (
    "Generic LocalFileSystem error\n  \x1b[31m↳\x1b[0m Unable to copy data to file\n"
    "   \x1b[31m↳\x1b[0m No space left on device (os error 28)\n"
)
MESSAGES: dict[str, tuple[Exception, str]] = {
    "colours": (
        OSError(COLOURED),
        (
            "Generic LocalFileSystem error Unable to copy data to file "
            "No space left on device (os error 28)"
        ),
    ),
    "kinds in a row": (
        DeltaError("Kernel error: Json error: Encountered unexpected 'g' whilst parsing value"),
        "Encountered unexpected 'g' whilst parsing value",
    ),
    "short kind": (
        DeltaError("Kernel error: Arrow error: EOF: file size of 7 is less than footer"),
        "EOF: file size of 7 is less than footer",
    ),
    "class of C++": (RuntimeError("TProtocolException: Invalid data"), "Invalid data"),
    "backtrace": (DeltaError("Parse failed\n\n   0: std::backtrace\n   1: main"), "Parse failed"),
    "traceback": (
        ValueError("Invalid Input Error: no such row. Detail: Python exception: Traceback\n  File"),
        "no such row",
    ),
    "words of its own": (ValueError("a row error: of the text"), "a row error: of the text"),
    "nothing": (DeltaError(), "DeltaError"),
    "nothing but a kind": (ValueError("IO Error: "), "IO Error:"),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_is_one_line_without_its_kind(name: str) -> None:
    exc, expected = MESSAGES[name]
    assert plain(exc) == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 'a'::int", "Could not convert string 'a' to INT32"),
        ("SELECT 'a' + true", "No function matches"),
        ("SELECT * FROM nowhere", "Table with name nowhere does not exist!"),
    ],
)
def test_duckdb_says_what_is_wrong_and_no_more(sql: str, expected: str) -> None:
    with duckdb.connect() as con, pytest.raises(duckdb.Error) as caught:
        con.execute(sql).fetchall()
    assert plain(caught.value).startswith(expected)
    assert not {"LINE", "Candidate"} & set(plain(caught.value).split())


def test_the_systems_error_is_found_where_it_is_only_told() -> None:
    told = system_error(OSError(COLOURED))
    assert told is not None
    assert told.errno == errno.ENOSPC
    itself = OSError(errno.EACCES, "Permission denied")
    assert system_error(itself) is itself
    assert system_error(OSError("Parquet magic bytes not found")) is None


def test_the_systems_error_is_found_where_duckdb_tells_it() -> None:
    told = system_error(duckdb.IOException('IO Error: Cannot open file "a b": Permission denied'))
    assert told is not None
    assert (told.errno, told.filename) == (errno.EACCES, "a b")
    assert system_error(duckdb.IOException('Cannot open file "a": no reason known')) is None
