import errno
import json
from pathlib import Path

import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from backstory.lake.commits import log_entry
from backstory.lake.delta import not_now, open_for_append
from backstory.lake.errors import IntegrityError, NotFoundError
from backstory.lake.table import SliceTable
from tests.lake.thumbs import append, contract, create, rows

FULL = "Generic LocalFileSystem error\n  Unable to copy data (os error 28)"


@pytest.mark.parametrize("exc", [OSError(FULL), OSError(errno.ENOSPC, "full")])
def test_a_full_disk_is_told_as_such(exc: Exception) -> None:
    error = not_now(exc, "appending app@3 to thumbs/en")

    assert error.message.startswith("appending app@3 to thumbs/en: ")
    assert "free some space" in error.hint


def test_an_unknown_failure_keeps_its_words() -> None:
    error = not_now(DeltaError("Max commit attempts reached"), "appending")

    assert error.message == "appending: Max commit attempts reached"
    assert error.hint


def test_a_missing_log_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no Delta table at"):
        open_for_append(tmp_path / "absent", contract())


def test_a_damaged_log_is_named(tmp_path: Path) -> None:
    table = create(tmp_path)
    entry = log_entry(table.folder, 0)
    entry.write_text("{")
    with pytest.raises(IntegrityError, match=f"thumbs/en: .* {entry.name} does not parse"):
        open_for_append(table.folder, contract())


def test_a_log_that_is_damaged_under_an_open_table_is_named(tmp_path: Path) -> None:
    table = create(tmp_path)
    append(table, rows(1), offset=0)
    append(SliceTable(table.folder, contract()), rows(1, first=1), offset=1)
    entry = log_entry(table.folder, 2)
    entry.write_text("{\n")

    with pytest.raises(IntegrityError, match=f"thumbs/en: .* {entry.name}") as caught:
        append(table, rows(1, first=2), offset=2)
    assert "\n" not in str(caught.value)


def test_a_table_is_made_by_our_id_where_one_is_given(tmp_path: Path) -> None:
    table = create(tmp_path, table_id="0190-table")
    append(table, rows(), offset=1)

    assert table.table_id == str(DeltaTable(table.folder).metadata().id) == "0190-table"
    actions = [json.loads(line) for line in log_entry(table.folder, 0).read_text().splitlines()]
    assert [next(iter(action)) for action in actions] == ["commitInfo", "protocol", "metaData"]
