"""The JSON of what keeps a home safe: checks, mends, copies and sent events."""

from dataclasses import asdict

from backstory.cli.documents.dispatch import Document, document, documents, time_or_null
from backstory.lake.findings import Finding
from backstory.lake.garbage import FileFate
from backstory.lineage.backup.taking import Backup
from backstory.lineage.diagnosing import Check
from backstory.lineage.flushing import Flushed, Forgotten
from backstory.lineage.maintaining import Maintained
from backstory.lineage.mending import Mended
from backstory.lineage.verifying import Verification


@document.register
def _(thing: Finding) -> Document:
    return asdict(thing)


@document.register
def _(thing: Verification) -> Document:
    return {
        "intact": thing.intact,
        "files": thing.files,
        "bytes": thing.size,
        "findings": documents(thing.findings),
        "checked": list(thing.checked),
    }


@document.register
def _(thing: Check) -> Document:
    return {
        "name": thing.name,
        "health": str(thing.health),
        "found": thing.found,
        "remedy": thing.remedy or None,
    }


@document.register
def _(thing: Mended) -> Document:
    return asdict(thing)


@document.register
def _(thing: Backup) -> Document:
    manifest = thing.manifest
    return {
        "folder": str(thing.folder),
        "at": time_or_null(manifest.at),
        "manifest": manifest.digest,
        "files": len(manifest.files),
        "bytes": manifest.size,
        "lake": manifest.lake,
        "keys": manifest.with_keys,
    }


@document.register
def _(thing: Flushed) -> Document:
    return {
        "sent": thing.sent,
        "waiting": thing.waiting,
        "refused": thing.refused,
        "error": thing.error,
        "receivers": [asdict(one) for one in thing.receivers],
    }


@document.register
def _(thing: Forgotten) -> Document:
    return asdict(thing)


@document.register
def _(thing: Maintained) -> Document:
    return {
        "slice": thing.slice,
        "replaced": thing.replaced,
        "written": thing.written,
        "condemned": list(thing.condemned),
        "waiting": list(thing.waiting),
        "rescued": list(thing.rescued),
        "removed": list(thing.removed),
        "freed": thing.freed,
        "logBegin": thing.log_begin,
        "logEntries": thing.log_entries,
        "problem": thing.problem,
    }


@document.register
def _(thing: FileFate) -> Document:
    return {
        "path": thing.path,
        "fate": thing.fate.value,
        "size": thing.size,
        "reasons": list(thing.reasons),
        "until": time_or_null(thing.until),
    }
