"""What the store knows of models: versions, artifacts, aliases and components."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, func, literal_column, or_, select

from backstory.lake.errors import IntegrityError
from backstory.lineage.graph import EdgeKind, Evidence
from backstory.lineage.lateness import lateness
from backstory.lineage.store import tables as t
from backstory.lineage.store.horizon import horizon, known_in
from backstory.lineage.store.number_list import among
from backstory.lineage.store.prepared import Prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRecord:
    """A model version with its artifact and the aliases it has now.

    Attributes:
        run: the run of ours that made it; None where somebody told of it.
        artifact: the digest of its bytes, which are kept here; None where they are not.
        artifact_uri: where its bytes are said to lie.
        declared_digest: of bytes that are not kept here, as somebody said.
        evidence: how it is known: observed where a run of ours made it.
        training: what was said of a training that was no run of ours: params, metrics, run.
        recorded_at: when it was recorded; None where nobody asked, see `recorded`.
    """

    id: int
    model: str
    number: int
    run: int | None
    artifact: str | None
    artifact_kind: str | None
    artifact_name: str | None
    artifact_size: int | None
    replay: list[str] | None
    at: datetime
    artifact_uri: str | None = None
    declared_digest: str | None = None
    evidence: Evidence = Evidence.OBSERVED
    training: Mapping[str, Any] | None = None
    aliases: tuple[str, ...] = field(default=())
    recorded_at: datetime | None = None

    @property
    def late(self) -> timedelta | None:
        """How long after it was made it was recorded; None where that was in time."""
        return lateness(self.at, self.recorded_at)

    @property
    def ref(self) -> str:
        """`ranker@7`."""
        return f"{self.model}@{self.number}"

    @property
    def digest(self) -> str | None:
        """The digest of its bytes, wherever they lie; None where nobody said."""
        return self.artifact or self.declared_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentRecord:
    """A versioned thing that a model version is composed with."""

    id: int
    kind: str
    name: str
    version: str
    digest: str | None


_COMMA = ","  # no alias holds one
_ALIASES = (
    # As a literal: a bound comma would be compiled anew for every execution.
    select(func.aggregate_strings(t.alias.c.alias, literal_column(f"'{_COMMA}'")))  # type: ignore[arg-type]
    .where(
        t.alias.c.model == t.model_version.c.model,
        t.alias.c.model_version == t.model_version.c.id,
        known_in(t.alias),
        t.alias.c.until_at.is_(None),
    )
    .scalar_subquery()
)
_VERSIONS = select(
    t.model_version.c.id,
    t.model_version.c.model,
    t.model_version.c.number,
    t.model_version.c.run,
    t.model_version.c.artifact,
    t.artifact.c.kind.label("artifact_kind"),
    t.artifact.c.name.label("artifact_name"),
    t.artifact.c.size.label("artifact_size"),
    t.model_version.c.replay,
    t.model_version.c.at,
    t.model_version.c.artifact_uri,
    t.model_version.c.declared_digest,
    t.model_version.c.evidence,
    t.model_version.c.training,
    _ALIASES.label("aliases"),
).outerjoin(t.artifact, t.artifact.c.digest == t.model_version.c.artifact)
# Looked up several times faster than by calling the enum; NULL where a run of ours made it.
_EVIDENCE: dict[str | None, Evidence] = {
    None: Evidence.OBSERVED,
    **{evidence.value: evidence for evidence in Evidence},
}
_VERSION_FIELDS = _VERSIONS.selected_columns.keys()
_VERSIONS_BY_ID = Prepared(_VERSIONS.where(among(t.model_version.c.id, "ids")))
_VERSION_BY_NUMBER = _VERSIONS.where(
    t.model_version.c.model == bindparam("model"),
    t.model_version.c.number == bindparam("number"),
    known_in(t.model_version),
)
_COMPONENTS = select(
    t.component.c.id,
    t.component.c.kind,
    t.component.c.name,
    t.component.c.version,
    t.component.c.digest,
)
_COMPONENTS_BY_ID = Prepared(_COMPONENTS.where(among(t.component.c.id, "ids")))


def artifact_kinds(conn: Connection) -> dict[str, str]:
    """What every registered artifact is, "file" or "tree", by digest."""
    query = select(t.artifact.c.digest, t.artifact.c.kind).order_by(t.artifact.c.digest)
    return {row.digest: row.kind for row in conn.execute(query)}


def has_artifact(conn: Connection, digest: str) -> bool:
    """Whether an artifact of that digest is registered."""
    query = select(t.artifact.c.digest).where(t.artifact.c.digest == digest)
    return conn.execute(query).first() is not None


def _version_record(row: Any) -> VersionRecord:
    fields = dict(zip(_VERSION_FIELDS, row, strict=True))
    aliases = fields.pop("aliases")
    try:
        fields["evidence"] = _EVIDENCE[fields["evidence"]]
    except KeyError as exc:
        raise IntegrityError(
            f"model version {fields['id']} is known in an unknown way",
            hint="`backstory verify` says which rows were changed",
        ) from exc
    return VersionRecord(**fields, aliases=tuple(sorted(aliases.split(_COMMA))) if aliases else ())


_DECLARATIONS = Prepared(
    select(
        t.declaration.c.model_version,
        t.declaration.c.artifact_uri,
        t.declaration.c.declared_digest,
    ).where(among(t.declaration.c.model_version, "ids"), known_in(t.declaration))
)


def _records(conn: Connection, rows: Iterable[Any]) -> list[VersionRecord]:
    """Versions as they are known: what was amended of them is asked for where any may have been."""
    found = [_version_record(row) for row in rows]
    told = [record.id for record in found if record.run is None and record.artifact is None]
    amended = {
        number: {"artifact_uri": uri, "declared_digest": digest}
        for number, uri, digest in (_DECLARATIONS.rows(conn, ids=told) if told else ())
    }
    if not amended:
        return found
    return [replace(record, **amended.get(record.id, {})) for record in found]


def versions(conn: Connection, ids: Sequence[int]) -> dict[int, VersionRecord]:
    """Model versions by id."""
    rows = _VERSIONS_BY_ID.rows(conn, ids=ids) if ids else ()
    return {record.id: record for record in _records(conn, rows)}


def version(conn: Connection, model: str, number: int) -> VersionRecord | None:
    """One model version."""
    row = conn.execute(
        _VERSION_BY_NUMBER, {"model": model, "number": number, **horizon(conn)}
    ).one_or_none()
    return _records(conn, [row])[0] if row else None


def versions_of(
    conn: Connection, model: str, *, limit: int = 1000, before: int | None = None
) -> list[VersionRecord]:
    """A model's versions, newest first; only numbers below `before` where one is given."""
    query = (
        _VERSIONS.where(t.model_version.c.model == model, known_in(t.model_version))
        .order_by(t.model_version.c.number.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(t.model_version.c.number < before)
    return _records(conn, conn.execute(query, horizon(conn)).all())


def versions_made_by(conn: Connection, run: int) -> list[VersionRecord]:
    """The versions that a run made."""
    query = _VERSIONS.where(t.model_version.c.run == run, known_in(t.model_version))
    return [_version_record(row) for row in conn.execute(query, horizon(conn))]


def versions_with(conn: Connection, digest: str) -> list[VersionRecord]:
    """The versions whose bytes have that digest, wherever they lie, newest first."""
    amended = select(t.declaration.c.model_version).where(
        t.declaration.c.declared_digest == digest, known_in(t.declaration)
    )
    query = _VERSIONS.where(
        or_(
            t.model_version.c.artifact == digest,
            t.model_version.c.declared_digest == digest,
            t.model_version.c.id.in_(amended),
        ),
        known_in(t.model_version),
    ).order_by(t.model_version.c.at.desc(), t.model_version.c.id.desc())
    found = _records(conn, conn.execute(query, horizon(conn)).all())
    return [version for version in found if version.digest == digest]


def external_count(conn: Connection) -> int:
    """How many versions have no bytes here."""
    query = select(func.count()).where(t.model_version.c.artifact.is_(None))
    return conn.execute(query).scalar_one()


def trained_on(conn: Connection, versions: Sequence[int]) -> dict[int, list[int]]:
    """The snapshots that versions without a run of ours are said to be trained on, by version."""
    found: dict[int, list[int]] = {}
    for version, snapshot in conn.execute(_TRAINED_ON, {"ids": list(versions), **horizon(conn)}):
        found.setdefault(version, []).append(snapshot)
    return found


_TRAINED_ON = (
    select(t.edge.c.dst, t.edge.c.src)
    .where(
        t.edge.c.dst.in_(bindparam("ids", expanding=True)),
        t.edge.c.kind == EdgeKind.TRAINED_ON.value,
        known_in(t.edge),
    )
    .order_by(t.edge.c.id)
)


def last_number(conn: Connection, model: str) -> int:
    """The number of a model's newest version; 0 when it has none."""
    query = select(func.max(t.model_version.c.number)).where(
        t.model_version.c.model == model, known_in(t.model_version)
    )
    return conn.execute(query, horizon(conn)).scalar_one() or 0


def aliased(conn: Connection, model: str, alias: str) -> int | None:
    """The version id that an alias names now: no alias moves before its time."""
    query = select(t.alias.c.model_version).where(
        t.alias.c.model == model,
        t.alias.c.alias == alias,
        known_in(t.alias),
        t.alias.c.until_at.is_(None),
    )
    return conn.execute(query, horizon(conn)).scalar_one_or_none()


def alias_rows(conn: Connection, model: str, alias: str | None = None) -> list[Any]:
    """The current record of the moves of a model's aliases, or of one: by alias, oldest first."""
    query = (
        select(t.alias)
        .where(t.alias.c.model == model, known_in(t.alias))
        # A move of no length lies before the one of the same instant that went on.
        .order_by(
            t.alias.c.alias,
            t.alias.c.from_at,
            t.alias.c.until_at.is_(None),
            t.alias.c.until_at,
            t.alias.c.id,
        )
    )
    if alias is not None:
        query = query.where(t.alias.c.alias == alias)
    return list(conn.execute(query, horizon(conn)))


def alias_names(conn: Connection, model: str) -> list[str]:
    """The aliases that a model has now."""
    query = select(t.alias.c.alias).where(
        t.alias.c.model == model, known_in(t.alias), t.alias.c.until_at.is_(None)
    )
    return sorted(set(conn.execute(query, horizon(conn)).scalars()))


def components_of(conn: Connection, version: int) -> list[ComponentRecord]:
    """The components that a model version is composed with."""
    query = (
        _COMPONENTS.join(t.edge, t.edge.c.src == t.component.c.id)
        .where(t.edge.c.dst == version, t.edge.c.kind == "component_of", known_in(t.edge))
        .order_by(t.component.c.kind, t.component.c.name)
    )
    return [ComponentRecord(**row) for row in conn.execute(query, horizon(conn)).mappings()]


def components(conn: Connection, ids: Sequence[int]) -> dict[int, ComponentRecord]:
    """Components by id."""
    found = _COMPONENTS_BY_ID.records(conn, ComponentRecord, ids=ids) if ids else []
    return {component.id: component for component in found}


def declaration_of(conn: Connection, version: int) -> int | None:
    """The row of what is said now of a version's bytes, where that was amended."""
    query = select(t.declaration.c.id).where(
        t.declaration.c.model_version == version, known_in(t.declaration)
    )
    return conn.execute(query, horizon(conn)).scalar_one_or_none()


def training_edges(conn: Connection, version: int) -> dict[str, int]:
    """The edges from the snapshots that a version is said to be trained on, by their keys."""
    query = (
        select(t.entity.c.key, t.edge.c.id)
        .join(t.entity, t.entity.c.id == t.edge.c.src)
        .where(
            t.edge.c.dst == version,
            t.edge.c.kind == EdgeKind.TRAINED_ON.value,
            known_in(t.edge),
        )
    )
    return {row.key: row.id for row in conn.execute(query, horizon(conn))}
