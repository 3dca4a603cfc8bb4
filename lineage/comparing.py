"""Two snapshots side by side: files added and removed, and who sent the rows between.

Cost follows the files, never the rows: files that both versions list cannot differ. Rows by source
come from the recorded commits between the two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from backstory.lake.diff import FileDiff, diff_snapshots
from backstory.lake.errors import InvalidError
from backstory.lineage.parts import Parts
from backstory.lineage.pinning import open_at
from backstory.lineage.resolving import SliceAt, resolve_slice_at
from backstory.lineage.store import slices
from backstory.lineage.store.recorded import with_commit_times

MAX_COMMITS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotDiff:
    """What lies between two versions of a slice.

    Attributes:
        base, head: the two, as asked; `head` may be the older one.
        files: the difference of their file lists.
        commits: the commits after the older up to the newer one, newest first.
        truncated: there are more than `MAX_COMMITS` of them.
        sources: commits and rows by source in that range.
    """

    base: SliceAt
    head: SliceAt
    files: FileDiff
    commits: Sequence[slices.CommitRecord]
    truncated: bool
    sources: Sequence[slices.SourceShare]


def diff(parts: Parts, base: str, head: str, *, as_of: datetime | None = None) -> SnapshotDiff:
    """What changed from one version of a slice to another.

    Args:
        base: the one.
        head: the other; either may be the older one.
        as_of: as it was known then; as it is known now where nothing is said.

    Raises:
        InvalidError: the two are not versions of one slice.
        GoneError: the files of one are no longer there.
    """
    older, newer = both_versions(parts, base, head, as_of)
    first, last = sorted((older.version, newer.version))
    with parts.store.reader(as_of) as conn:
        between = slices.commits(
            conn, older.slice.id, after=first, upto=last, limit=MAX_COMMITS + 1
        )
        commits = with_commit_times(conn, between[:MAX_COMMITS])
        sources = slices.shares_by_source(conn, older.slice.id, after=first, upto=last)
    return SnapshotDiff(
        base=older,
        head=newer,
        files=diff_snapshots(open_at(parts, older), open_at(parts, newer)),
        commits=commits,
        truncated=len(between) > MAX_COMMITS,
        sources=sources,
    )


def both_versions(
    parts: Parts, base: str, head: str, as_of: datetime | None
) -> tuple[SliceAt, SliceAt]:
    """What two refs name, in their order.

    Raises:
        InvalidError: they are not versions of one slice.
    """
    one, other = (resolve_slice_at(parts, ref, as_of) for ref in (base, head))
    if one.slice.id != other.slice.id:
        raise InvalidError(
            f"{base} and {head} are different slices",
            hint="compare two versions of one slice, e.g. thumbs@12 thumbs@58",
        )
    return one, other
