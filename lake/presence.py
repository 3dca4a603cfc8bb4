"""Whether data files are there: a first look that costs no reading.

A file that is there with its size may still hold other bytes: that is for `backstory.lake.verify`
to say. However many snapshots list a file, it is looked at once.
"""

from collections.abc import Iterable

from backstory.lake.location import inside
from backstory.lake.snapshot import Snapshot, check_present

MAX_FILES_LOOKED_AT = 10_000


def look_at_files(snapshots: Iterable[Snapshot], *, limit: int = MAX_FILES_LOOKED_AT) -> int:
    """Look whether the data files of some snapshots are there, with their sizes.

    Args:
        snapshots: whose files; none is asked for once the limit is reached.
        limit: how many files are looked at, at most.

    Returns:
        How many were looked at.

    Raises:
        GoneError: a file is no longer there.
        IntegrityError: a file has another size.
    """
    seen: set[str] = set()
    for snapshot in snapshots:
        for file in snapshot.manifest.files:
            if len(seen) >= limit:
                return limit
            if (place := f"{snapshot.folder}/{file.path}") not in seen:
                seen.add(place)
                check_present(snapshot, inside(snapshot.folder, file.path), file.size)
    return len(seen)
