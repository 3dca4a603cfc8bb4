"""The JSON of slices, commits, snapshots, pins and what is read of them."""

from dataclasses import asdict

from backstory.cli.documents.dispatch import Document, document, documents, recorded, time_or_null
from backstory.cli.figures import json_value
from backstory.lake.diff import FileDiff
from backstory.lake.leases import Lease
from backstory.lake.manifest import ManifestFile
from backstory.lake.receipt import Receipt
from backstory.lineage.comparing import SnapshotDiff
from backstory.lineage.consuming import Consumed
from backstory.lineage.graph import run_key
from backstory.lineage.inspecting import CommitUse, Shown, SliceSummary
from backstory.lineage.matching import Matches
from backstory.lineage.pinning import Pinned
from backstory.lineage.quarantining import Replayed, WaitingRow
from backstory.lineage.retaining import Retained
from backstory.lineage.store.quarantines import QuarantineRecord
from backstory.lineage.store.slices import CommitRecord, PinRecord, SnapshotRecord, SourceShare
from backstory.lineage.weighing import PinSize


@document.register
def _(thing: SliceSummary) -> Document:
    record = thing.slice
    return {
        "name": record.name,
        "flavour": record.flavour,
        "version": record.last_version,
        "rows": thing.rows,
        "at": time_or_null(record.last_at),
        "pinnedSnapshots": thing.pinned,
        "tableId": record.table_id,
        "uri": record.uri,
    }


@document.register
def _(thing: Consumed) -> Document:
    return asdict(thing)


@document.register
def _(thing: CommitRecord) -> Document:
    return {
        "version": thing.version,
        "at": time_or_null(thing.at),
        "operation": thing.operation,
        "source": thing.source,
        "offset": thing.offset,
        "rows": thing.rows,
        "batch": thing.batch,
        "contractVersion": thing.contract_version,
        "actor": thing.actor,
        "logDigest": thing.log_digest,
        **recorded(thing.recorded_at, thing.late),
    }


@document.register
def _(thing: CommitUse) -> Document:
    return {
        **document(thing.commit),
        "digest": thing.snapshot.digest if thing.snapshot else None,
        "runs": [run_key(run) for run in thing.runs],
        "pins": documents(thing.pins),
    }


@document.register
def _(thing: SnapshotRecord) -> Document:
    return {
        "ref": thing.ref,
        "digest": thing.digest,
        "rows": thing.rows,
        "bytes": thing.size,
        "files": thing.files,
        "at": time_or_null(thing.at),
    }


@document.register
def _(thing: PinRecord) -> Document:
    return {
        "id": thing.pin_id,
        "holder": thing.holder,
        "reason": thing.reason,
        "strength": thing.strength,
        "until": time_or_null(thing.until),
        "at": time_or_null(thing.at),
    }


@document.register
def _(thing: Pinned) -> Document:
    return {
        "id": thing.pin_id,
        "holder": thing.holder,
        "reason": thing.reason,
        "strength": str(thing.strength),
        "until": time_or_null(thing.until),
        "at": time_or_null(thing.at),
        "retention": thing.retention,
        "classGiven": thing.class_given,
        "inUse": list(thing.in_use),
        "snapshot": document(thing.snapshot),
    }


@document.register
def _(thing: PinSize) -> Document:
    return {**document(thing.pinned), "bytes": thing.size, "bytesAlone": thing.alone}


@document.register
def _(thing: Lease) -> Document:
    """In the shape of a pin with its bytes; what a lease does not know is null."""
    return {
        "id": thing.lease_id,
        "holder": thing.holder,
        "reason": thing.reason,
        "strength": thing.strength,
        "until": time_or_null(thing.until),
        "at": time_or_null(thing.began),
        "retention": None,
        "classGiven": False,
        "inUse": [],
        "snapshot": {
            "ref": f"{thing.slice}@{thing.version}",
            "digest": None,
            "rows": None,
            "bytes": thing.size,
            "files": None,
            "at": None,
        },
        "bytes": thing.size,
        "bytesAlone": None,
    }


