"""The store's tables. What is recorded is never updated: a new row says what is so from now on.

`recorded_seq` is the audit leaf that a row came with; where a fact can be superseded, `ended_seq`
is the leaf that ended it (the one column that is ever written twice, from NULL to a number).
"As known then" (`asOf`) is `recorded_seq <= n AND (ended_seq IS NULL OR ended_seq > n)`.

Nodes and edges have integer keys: walks over them are several times faster than over UUIDs.
Nothing here knows a query; see `reads` and `writes`.
"""

from backstory.lineage.store.tables.audit import audit_leaf, audit_node
from backstory.lineage.store.tables.columns import metadata
from backstory.lineage.store.tables.graph import edge, entity, name
from backstory.lineage.store.tables.models import (
    alias,
    artifact,
    component,
    declaration,
    model_version,
)
from backstory.lineage.store.tables.outbox import outbox
from backstory.lineage.store.tables.runs import (
    openlineage_event,
    retention,
    run,
    run_facet,
    run_process,
    run_read,
    run_state,
)
from backstory.lineage.store.tables.serving import (
    amendment,
    deployment,
    deployment_interval,
    interaction_file,
    interaction_link,
    load,
)
from backstory.lineage.store.tables.slices import (
    commit,
    contract,
    feedback_match,
    feedback_request,
    file_change,
    pin,
    quarantine,
    quarantine_end,
    slice_,
    snapshot,
)

__all__ = [
    "alias",
    "amendment",
    "artifact",
    "audit_leaf",
    "audit_node",
    "commit",
    "component",
    "contract",
    "declaration",
    "deployment",
    "deployment_interval",
    "edge",
    "entity",
    "feedback_match",
    "feedback_request",
    "file_change",
    "interaction_file",
    "interaction_link",
    "load",
    "metadata",
    "model_version",
    "name",
    "openlineage_event",
    "outbox",
    "pin",
    "quarantine",
    "quarantine_end",
    "retention",
    "run",
    "run_facet",
    "run_process",
    "run_read",
    "run_state",
    "slice_",
    "snapshot",
]
