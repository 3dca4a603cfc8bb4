"""Model versions with a past: trained where Backstory was not looking, and told of afterwards.

    add_version(home, "ranker@3", trained_on=["thumbs/en@12"], artifact="s3://models/ranker-3.bin")

Such a version has no run of ours. Its snapshots are pinned like those of a run, joined to it by
edges that say how they are known (declared, or imported from another system's records), and what is
not told stays unknown. A number is taken once: the same call again changes nothing, other facts
under a taken number are refused. Numbers need not come in order.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from backstory.lake.blobs import Artifact
from backstory.lake.errors import ConflictError, InvalidError, LimitExceededError
from backstory.lineage.deploying import EARLIEST
from backstory.lineage.graph import EdgeKind, Evidence, version_key
from backstory.lineage.metrics import check_metrics, check_params
from backstory.lineage.parts import Parts
from backstory.lineage.pinning import hold, open_at
from backstory.lineage.redaction import redact_text, redact_url
from backstory.lineage.refs import NameRef, Version, parse_ref
from backstory.lineage.registering import claim_model, insert_version
from backstory.lineage.resolving import SliceAt, resolve_slice_at
from backstory.lineage.store import models, slices, writes
from backstory.lineage.store.recorded import with_version_times
from backstory.lineage.store.unit_of_work import Unit
from backstory.lineage.times import MAX_CLOCK_SKEW, in_utc, time_text

MAX_MODEL_NUMBER = 1_000_000_000
MAX_TRAINED_ON = 1000
MAX_URI_LENGTH = 2000
MAX_RUN_NAME = 200

_URI = re.compile(r"[a-z][a-z0-9+.-]*://.+", re.IGNORECASE)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_TOLD = (Evidence.DECLARED, Evidence.IMPORTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What is said of a version; two calls are the same when these are."""

    evidence: Evidence
    artifact: str | None
    artifact_uri: str | None
    declared_digest: str | None
    training: Mapping[str, Any] | None
    at: datetime
    snapshots: frozenset[str]


def add_version(
    parts: Parts,
    ref: str,
    *,
    trained_on: Sequence[str] = (),
    evidence: str = "declared",
    artifact: str | Path | None = None,
    digest: str | None = None,
    at: datetime | None = None,
    metrics: Mapping[str, float] | None = None,
    params: Mapping[str, Any] | None = None,
    run: str | None = None,
    reason: str = "",
) -> models.VersionRecord:
    """Record a model version that no run of ours made.

    Args:
        ref: the model and a free number, `ranker@3`; lower than those that are there is fine.
        trained_on: the slices at the versions or times that it was trained on; they are pinned.
        evidence: "declared" where somebody says so, "imported" where another system recorded it.
        artifact: a file or folder, which is kept here, or the URI of what lies elsewhere.
        digest: SHA-256 of the artifact. A file of ours has to have it; elsewhere nobody looks.
        at: when it was made, from 2000 until now; now where nothing is said.
        metrics, params: what its training recorded; secrets are redacted.
        run: the run that made it, as it is called where it was recorded.
        reason: why it is added, for the audit log.

    Returns:
        The version; one that was added before, where it is the same.

    Raises:
        InvalidError: a ref without a number, an unknown evidence, a digest that is none.
        ConflictError: the number is taken by a version with other facts, or the name by a slice.
        GoneError: a snapshot can no longer be read.
    """
    model, number = _model_and_number(ref)
    found = snapshots_of(parts, trained_on)
    kept, uri = _artifact(parts, artifact, digest)
    facts = _Facts(
        evidence=_evidence(evidence),
        artifact=kept.digest if kept else None,
        artifact_uri=uri,
        declared_digest=None if kept else check_digest(digest),
        training=_training(metrics, params, run),
        at=_made_at(parts, at),
        snapshots=frozenset(one.ref for one in found),
    )
    with parts.unit("model.add", version_key(model, number), reason=reason) as unit:
        known = models.version(unit.connection, model, number)
        if known is not None:
            _check_same(unit, known, facts, timed=at is not None)
            return with_version_times(unit.connection, [known])[0]
        record = _add(unit, model, number, facts, kept)
        for one in found:
            train_on(parts, unit, one, record, facts.evidence)
        unit.note(evidence=facts.evidence.value, trained_on=sorted(facts.snapshots))
        return with_version_times(unit.connection, [record], unit.at)[0]


def _add(
    unit: Unit, model: str, number: int, facts: _Facts, kept: Artifact | None
) -> models.VersionRecord:
    claim_model(unit, model)
    version = insert_version(
        unit,
        model,
        number,
        kept,
        at=facts.at,
        artifact_uri=facts.artifact_uri,
        declared_digest=facts.declared_digest,
        evidence=facts.evidence.value,
        training=facts.training,
    )
    return models.versions(unit.connection, [version])[version]


def train_on(
    parts: Parts, unit: Unit, found: SliceAt, version: models.VersionRecord, evidence: Evidence
) -> None:
    """Pin a snapshot and say that a version was trained on it."""
    _, snapshot = hold(
        parts,
        unit,
        found,
        open_at(parts, found),
        holder=version.ref,
        reason=f"{version.ref} was trained on it ({evidence.value})",
    )
    writes.add_edge(unit, snapshot.id, version.id, EdgeKind.TRAINED_ON, evidence)


