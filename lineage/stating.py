"""The model state behind one interaction: what determined the answer, part by part.

The declared version leads to its artifact, components, code, environment, training snapshots and
trigger; the interaction's own parts stand beside them, and so does the deployment that was in force
at that instant. Nothing is assumed: what nobody recorded is a part that is missing, and says so.
The file that holds the interaction is hashed before it is believed; with `verify` also the bytes of
every part within reach.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from backstory.lake import lookup
from backstory.lake.errors import BackstoryError, IntegrityError, InvalidError, NotFoundError
from backstory.lake.pinned import reopen
from backstory.lake.snapshot import open_snapshot
from backstory.lake.verify import verify_snapshot
from backstory.lineage import linked_interactions
from backstory.lineage.fate import fate_of
from backstory.lineage.interaction import (
    INTERACTION_COLUMNS,
    RECORDED_COLUMN,
    Interaction,
    PartStatus,
)
from backstory.lineage.interaction_places import places_of
from backstory.lineage.observing import same_bytes, undeclared
from backstory.lineage.parts import Parts
from backstory.lineage.refs import ExternalRef, InteractionRef, parse_ref
from backstory.lineage.state import ModelState, Section, StatePart
from backstory.lineage.store import deployments, models, runs, slices
from backstory.lineage.store.amendments import marks
from backstory.lineage.store.loads import LoadRecord, last_loads
from backstory.lineage.store.recorded import with_interval_times, with_version_times
from backstory.lineage.times import time_text
from backstory.lineage.tracing import known_versions, training_unknown_before

_LAST_DIGITS = "ffffffff-ffff-ffff-ffff-ffffffffffff"
_FIRST_DIGITS = "00000000-0000-0000-0000-000000000000"
_COLUMNS = (*(column.name for column in INTERACTION_COLUMNS), RECORDED_COLUMN)


def state_of(
    parts: Parts, ref: str, *, verify: bool = False, as_of: datetime | None = None
) -> ModelState:
    """What stood behind an interaction.

    Args:
        ref: `int:` with an id or at least 6 characters of one, or `ext:SYSTEM:ID`.
        verify: hash every part within reach again.
        as_of: as it was known then; as it is known now where nothing is said.

    Raises:
        NotFoundError: there is no such interaction.
        InvalidError: the ref names something else, or more than one interaction.
        IntegrityError: a file that may hold it is not what was written.
    """
    interaction, linked = _find(parts, ref, as_of)
    with parts.store.reader(as_of) as conn:
        version = _version(conn, interaction)
        found = [
            *_amended(conn, version, _version_parts(interaction, version)),
            *_deployment_parts(conn, interaction, version),
            *_training_parts(conn, version, parts.store.first_time(conn)),
            *_own_parts(interaction),
            *_unmapped_parts(linked),
        ]
        loads = _loads(conn, interaction)
        observed = list(_load_disagreements(conn, interaction, version, loads))
        remarks = tuple(fate_of(conn, version)) if version else ()
    state = ModelState(
        interaction=interaction,
        version=version.ref if version else None,
        parts=tuple(found),
        loads=tuple(loads),
        disagreements=(*_disagreements(found), *observed),
        linked=linked,
        remarks=remarks,
    )
    if verify:
        checked = tuple(_verified(parts, part) for part in state.parts)
        state = replace(state, parts=checked)
    return state


def find_interaction(parts: Parts, ref: str, as_of: datetime | None = None) -> Interaction:
    """The interaction that a ref names.

    Args:
        ref: `int:` with an id or at least 6 characters of one, or `ext:SYSTEM:ID`.
        as_of: as it was known then; as it is known now where nothing is said.

    Raises:
        NotFoundError: there is none.
        InvalidError: the ref names something else, or more than one interaction.
        IntegrityError: a file that may hold it is not what was written.
    """
    return _find(parts, ref, as_of)[0]


def _find(
    parts: Parts, ref: str, as_of: datetime | None
) -> tuple[Interaction, linked_interactions.Linked | None]:
    """The one that a ref names, and the table of others that tells of it; of two, ours counts."""
    parsed = parse_ref(ref)
    if isinstance(parsed, InteractionRef):
        low, high = _id_range(parsed.prefix)
        rows = _rows_by_id(parts, low, high, as_of)
        theirs = (
            []
            if rows and low == high
            else linked_interactions.by_id(parts, low, high, as_of, needed=not rows)
        )
    elif isinstance(parsed, ExternalRef):
        rows = _rows_by_external_id(parts, parsed, as_of)
        theirs = [] if rows else linked_interactions.by_external_id(parts, _names(parsed), as_of)
    else:
        raise InvalidError(
            f"{ref!r} is not an interaction", hint="write it like int:019a8f3c or ext:zendesk:8812"
        )
    ours = [(Interaction.from_row(row), None) for row in rows]
    known = {interaction.id for interaction, _ in ours}
    found = [*ours, *(one for one in theirs if one[0].id not in known)]
    if not found:
        raise NotFoundError(
            f"no interaction is called {ref}",
            hint="if it was recorded, `backstory verify` tells whether damage hides it",
        )
    if len(found) > 1:
        ids = ", ".join(f"int:{interaction.id}" for interaction, _ in found[:3])
        raise InvalidError(f"{ref} names {len(found)} interactions", hint=f"name one: {ids}")
    return found[0]


def _id_range(prefix: str) -> tuple[str, str]:
    """The lowest and the highest id that begin so."""
    return prefix + _FIRST_DIGITS[len(prefix) :], prefix + _LAST_DIGITS[len(prefix) :]


def _names(ref: ExternalRef) -> tuple[str, str]:
    """What a system's row may be called; both `8812` and `zendesk:8812` are kept by callers."""
    return f"{ref.system}:{ref.id}", ref.id


