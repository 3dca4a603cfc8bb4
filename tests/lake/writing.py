"""A process that appends batches to the thumbs slice and prints what became of each.

    python -m tests.lake.writing ROOT SOURCE OFFSET…

Each line is `<offset> <outcome>`; the batch of an offset is determined by source and offset.
"""

import sys

import pyarrow as pa

from backstory.lake.errors import OffsetConflict
from backstory.lake.location import place_of
from backstory.lake.table import SliceTable
from tests.lake.thumbs import append, rows

BATCH = 5


def batch(source: str, offset: int, writer: str = "") -> pa.Table:
    return rows(BATCH, first=BATCH * offset, source=f"{source}{writer}")


def main(root: str, source: str, writer: str, *offsets: str) -> None:
    """Append and report; an offset that is refused is an outcome too."""
    table = SliceTable.open(place_of(root), "thumbs/en")
    for offset in map(int, offsets):
        try:
            receipt = append(table, batch(source, offset, writer), source=source, offset=offset)
            outcome = receipt.outcome.value
        except OffsetConflict:
            outcome = "conflict"
        print(offset, outcome, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
