"""Are the bytes still what was recorded? Every file of a home, hashed again.

Steps, numbered as in the code:

1. The store: its database's own check, the audit log replayed (leaves, tree nodes, no gap), every
   row against the digests in the log.
2. Tables: every registered commit's log entry, every pinned snapshot and the newest version: data
   files, Delta statistics against footers, log, checkpoints, contracts, pins.
3. Artifacts: every file and folder by its digest, and none missing.
4. The subject key against the check value that the home began with.
5. The home's own small files.

What cannot even be opened is a finding like any other, and hides no other one: of a table whose
contract is damaged the rest is checked under the contract that the store knows.

`backstory.toml` is for people to edit: opening the home read it, and nothing vouches for it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from backstory.lake.contract import Contract
from backstory.lake.errors import BackstoryError, IntegrityError, InvalidError, NotFoundError
from backstory.lake.findings import Finding
from backstory.lake.pinned import holder_file, reopen
from backstory.lake.snapshot import Table
from backstory.lake.verify import Verified, verify_snapshot, verify_table
from backstory.lineage.keys import KEY_FILE, key_check, key_text, load_key
from backstory.lineage.parts import Parts
from backstory.lineage.resolving import SliceAt, resolve
from backstory.lineage.store import audit_log, integrity, models, runs, slices


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was checked and what was found.

    Attributes:
        files: how many files were hashed.
        size: how many bytes.
        findings: everything that is not what was recorded, each with its file.
        checked: what was looked at, in words, in the order of the steps.
    """

    files: int
    size: int
    findings: tuple[Finding, ...]
    checked: tuple[str, ...] = field(default=())

    @property
    def intact(self) -> bool:
        """Nothing was found."""
        return not self.findings


def verify(parts: Parts, ref: str | None = None) -> Verification:
    """Check a home, or one slice, snapshot or model version with all that it stands on.

    Args:
        ref: a slice (all of its table), a slice at a version, a model version (its artifact and
            the snapshots that it was trained on); everything where nothing is said.

    Raises:
        NotFoundError: nothing has that ref.
    """
    if ref is None:
        return _joined(_everything(parts))
    found = resolve(parts, ref)
    if isinstance(found, SliceAt):
        whole_table = "@" not in ref
        return _joined([_table(parts, found.slice.name) if whole_table else _at(parts, found)])
    if isinstance(found, models.VersionRecord):
        return _joined(_version(parts, found))
    raise InvalidError(
        f"{ref!r} has no bytes of its own", hint="verify a slice, a snapshot or a model version"
    )


def _everything(parts: Parts) -> Iterator[Verification]:
    for where, step in _STEPS.items():
        try:
            yield from step(parts)
        except BackstoryError as exc:  # it needs something of another step that is damaged
            yield _broken(where, where, exc)


def _store(parts: Parts) -> Iterator[Verification]:
    # 1
    with parts.store.reader() as conn:
        findings = tuple(integrity.check(conn))
        size, root = (0, "damaged") if findings else audit_log.log_root(conn)
    log = f"store, with an audit log of {size} entries and root {root}"
    yield Verification(files=1, size=0, findings=findings, checked=(log,))


def _tables(parts: Parts) -> Iterator[Verification]:
    # 2
    with parts.store.reader() as conn:
        registered = slices.last_versions(conn)
    for name in sorted({*parts.lake.names(), *registered}):
        yield _table(parts, name)


def _table(parts: Parts, name: str) -> Verification:
    """A whole table: what its pins need, its newest version, and its recorded log entries."""
    with parts.store.reader() as conn:
        record = slices.slice_by_name(conn, name)
        log = slices.log_digests(conn, record.id) if record else {}
        contracts = slices.contract_digests(conn, record.id) if record else {}
        pinned = slices.snapshots(conn, slices.pinned_snapshots(conn, name))
        held = slices.pins_of(conn, list(pinned))
    try:
        table = _opened(parts, name)
        found = verify_table(table, log_digests=log, contract_digests=contracts)
    except BackstoryError as exc:
        return _broken(name, str(parts.lake.entrance(name).relative_to(parts.lake.root)), exc)
    lost = [
        _missing(f"pin of {pinned[snapshot].ref}", path.relative_to(parts.lake.root), pin.holder)
        for snapshot, pins in held.items()
        for pin in pins
        if not (path := holder_file(table, pinned[snapshot].digest, pin.pin_id)).exists()
    ]
    return _verified(replace(found, findings=(*found.findings, *lost)), name)


def _opened(parts: Parts, name: str) -> Table:
    """A table; if the file of its contract is damaged, under the contract that the store knows."""
    try:
        return parts.lake.table(name)
    except IntegrityError:
        with parts.store.reader() as conn:
            record = slices.slice_by_name(conn, name)
            recorded = slices.newest_contract(conn, record.id) if record else None
        if recorded is None or (contract := Contract.from_json(recorded)).linked:
            raise
        return parts.lake.under(contract)