def _rows_by_id(parts: Parts, low: str, high: str, as_of: datetime | None) -> list[dict[str, Any]]:
    """Rows whose id lies between two, from the data files that may hold it, each hashed first."""
    return [
        row
        for place in places_of(parts, low, high, as_of)
        for row in place.rows(low, high, _COLUMNS)
    ]


def _rows_by_external_id(
    parts: Parts, ref: ExternalRef, as_of: datetime | None
) -> list[dict[str, Any]]:
    """Rows that a system calls so.

    It may lie in any file, so what is found gives no more than an id to look for.
    """
    tables = [n for n in parts.lake.names() if n.startswith(slices.INTERACTIONS_PREFIX)]
    known = known_versions(parts, as_of) if as_of else dict.fromkeys(tables)
    found = {
        str(row["id"]): name
        for name in tables
        if name in known
        for snapshot in [open_snapshot(parts.lake.table(name), known[name])]
        for text in _names(ref)
        for row in lookup.rows_where(snapshot, "external_id", text, columns=["id"])
    }
    return [
        row for wanted, name in found.items() for row in _rows_called(parts, wanted, name, as_of)
    ]


def _rows_called(
    parts: Parts, wanted: str, name: str, as_of: datetime | None
) -> list[dict[str, Any]]:
    """The rows of an id that some file of a table gave."""
    rows = _rows_by_id(parts, wanted, wanted, as_of)
    if not rows:
        raise IntegrityError(f"{name}: a row there is called int:{wanted}, which was never stored")
    return rows


def _version(conn: Any, interaction: Interaction) -> models.VersionRecord | None:
    """The version that is said to have answered, with when it was recorded."""
    if interaction.version is None:
        return None
    found = models.version(conn, interaction.model, interaction.version)
    return with_version_times(conn, [found])[0] if found else None


def _version_parts(
    interaction: Interaction, version: models.VersionRecord | None
) -> Iterator[StatePart]:
    if version is None:
        named = interaction.version
        yield StatePart(
            section=Section.VERSION,
            kind="model_version",
            ref=f"{interaction.model}@{named if named is not None else '?'}",
            status=PartStatus.MISSING,
            problem="nobody recorded which version answered"
            if named is None
            else "this version was never registered here",
        )
        return
    yield StatePart(
        section=Section.VERSION,
        kind="model_version",
        ref=version.ref,
        recorded_at=version.recorded_at,
        late=version.late,
    )
    yield _artifact_part(version)


def _amended(
    conn: Any, version: models.VersionRecord | None, found: Iterable[StatePart]
) -> Iterator[StatePart]:
    """The parts with the mark of their version, where what was said of it was amended."""
    told = [version.id] if version is not None and version.run is None else []
    mark = next(iter(marks(conn, told).values()), None)
    return (replace(part, amended=mark) for part in found)


def _artifact_part(version: models.VersionRecord) -> StatePart:
    if version.artifact_kind is not None and version.artifact_name is not None:
        return StatePart(
            section=Section.ARTIFACT,
            kind=version.artifact_kind,
            ref=version.artifact_name,
            digest=version.artifact,
        )
    if version.artifact_uri is None and version.digest is None:
        return StatePart(
            section=Section.ARTIFACT,
            kind="external",
            ref=version.ref,
            status=PartStatus.MISSING,
            problem="nobody recorded its artifact",
        )
    return StatePart(
        section=Section.ARTIFACT,
        kind="external",
        ref=version.artifact_uri or version.ref,
        digest=version.digest,
        status=PartStatus.EXTERNAL,
    )


