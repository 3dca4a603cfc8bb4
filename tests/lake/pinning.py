"""A process that pins the newest version of the thumbs slice, and may let go again.

python -m tests.lake.pinning ROOT PIN_ID…
"""

import sys

from backstory.lake.location import place_of
from backstory.lake.pinned import Strength
from backstory.lake.pins import pin, release
from backstory.lake.snapshot import open_snapshot
from backstory.lake.table import SliceTable
from tests.lake.thumbs import NOW


def main(root: str, *pin_ids: str) -> None:
    """Pin once per id; ids that begin with `copy` copy the files, those with `brief` let go."""
    table = SliceTable.open(place_of(root), "thumbs/en")
    for pin_id in pin_ids:
        strength = Strength.COPIED if pin_id.startswith("copy") else Strength.HELD
        snapshot = open_snapshot(table)
        pin(table, snapshot, pin_id=pin_id, holder="h", reason="r", strength=strength, at=NOW)
        if pin_id.startswith("brief"):
            release(table, pin_id)


if __name__ == "__main__":
    main(*sys.argv[1:])