def _check_same(unit: Unit, known: models.VersionRecord, facts: _Facts, *, timed: bool) -> None:
    """Refuse other facts; a time that was not said is no other fact."""
    said = models.trained_on(unit.connection, [known.id]).get(known.id, [])
    refs = slices.snapshots(unit.connection, said).values()
    before = _Facts(
        evidence=known.evidence,
        artifact=known.artifact,
        artifact_uri=known.artifact_uri,
        declared_digest=known.declared_digest,
        training=known.training,
        at=known.at,
        snapshots=frozenset(snapshot.ref for snapshot in refs),
    )
    facts = facts if timed else replace(facts, at=known.at)
    for name in _Facts.__dataclass_fields__:
        expected, found = getattr(before, name), getattr(facts, name)
        if expected != found:
            raise ConflictError(
                f"{known.ref} is recorded already, with another {_WORDS[name]}: "
                f"{_shown(expected)}, not {_shown(found)}",
                hint="take a free number; a version is immutable",
            )


_WORDS = {
    "evidence": "evidence level",
    "artifact": "artifact",
    "artifact_uri": "artifact",
    "declared_digest": "digest",
    "training": "training",
    "at": "time",
    "snapshots": "training set",
}


def _shown(fact: Any) -> str:
    match fact:
        case None:
            return "none"
        case datetime():
            return time_text(fact)
        case frozenset():
            return ", ".join(sorted(fact)) or "none"
        case _:
            return str(fact)


def _model_and_number(text: str) -> tuple[str, int]:
    match parse_ref(text):
        case NameRef(name=model, at=Version(number=number), kind=None | "model") if number > 0:
            if number > MAX_MODEL_NUMBER:
                raise LimitExceededError(
                    f"{text}: a version's number is at most {MAX_MODEL_NUMBER:,}",
                    hint="number versions from 1",
                )
            return model, number
    raise InvalidError(f"{text!r} names no version of a model", hint="write it like ranker@3")


def snapshots_of(parts: Parts, refs: Sequence[str]) -> list[SliceAt]:
    """Each once, whatever it was called."""
    if len(refs) > MAX_TRAINED_ON:
        raise LimitExceededError(
            f"a version is trained on at most {MAX_TRAINED_ON} snapshots, not {len(refs)}",
            hint="name those that matter",
        )
    found = [resolve_slice_at(parts, ref) for ref in refs]
    return list({one.ref: one for one in found}.values())


def _artifact(
    parts: Parts, artifact: str | Path | None, digest: str | None
) -> tuple[Artifact | None, str | None]:
    """What is kept of it here, or else where it lies."""
    uri = None if artifact is None else uri_of(artifact)
    if artifact is None or uri is not None:
        return None, uri
    path = Path(artifact)
    if digest is not None and (found := parts.lake.blobs.digest_of(path)) != check_digest(digest):
        raise InvalidError(
            f"{path} has the digest {found}, not {digest}", hint="check which file it is"
        )
    return parts.lake.blobs.put(path), None


def uri_of(artifact: str | Path) -> str | None:
    """The URI without its secrets; None where it is a path."""
    if not (isinstance(artifact, str) and _URI.fullmatch(artifact)):
        return None
    uri = redact_url(artifact)
    if len(uri) > MAX_URI_LENGTH:
        raise LimitExceededError(
            f"an artifact's URI has at most {MAX_URI_LENGTH} characters", hint="shorten it"
        )
    return uri


def check_digest(text: str | None) -> str | None:
    """The text, where it is a digest.

    Raises:
        InvalidError: it is none.
    """
    if text is not None and _DIGEST.fullmatch(text) is None:
        raise InvalidError(
            f"{text[:80]!r} is no digest: 64 digits of 0-9 and a-f", hint="`sha256sum` gives one"
        )
    return text


def _training(
    metrics: Mapping[str, float] | None, params: Mapping[str, Any] | None, run: str | None
) -> dict[str, Any] | None:
    if run is not None and not (0 < len(run) <= MAX_RUN_NAME and run.isprintable()):
        raise InvalidError(
            f"the name of a run has 1 to {MAX_RUN_NAME} characters of one line",
            hint="write it as its own system does",
        )
    told = {
        "metrics": check_metrics(metrics or {}),
        "params": check_params(params or {}),
        "run": redact_text(run) if run else None,
    }
    try:
        text = json.dumps({name: v for name, v in told.items() if v}, allow_nan=False)
    except (TypeError, ValueError) as exc:
        raise InvalidError(
            f"the parameters are not JSON: {exc}", hint="give texts, finite numbers and lists"
        ) from exc
    return json.loads(text) or None


def _evidence(text: str) -> Evidence:
    if text not in _TOLD:
        raise InvalidError(
            f"{text!r} is no evidence of what was not observed", hint=f"one of {', '.join(_TOLD)}"
        )
    return Evidence(text)


def _made_at(parts: Parts, at: datetime | None) -> datetime:
    now = parts.clock()
    made = in_utc(at or now)
    if not EARLIEST <= made <= now + MAX_CLOCK_SKEW:
        raise LimitExceededError(
            f"{time_text(made)} lies before {EARLIEST:%Y} or has not come yet",
            hint="say when the version was made",
        )
    return made