def _deployment_parts(
    conn: Any, interaction: Interaction, version: models.VersionRecord | None
) -> Iterator[StatePart]:
    """The deployment that was in force where and when the answer was given."""
    if interaction.environment is None or version is None:
        return
    serving = deployments.intervals(conn, environment=interaction.environment, at=interaction.at)
    mine = [i for i in serving if i.model_version == version.id]
    amended = marks(conn, [i.deployment for i in mine])
    for interval in with_interval_times(conn, mine):
        yield StatePart(
            section=Section.DEPLOYMENT,
            kind=interval.mode,
            ref=f"env:{interval.environment}#{interval.number}",
            detail=f"since {time_text(interval.from_at)}, share {interval.share:.6g}",
            recorded_at=interval.recorded_at,
            late=interval.late,
            amended=amended.get(interval.deployment),
        )
    if not mine:
        others = ", ".join(f"{i.model}@{i.version}" for i in serving) or "nothing"
        yield StatePart(
            section=Section.DEPLOYMENT,
            kind="unknown",
            ref=f"env:{interaction.environment}",
            status=PartStatus.MISSING,
            problem=f"{version.ref} was not deployed there at that time ({others} was)",
        )


def _loads(conn: Any, interaction: Interaction) -> list[LoadRecord]:
    """What the hosts of the environment had loaded last when the answer was given."""
    if interaction.environment is None:
        return []
    place = interaction.environment, interaction.model
    return last_loads(conn, [interaction.environment], interaction.at).get(place, [])


def _load_disagreements(
    conn: Any,
    interaction: Interaction,
    version: models.VersionRecord | None,
    loads: Sequence[LoadRecord],
) -> Iterator[str]:
    """Where the hosts had loaded something else than is said to have answered."""
    if version is None or interaction.environment is None:
        return
    if loads and not any(same_bytes(load, version) for load in loads):
        hosts = ", ".join(f"{load.host} {load.ref} at {time_text(load.at)}" for load in loads)
        yield (
            f"{interaction.environment}: {version.ref} is said to have answered, "
            f"and the hosts had loaded: {hosts}"
        )
        return
    serving = deployments.intervals(conn, environment=interaction.environment, at=interaction.at)
    ids = {i.model_version for i in serving if i.model == interaction.model} | {version.id}
    declared = sorted(models.versions(conn, sorted(ids)).values(), key=lambda known: known.number)
    yield from undeclared(interaction.environment, declared, loads)


def _training_parts(
    conn: Any, version: models.VersionRecord | None, known_since: datetime | None
) -> Iterator[StatePart]:
    """Components, snapshots, trigger, code and environment of the run that made the version."""
    if version is None:
        return
    for component in models.components_of(conn, version.id):
        yield StatePart(
            section=Section.COMPONENT,
            kind=component.kind,
            ref=f"{component.name}@{component.version}",
            digest=component.digest,
            status=PartStatus.DECLARED if component.digest else PartStatus.EXTERNAL,
        )
    if version.run is None:
        yield from _declared_training(conn, version, known_since)
        return
    run = runs.runs_by_id(conn, [version.run])[version.run]
    reads = runs.reads_of(conn, [run.id])
    snapshots = slices.snapshots(conn, [read.snapshot for read in reads])
    if not reads:
        yield _not_captured(Section.TRAINING, "snapshot", f"run:{run.run_id}")
    for read in reads:
        yield _snapshot_part(read, snapshots[read.snapshot])
    yield from _trigger_parts(run)
    yield from _code_parts(runs.run_facets(conn, run.id), run)


def _declared_training(
    conn: Any, version: models.VersionRecord, known_since: datetime | None
) -> Iterator[StatePart]:
    """The snapshots that a version without a run of ours is said to be trained on."""
    said = models.trained_on(conn, [version.id]).get(version.id, [])
    for snapshot in slices.snapshots(conn, said).values():
        yield StatePart(
            section=Section.TRAINING,
            kind="snapshot",
            ref=snapshot.ref,
            digest=snapshot.digest,
            detail=json.dumps({"evidence": version.evidence.value}),
        )
    unknown = training_unknown_before(version, known_since, trained=bool(said))
    if unknown is not None:
        problem = f"training not recorded before {time_text(unknown)}"
        part = _not_captured(Section.TRAINING, "run", version.ref)
        yield replace(part, problem=problem)


