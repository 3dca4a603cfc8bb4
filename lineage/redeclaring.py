"""What somebody said of a version that no run of ours made, superseded: its artifact, its training.

Only what was declared is amendable. What a run of ours made was observed, bytes that are kept here
have the digest that they have, and what another system recorded is corrected there. The snapshots
that a version was not trained on after all stay pinned until somebody releases them.
"""

from collections.abc import Sequence

from backstory.lake.errors import InvalidError
from backstory.lineage.amendment import Correction
from backstory.lineage.declaring import check_digest, train_on, uri_of
from backstory.lineage.graph import Evidence
from backstory.lineage.parts import Parts
from backstory.lineage.resolving import SliceAt
from backstory.lineage.store import amendments, models, tables, writes
from backstory.lineage.store.unit_of_work import Unit


def amend_version(
    parts: Parts,
    unit: Unit,
    version: models.VersionRecord,
    correction: Correction,
    *,
    snapshots: Sequence[SliceAt],
    reason: str,
) -> None:
    """Supersede what was said of a version.

    Args:
        snapshots: what it was trained on, where that is corrected.

    Raises:
        InvalidError: it was observed or imported, or nothing would change.
    """
    _check_declared(version, correction)
    changed = [
        correction.said != ["--trained-on"] and _redeclare(unit, version, correction, reason),
        correction.trained_on is not None and _retrain(parts, unit, version, snapshots, reason),
    ]
    if not any(changed):
        raise InvalidError("that is recorded already", hint="an amendment says what was not so")


def _check_declared(version: models.VersionRecord, correction: Correction) -> None:
    correction.only(f"a version like {version.ref}", "--artifact", "--digest", "--trained-on")
    if version.evidence is Evidence.OBSERVED:
        raise InvalidError(
            f"{version.ref}: a run of ours made it; what was observed is not amended",
            hint="register what is right as another version",
        )
    if version.evidence is not Evidence.DECLARED:
        raise InvalidError(
            f"{version.ref} was recorded by another system, and is not amended here",
            hint="correct it there, and add it under another number",
        )
    if version.artifact is not None and correction.said != ["--trained-on"]:
        raise InvalidError(
            f"{version.ref}: its bytes are kept here, and their digest is not amended",
            hint="add what is right under another number with `backstory models add`",
        )


def _redeclare(
    unit: Unit, version: models.VersionRecord, correction: Correction, reason: str
) -> bool:
    said = {
        "artifact_uri": version.artifact_uri
        if correction.artifact is None
        else _uri(correction.artifact),
        "declared_digest": check_digest(correction.digest) or version.declared_digest,
    }
    if said == {name: getattr(version, name) for name in said}:
        return False
    before = models.declaration_of(unit.connection, version.id)
    if before is not None:
        writes.end(unit, tables.declaration, before)
    after = writes.insert(unit, tables.declaration, model_version=version.id, **said)
    amendments.record(
        unit, version.id, tables.declaration.name, before=before, after=after, reason=reason
    )
    return True


def _uri(artifact: str) -> str:
    uri = uri_of(artifact)
    if uri is None:
        raise InvalidError(
            f"{artifact[:80]!r} is no URI: only where the bytes lie elsewhere is amended",
            hint="add a file under another number with `backstory models add`",
        )
    return uri


def _retrain(
    parts: Parts,
    unit: Unit,
    version: models.VersionRecord,
    snapshots: Sequence[SliceAt],
    reason: str,
) -> bool:
    before = models.training_edges(unit.connection, version.id)
    right = {one.ref for one in snapshots}
    for ref in sorted(before.keys() - right):
        writes.end(unit, tables.edge, before[ref])
        _record_edge(unit, version.id, before=before[ref], reason=reason)
    for one in snapshots:
        if one.ref not in before:
            train_on(parts, unit, one, version, Evidence.DECLARED)
    after = models.training_edges(unit.connection, version.id)
    for ref in sorted(after.keys() - before.keys()):
        _record_edge(unit, version.id, after=after[ref], reason=reason)
    return before.keys() != right


def _record_edge(
    unit: Unit,
    version: int,
    *,
    before: int | None = None,
    after: int | None = None,
    reason: str,
) -> None:
    amendments.record(unit, version, tables.edge.name, before=before, after=after, reason=reason)