def _at(parts: Parts, found: SliceAt) -> Verification:
    try:
        table = _opened(parts, found.slice.name)
        return _verified(verify_snapshot(table, reopen(table, found.version)), found.ref)
    except BackstoryError as exc:
        return _broken(found.ref, found.ref, exc)


def _version(parts: Parts, version: models.VersionRecord) -> Iterator[Verification]:
    if version.artifact is None:
        external = f"{version.ref}: its artifact is external, not verified"
        yield Verification(files=0, size=0, findings=(), checked=(external,))
    else:
        findings = tuple(parts.lake.blobs.verify(version.artifact))
        size = version.artifact_size or 0
        yield Verification(files=1, size=size, findings=findings, checked=(version.ref,))
    with parts.store.reader() as conn:
        reads = runs.reads_of(conn, [version.run] if version.run else [])
        said = models.trained_on(conn, [version.id]).get(version.id, [])
        snapshots = slices.snapshots(conn, [*(read.snapshot for read in reads), *said])
        used = [_slice_at(conn, snapshot) for snapshot in snapshots.values()]
    for found in used:
        yield _at(parts, found)


def _slice_at(conn: Any, snapshot: slices.SnapshotRecord) -> SliceAt:
    record = slices.slice_by_name(conn, snapshot.slice_name)
    if record is None:
        raise InvalidError(
            f"{snapshot.ref}: its slice is not registered",
            hint="run `backstory slices`, which registers it",
        )
    return SliceAt(slice=record, version=snapshot.version, commit=None, snapshot=snapshot)


def _artifacts(parts: Parts) -> Iterator[Verification]:
    # 3
    blobs = parts.lake.blobs
    with parts.store.reader() as conn:
        recorded = models.artifact_kinds(conn)
        external = models.external_count(conn)
    present = set(blobs.digests())
    findings = [
        finding
        for digest in sorted({*recorded, *present})
        for finding in blobs.verify(digest, recorded.get(digest))
    ]
    yield Verification(
        files=len(present),
        size=0,
        findings=tuple(dict.fromkeys(findings)),
        checked=(
            f"{len(present)} artifacts",
            *([f"{external} external artifacts, not verified"] if external else []),
        ),
    )


def _small_files(parts: Parts) -> Iterator[Verification]:
    findings = tuple(finding for check in (_key, _ignore_file) for finding in check(parts))
    yield Verification(files=2, size=0, findings=findings, checked=("keys",))


def _key(parts: Parts) -> Iterator[Finding]:
    # 4
    with parts.store.reader() as conn:
        check = integrity.recorded_key_check(conn)
    try:
        key = load_key(parts.settings.keys)
        text = (parts.settings.keys / KEY_FILE).read_text()
        if text != key_text(key) or check.get(key.key_id) != key_check(key):
            yield _changed("subject key", f"keys/{KEY_FILE}", "changed", "another key")
    except NotFoundError:
        yield _changed("subject key", f"keys/{KEY_FILE}", "missing", "nothing")
    except BackstoryError as exc:
        yield _changed("subject key", f"keys/{KEY_FILE}", "unreadable", exc.message)


def _ignore_file(parts: Parts) -> Iterator[Finding]:
    # 5
    path = parts.settings.home / ".gitignore"
    if not path.exists():
        yield _changed("home", path.name, "missing", "nothing")
    elif path.read_bytes() != b"*\n":
        yield _changed("home", path.name, "changed", "something else")


_STEPS = {
    "store": _store,
    "tables": _tables,
    "artifacts": _artifacts,
    "keys": _small_files,
}


def _changed(where: str, path: str, problem: str, found: str) -> Finding:
    return Finding(
        where=where, path=path, problem=problem, expected="what `backstory init` wrote", found=found
    )


def _missing(where: str, path: Path, expected: str) -> Finding:
    return Finding(
        where=where, path=str(path), problem="missing", expected=expected, found="nothing"
    )


def _broken(where: str, path: str, exc: BackstoryError) -> Verification:
    """A thing that cannot even be opened is a finding like any other."""
    finding = Finding(
        where=where, path=path, problem="unreadable", expected="readable", found=exc.message
    )
    return Verification(files=0, size=0, findings=(finding,), checked=(where,))


def _verified(found: Verified, where: str) -> Verification:
    return Verification(
        files=found.checked_files,
        size=found.checked_bytes,
        findings=found.findings,
        checked=(where,),
    )


def _joined(parts: Iterator[Verification] | list[Verification]) -> Verification:
    done = list(parts)
    return Verification(
        files=sum(one.files for one in done),
        size=sum(one.size for one in done),
        findings=tuple(finding for one in done for finding in one.findings),
        checked=tuple(what for one in done for what in one.checked),
    )