def _snapshot_part(read: runs.ReadRecord, snapshot: slices.SnapshotRecord) -> StatePart:
    selection = {"role": read.role, "columns": read.columns, "where": read.filter}
    return StatePart(
        section=Section.TRAINING,
        kind="snapshot",
        ref=snapshot.ref,
        digest=snapshot.digest,
        detail=json.dumps({k: v for k, v in selection.items() if v is not None}, sort_keys=True),
    )


def _trigger_parts(run: runs.RunRecord) -> Iterator[StatePart]:
    if run.trigger is not None:
        yield StatePart(
            section=Section.TRIGGER,
            kind=run.trigger["kind"],
            ref=f"run:{run.run_id}",
            detail=run.trigger["reason"],
        )


def _code_parts(facets: dict[str, Any], run: runs.RunRecord) -> Iterator[StatePart]:
    training = facets.get("backstory_training", {})
    code, environment = training.get("code") or {}, training.get("environment") or {}
    if code.get("commit"):
        detail = "clean"
        if code.get("dirty"):
            detail = "with uncommitted changes" if code.get("patchDigest") else "changes unknown"
        yield StatePart(
            section=Section.CODE,
            kind="git",
            ref=code["commit"],
            digest=code.get("patchDigest"),
            detail=detail,
        )
    else:
        yield _not_captured(Section.CODE, "git", f"run:{run.run_id}")
    if environment.get("lockDigest"):
        yield StatePart(
            section=Section.ENVIRONMENT,
            kind="lock_file",
            ref=environment["lockFile"],
            digest=environment["lockDigest"],
            detail=f"python {environment.get('python')}",
            status=PartStatus.EXTERNAL,
        )
    else:
        yield _not_captured(Section.ENVIRONMENT, "lock_file", f"run:{run.run_id}")


def _own_parts(interaction: Interaction) -> Iterator[StatePart]:
    for part in interaction.parts:
        yield StatePart(
            section=Section.PART,
            kind=part.kind,
            ref=part.ref,
            digest=part.digest,
            detail=part.detail or "",
            status=part.status,
        )


def _unmapped_parts(linked: linked_interactions.Linked | None) -> Iterator[StatePart]:
    """What the table of others says nothing of."""
    if linked is not None and "parts" in linked.mapping.unmapped:
        part = _not_captured(Section.PART, "parts", linked.link.slice_name)
        yield replace(part, problem="the link maps no column to them")


def _not_captured(section: Section, kind: str, ref: str) -> StatePart:
    return StatePart(
        section=section, kind=kind, ref=ref, status=PartStatus.MISSING, problem="not captured"
    )


def _disagreements(found: Iterable[StatePart]) -> Iterator[str]:
    """Where what was declared at serving and at deploying are not the same."""
    for part in found:
        if part.section is Section.DEPLOYMENT and part.status is PartStatus.MISSING:
            yield f"{part.ref}: {part.problem}"


def _verified(parts: Parts, part: StatePart) -> StatePart:
    """The part with what its bytes say now."""
    problems = _problems(parts, part)
    if problems is None:
        return part
    if problems:
        return replace(part, status=PartStatus.MISSING, problem="; ".join(problems))
    return replace(part, status=PartStatus.VERIFIED)


def _problems(parts: Parts, part: StatePart) -> Sequence[str] | None:
    """What is wrong with a part's bytes; None where they are out of reach."""
    if part.digest is None or part.status is PartStatus.MISSING:
        return None
    if part.section is Section.TRAINING:
        return _snapshot_problems(parts, part)
    if parts.lake.blobs.has(part.digest):
        return [f"{f.problem} of {f.path}" for f in parts.lake.blobs.verify(part.digest)]
    ours = part.section is Section.ARTIFACT and part.status is not PartStatus.EXTERNAL
    return ["its bytes are gone"] if ours else None


def _snapshot_problems(parts: Parts, part: StatePart) -> list[str]:
    name, _, version = part.ref.rpartition("@")
    try:
        table = parts.lake.table(name)
        snapshot = reopen(table, int(version))
    except BackstoryError as exc:
        return [exc.message]
    if snapshot.digest != part.digest:
        return [f"manifest digest is {snapshot.digest}"]
    return [f"{f.problem} of {f.path}" for f in verify_snapshot(table, snapshot).findings]