@document.register
def _(thing: Retained) -> Document:
    before = {
        "until": time_or_null(thing.before.until),
        "retention": thing.before.retention,
        "classGiven": thing.before.class_given,
    }
    return {**document(thing.pinned), "over": thing.over, "before": before}


@document.register
def _(thing: Shown) -> Document:
    at = thing.at
    return {
        "ref": at.ref,
        "digest": thing.snapshot.digest,
        "rows": thing.snapshot.rows,
        "bytes": thing.snapshot.size,
        "files": documents(thing.snapshot.manifest.files),
        "openedBy": str(thing.snapshot.opened_by),
        "commit": document(at.commit) if at.commit else None,
        "pins": documents(thing.pins),
        "matching": thing.matching,
        "sample": [json_value(dict(row)) for row in thing.rows],
    }


@document.register
def _(thing: ManifestFile) -> Document:
    return {
        "path": thing.path,
        "bytes": thing.size,
        "rows": thing.rows,
        "sha256": thing.sha256 or None,
        "partition": dict(thing.partition),
    }


@document.register
def _(thing: Receipt) -> Document:
    return {
        "slice": thing.slice,
        "outcome": str(thing.outcome),
        "accepted": thing.accepted,
        "duplicate": thing.duplicate,
        "rejected": thing.rejected,
        "version": thing.version,
        "contractVersion": thing.contract_version,
        "source": thing.source,
        "offset": thing.offset,
        "warnings": dict(thing.warnings),
    }


@document.register
def _(thing: QuarantineRecord) -> Document:
    return {
        "slice": thing.slice_name,
        "version": thing.version,
        "at": time_or_null(thing.at),
        "source": thing.source,
        "offset": thing.offset,
        "file": thing.file,
        "rows": thing.rows,
        "waiting": thing.waiting,
        "replayed": len(thing.replayed),
        "dropped": len(thing.dropped),
        "reasons": dict(thing.reasons),
    }


@document.register
def _(thing: WaitingRow) -> Document:
    row = thing.row
    return {
        "key": thing.key,
        "slice": thing.batch.slice_name,
        "version": thing.batch.version,
        "source": thing.batch.source,
        "file": thing.batch.file,
        "row": row.row,
        "faults": [
            {"column": fault.column, "expected": fault.expected, "found": fault.found}
            for fault in row.faults
        ],
        "fields": None if row.fields is None else dict(row.fields),
        "text": row.text,
        "leftOut": list(row.left_out),
    }


@document.register
def _(thing: Replayed) -> Document:
    return {
        "slice": thing.slice,
        "accepted": thing.accepted,
        "duplicate": thing.duplicate,
        "rejected": thing.rejected,
        "versions": list(thing.versions),
        "faults": dict(thing.faults),
    }


@document.register
def _(thing: FileDiff) -> Document:
    return {
        "rowsAdded": thing.rows_added,
        "rowsRemoved": thing.rows_removed,
        "filesAdded": documents(thing.added),
        "filesRemoved": documents(thing.removed),
        "filesKept": thing.kept,
        "schemaChanges": [asdict(change) for change in thing.schema_changes],
    }


@document.register
def _(thing: SourceShare) -> Document:
    return {"source": thing.source, "commits": thing.commits, "rows": thing.rows}


@document.register
def _(thing: SnapshotDiff) -> Document:
    return {
        "base": thing.base.ref,
        "head": thing.head.ref,
        **document(thing.files),
        "sources": documents(thing.sources),
        "commits": documents(thing.commits),
        "truncated": thing.truncated,
    }


@document.register
def _(thing: Matches) -> Document:
    return {
        "ref": thing.ref,
        "versions": [
            {"model": one.model, "version": one.number, "rows": one.rows} for one in thing.found
        ],
        "unmatched": thing.unmatched,
        "notLookedAt": thing.not_looked_at,
    }
