"""What a process really loads: an artifact by ref, or the version that a file or folder is.

    path = load(home, "ranker@champion", environment="prod-eu")
    [version] = version_of(home, "/srv/model.bin", loaded=True, environment="prod-eu")

Every load is recorded with its host and process, whatever was declared: a load is never refused
for a declaration. Where the two disagree, a warning says so, and so do `deployments` and
`state_of`. What is handed out has been hashed just now.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from backstory.lake.errors import ConflictError, InvalidError, LimitExceededError, NotFoundError
from backstory.lake.location import check_name
from backstory.lake.process import this_process
from backstory.lineage.observing import SeenLoad, seen, undeclared
from backstory.lineage.parts import Parts
from backstory.lineage.redaction import redact_text
from backstory.lineage.resolving import ModelNamed, resolve, resolve_version
from backstory.lineage.store import deployments, models, tables, writes
from backstory.lineage.store.loads import newest_loads
from backstory.lineage.store.unit_of_work import Unit

DEFAULT_LOADS = 50
MAX_LOADS = 1000

_log = logging.getLogger(__name__)


def load(
    parts: Parts, ref: str, *, environment: str | None = None, to: str | Path | None = None
) -> Path:
    """The path of a version's artifact, verified; the load is recorded.

    Args:
        ref: a model version, e.g. `ranker@7` or `ranker@champion`.
        environment: where this process serves; what is declared there is compared.
        to: an empty or absent folder to copy the artifact into; where nothing is said, the path
            lies in the home and is not to be written to.

    Returns:
        A file or a folder, as it was registered.

    Raises:
        NotFoundError: there is no such version, or its bytes are not kept here.
        ConflictError: `to` has something in it.
        IntegrityError: the bytes are not what was kept.
    """
    _check_environment(environment)
    version = resolve_version(parts, ref)
    if version.artifact is None:
        where = version.artifact_uri or "nobody said where"
        raise NotFoundError(
            f"the artifact of {version.ref} is not kept here: {where}",
            hint="load it from there; `backstory version-of PATH --loaded` records that",
        )
    blobs = parts.lake.blobs
    path = blobs.place(version.artifact) if to is None else _copied(parts, version, Path(to))
    _record(parts, version, version.artifact, asked=ref, environment=environment)
    return path


def version_of(
    parts: Parts, path: str | Path, *, loaded: bool = False, environment: str | None = None
) -> list[models.VersionRecord]:
    """The model versions whose artifact a file or folder is, the newest first.

    Args:
        path: a file or folder, wherever it lies; all of it is hashed.
        loaded: this process has loaded it, which is recorded. Where several versions have these
            bytes, of the one that is declared in the environment, else of the newest.
        environment: where this process serves.

    Raises:
        NotFoundError: no version has these bytes, or nothing is there.
    """
    if environment is not None and not loaded:
        raise InvalidError(
            "an environment is recorded with a load only", hint="say that it was loaded too"
        )
    _check_environment(environment)
    digest = parts.lake.blobs.digest_of(Path(path))
    with parts.store.reader() as conn:
        found = models.versions_with(conn, digest)
    if not found:
        raise NotFoundError(
            f"no model version has the bytes of {path}: {digest}",
            hint="compare with the digests of `backstory models --json`",
        )
    if loaded:
        asked = redact_text(str(path))
        chosen = _declared_first(parts, found, environment)
        _record(parts, chosen, digest, asked=asked, environment=environment)
    return found


def loads(
    parts: Parts,
    ref: str | None = None,
    *,
    environment: str | None = None,
    limit: int = DEFAULT_LOADS,
    before: int | None = None,
    as_of: datetime | None = None,
) -> list[SeenLoad]:
    """What processes loaded, the last recorded first, and whether that was declared there then.

    Args:
        ref: a model version, or a model; all of them where nothing is said.
        environment: only what was loaded there.
        limit: how many at most.
        before: only those recorded before the load of that id: the next page behind it.
        as_of: as it was known then; as it is known now where nothing is said.
    """
    if not 0 < limit <= MAX_LOADS:
        raise LimitExceededError(
            f"1 to {MAX_LOADS} loads are given at a time", hint="ask for a number in between"
        )
    _check_environment(environment)
    found = resolve(parts, ref, as_of) if ref is not None else None
    if found is not None and not isinstance(found, ModelNamed | models.VersionRecord):
        raise InvalidError(f"{ref!r} is not a model", hint="see `backstory models`")
    with parts.store.reader(as_of) as conn:
        known = newest_loads(
            conn,
            version=found.id if isinstance(found, models.VersionRecord) else None,
            model=found.name if isinstance(found, ModelNamed) else None,
            environment=environment,
            limit=limit,
            before=before,
        )
        return seen(conn, known)


def _copied(parts: Parts, version: models.VersionRecord, to: Path) -> Path:
    """The artifact written into a folder that has nothing in it."""
    if to.is_symlink() or (to.exists() and not (to.is_dir() and not any(to.iterdir()))):
        raise ConflictError(f"{to} exists already", hint="name an empty or new folder")
    target = to / (version.artifact_name or "") if version.artifact_kind == "file" else to
    parts.lake.blobs.write_to(version.artifact or "", target)
    return target


def _record(
    parts: Parts,
    version: models.VersionRecord,
    digest: str,
    *,
    asked: str,
    environment: str | None,
) -> None:
    here = this_process()
    with parts.unit("load", version.ref) as unit:
        key = writes.insert(
            unit,
            tables.load,
            model_version=version.id,
            asked=asked,
            environment=environment,
            host=here.host,
            process=str(here.pid),
            digest=digest,
            at=unit.at,
        )
        unit.note(environment=environment, host=here.host, digest=digest)
        disagreements = _disagreements(unit, version, key, environment)
    for said in disagreements:
        _log.warning("%s", said)


def _disagreements(
    unit: Unit, version: models.VersionRecord, key: int, environment: str | None
) -> list[str]:
    if environment is None:
        return []
    declared = _declared(unit.connection, version.model, environment, unit.at)
    [recorded] = newest_loads(unit.connection, version=version.id, limit=1, before=key + 1)
    return list(undeclared(environment, declared, [recorded]))


def _declared_first(
    parts: Parts, found: Sequence[models.VersionRecord], environment: str | None
) -> models.VersionRecord:
    if environment is None:
        return found[0]
    with parts.store.reader() as conn:
        serving = {
            interval.model_version
            for interval in deployments.intervals(conn, environment=environment, at=parts.clock())
        }
    return next((version for version in found if version.id in serving), found[0])


def _declared(conn: Any, model: str, environment: str, at: datetime) -> list[models.VersionRecord]:
    """The versions of a model that are said to serve in an environment."""
    serving = deployments.intervals(conn, environment=environment, at=at)
    known = models.versions(conn, [i.model_version for i in serving if i.model == model])
    return list(known.values())


def _check_environment(environment: str | None) -> None:
    if environment is not None:
        check_name(environment)
