"""What the store knows of the uses of snapshots that no read of ours stands for."""

from collections.abc import Sequence

from sqlalchemy import Connection, or_, select

from backstory.lineage.graph import EdgeKind
from backstory.lineage.store import tables as t
from backstory.lineage.store.horizon import known_in
from backstory.lineage.store.number_list import among
from backstory.lineage.store.prepared import Prepared

_USES = Prepared(
    select(t.edge.c.src, t.edge.c.dst, t.edge.c.kind)
    .where(
        among(t.edge.c.src, "ids"),
        or_(t.edge.c.kind == EdgeKind.READ.value, t.edge.c.kind == EdgeKind.TRAINED_ON.value),
        known_in(t.edge),
    )
    .order_by(t.edge.c.id)
)


def uses_of(conn: Connection, snapshots: Sequence[int]) -> list[tuple[int, int, str]]:
    """The runs that read snapshots, and the versions said to be trained on them, by edges."""
    return [(src, dst, kind) for src, dst, kind in _USES.rows(conn, ids=snapshots)]
