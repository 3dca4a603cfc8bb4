"""Whatever lies beside a table's data is named when a byte of it changes, and may be missing."""

from pathlib import Path

import pytest

from backstory.lake.quarantine import write_quarantine
from backstory.lake.table import SliceTable
from backstory.lake.verify import verify_table
from tests.lake.test_quarantine import CONTRACT, passed
from tests.lake.thumbs import append, create, new_id, rows
from tests.lake.upkeep import collected, compact_all, trimmed


@pytest.fixture
def table(tmp_path: Path) -> SliceTable:
    """One that was compacted, collected and trimmed, with files condemned and rows rejected."""
    table = create(tmp_path)
    for number in range(40):
        append(table, rows(3, first=3 * number), offset=number)
    for days in (0, 2):
        compact_all(table)
        collected(table, days)
        trimmed(table, days)
        for number in range(8):
            append(
                table, rows(1, first=1_000 * (days + 1) + number), offset=100 * days + 50 + number
            )
    compact_all(table)
    collected(table, 2)
    batch = passed([{"event_id": "a", "label": 77}])
    write_quarantine(table.folder, batch, CONTRACT, attempt=new_id())
    return table


KINDS = (
    "_subjects/*.arrow",
    "_quarantine/*.jsonl",
    "_maintenance/condemned",
    "_maintenance/trimmed",
    "_maintenance/collected/*",
    "_maintenance/sums/*",
)


def test_a_changed_byte_is_named_and_what_is_missing_is_not(table: SliceTable) -> None:
    whole = verify_table(table)
    assert whole.findings == ()
    for kind in KINDS:
        path = min(table.folder.glob(kind))
        body = path.read_bytes()
        path.write_bytes(body[:9] + bytes([body[9] ^ 1]) + body[10:])
        [finding] = verify_table(table).findings
        assert finding.path == str(path.relative_to(table.folder.parent))
        path.unlink()
        less = verify_table(table)
        assert (less.findings, less.checked_files) == ((), whole.checked_files - 1)
        path.write_bytes(body)
    assert verify_table(table) == whole
