"""From a ref as people write it to the thing it names; a wrong one gets "did you mean".

Slices and models share one namespace, so a name needs no kind. Nothing is registered here: a slice
at a version that nobody has used yet resolves to a `SliceAt`, which `pinning.name_snapshot` turns
into a snapshot of the graph when somebody uses it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias, assert_never

from backstory.lake.errors import GoneError, InvalidError, NotFoundError
from backstory.lineage import refs
from backstory.lineage.graph import EntityKind, Node
from backstory.lineage.parts import Parts
from backstory.lineage.store import deployments, models, names, reads, runs, slices
from backstory.lineage.times import EPOCH, MAX_CLOCK_SKEW, Clock, time_text


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceAt:
    """A slice at a version, whether somebody has used it or not.

    Attributes:
        commit: the commit that made this version; None for a slice without commits.
        snapshot: the snapshot of the graph, where there is one.
    """

    slice: slices.SliceRecord
    version: int
    commit: slices.CommitRecord | None
    snapshot: slices.SnapshotRecord | None

    @property
    def ref(self) -> str:
        """`thumbs/en@58`."""
        return f"{self.slice.name}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelNamed:
    """A model without a version."""

    name: str
    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentNamed:
    """An environment."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentNamed:
    """One deployment of an environment."""

    id: int
    environment: str
    number: int


Resolved: TypeAlias = (
    SliceAt
    | ModelNamed
    | models.VersionRecord
    | runs.RunRecord
    | models.ComponentRecord
    | EnvironmentNamed
    | DeploymentNamed
)


def resolve(parts: Parts, text: str, as_of: datetime | None = None) -> Resolved:
    """The thing that a ref names; interactions are found by `stating.find_interaction`.

    Args:
        text: the ref.
        as_of: as it was known then; as it is known now where nothing is said.

    Raises:
        InvalidError: the text is no ref.
        NotFoundError: nothing has that name, version, alias or time.
    """
    with parts.store.reader(as_of) as conn:
        return resolve_ref(conn, refs.parse_ref(text), clock_of(parts, as_of))


def clock_of(parts: Parts, as_of: datetime | None) -> Clock:
    """What tells the time of a question: as of a time, what lies behind it was not over then."""
    return parts.clock if as_of is None else lambda: as_of


def resolve_ref(conn: Any, ref: refs.Ref, clock: Clock) -> Resolved:
    """The same within a reader or a unit of work."""
    match ref:
        case refs.NameRef():
            return _named(conn, ref, clock)
        case refs.RunRef():
            return _run(conn, ref.prefix)
        case refs.DeploymentRef():
            return _deployment(conn, ref)
        case refs.EnvironmentRef():
            return _environment(conn, ref.name)
        case refs.ComponentRef():
            return _component(conn, ref)
        case refs.InteractionRef() | refs.ExternalRef():
            raise InvalidError(
                f"{ref} names an interaction; this asks for a slice, model, run or environment",
                hint=f"see what stood behind it with `backstory state {ref}`",
            )
        case _:
            assert_never(ref)


def resolve_version(parts: Parts, text: str, as_of: datetime | None = None) -> models.VersionRecord:
    """A ref that must name a model version.

    Raises:
        InvalidError: it names something else.
    """
    found = resolve(parts, text, as_of)
    if isinstance(found, ModelNamed):
        with parts.store.reader(as_of) as conn:
            newest = models.versions_of(conn, found.name, limit=1)
        hint = f"name one, e.g. {newest[0].ref}" if newest else "it has no versions yet"
        raise InvalidError(f"{text!r} names a model, not a version", hint=hint)
    if not isinstance(found, models.VersionRecord):
        raise InvalidError(f"{text!r} is not a model version", hint="write it like ranker@7")
    return found


def resolve_slice_at(parts: Parts, text: str, as_of: datetime | None = None) -> SliceAt:
    """A ref that must name a slice, at a version, at a time, or as it is now.

    Raises:
        InvalidError: it names something else.
    """
    found = resolve(parts, text, as_of)
    if not isinstance(found, SliceAt):
        raise InvalidError(f"{text!r} is not a slice", hint="write it like thumbs/en@58")
    return found


def lost_table(name: str) -> GoneError:
    """The error for a slice that the store knows and the lake no longer has."""
    return GoneError(
        f"{name}: its table is gone from the lake",
        hint="restore its folder from a backup; `backstory verify` names all damage",
    )


def find_node(conn: Any, text: str, clock: Clock) -> Node:
    """The graph node that a ref names; read at once where the ref is a node's key.

    Raises:
        InvalidError: the text is no ref, or names what is no node.
        NotFoundError: nothing has that name, or nobody has used that version of a slice.
    """
    ref = refs.parse_ref(text)
    node = reads.entity_by_key(conn, str(ref)) if _is_key(ref) else None
    if node is None:
        number = _node_of(resolve_ref(conn, ref, clock), text)
        node = reads.entities(conn, [number])[number]
    return node


def _is_key(ref: refs.Ref) -> bool:
    match ref:
        case refs.NameRef(at=refs.Version(), kind=None):
            return True
        case refs.RunRef() | refs.DeploymentRef() | refs.ComponentRef():
            return True
        case _:
            return False


def resolve_name(conn: Any, ref: refs.NameRef) -> ModelNamed:
    """The model of a ref, whether its version or alias is there or not.

    Raises:
        InvalidError: it is a slice.
        NotFoundError: no model has that name.
    """
    kind_and_id = names.named(conn, ref.name)
    if kind_and_id is None or ref.kind == "slice":
        known = names.names(conn, "model")
        raise _unknown(f"no model is called {ref.name!r}", ref.name, known)
    kind, entity = kind_and_id
    if kind != EntityKind.MODEL:
        raise InvalidError(
            f"{str(ref)!r}: {ref.name} is a {kind}, which has no aliases",
            hint="see `backstory models`",
        )
    return ModelNamed(name=ref.name, id=entity)


def _node_of(found: Resolved, text: str) -> int:
    match found:
        case SliceAt(snapshot=None):
            raise NotFoundError(
                f"{found.ref} is in no lineage yet: no run has read it and nobody pinned it",
                hint=f"see it with `backstory show {found.ref}`",
            )
        case SliceAt(snapshot=snapshot) if snapshot is not None:
            return snapshot.id
        case EnvironmentNamed():
            raise InvalidError(
                f"{text!r} is an environment, not one deployment",
                hint=f"see its deployments with `backstory deployments {found.name}`",
            )
        case (
            ModelNamed()
            | models.VersionRecord()
            | runs.RunRecord()
            | models.ComponentRecord()
            | DeploymentNamed()
        ):
            return found.id
        case _:
            raise InvalidError(
                f"{text!r} cannot be traced",
                hint="name a snapshot, run, version, component or deployment",
            )


def _named(conn: Any, ref: refs.NameRef, clock: Clock) -> Resolved:
    if ref.name.startswith(slices.INTERACTIONS_PREFIX):  # a table of ours, which claims no name
        return _slice_at(conn, ref, clock)
    kind_and_id = names.named(conn, ref.name)
    if kind_and_id is None or (ref.kind is not None and ref.kind != kind_and_id[0]):
        environments = (
            [] if ref.kind else [f"env:{name}" for name in deployments.environments(conn)]
        )
        raise _unknown(
            f"no {ref.kind or 'slice or model'} is called {ref.name!r}",
            ref.name,
            [*names.names(conn, ref.kind), *environments],
        )
    kind, entity = kind_and_id
    if kind == EntityKind.SLICE:
        return _slice_at(conn, ref, clock)
    if ref.at is None:
        return ModelNamed(name=ref.name, id=entity)
    return _version(conn, ref)


def _slice_at(conn: Any, ref: refs.NameRef, clock: Clock) -> SliceAt:
    record = slices.slice_by_name(conn, ref.name)
    if record is None:
        raise NotFoundError(
            f"no slice is called {ref.name!r}", hint="see `backstory slices --interactions`"
        )
    match ref.at:
        case None:
            version = record.last_version
        case refs.Version(number=number):
            version = number
        case refs.Time(at=time):
            version = _version_at(conn, record, time, clock)
        case refs.Alias(name=name):
            raise InvalidError(
                f"{ref.name}@{name}: a slice has versions and times, no aliases",
                hint=f"write it like {ref.name}@{max(record.last_version, 0)}",
            )
        case _:
            assert_never(ref.at)
    commit = slices.commit(conn, record.id, version)
    if commit is None and version != record.last_version:
        raise NotFoundError(
            f"{ref.name} has no version {version}; its last one is {record.last_version}",
            hint=f"see them with `backstory history {ref.name}`",
        )
    return SliceAt(
        slice=record,
        version=version,
        commit=commit,
        snapshot=slices.snapshot_of(conn, record.id, version),
    )


def _version_at(conn: Any, record: slices.SliceRecord, time: datetime, clock: Clock) -> int:
    """The version that a slice had at a time, which must be over: else it may yet be another."""
    known_until = max(clock() + MAX_CLOCK_SKEW, record.last_at or EPOCH)
    if time > known_until:
        raise InvalidError(
            f"{record.name}@{time_text(time)} is in the future: nobody knows yet what it will be",
            hint=f"leave the time out for the newest version: {record.name}",
        )
    commit = slices.commit_at(conn, record.id, time)
    if commit is None:
        raise NotFoundError(
            f"{record.name} did not exist at {time_text(time)}",
            hint=f"see when it began with `backstory history {record.name}`",
        )
    return commit.version


def _version(conn: Any, ref: refs.NameRef) -> models.VersionRecord:
    match ref.at:
        case refs.Version(number=number):
            found = models.version(conn, ref.name, number)
            if found is None:
                last = models.last_number(conn, ref.name)
                raise NotFoundError(
                    f"{ref.name} has no version {number}",
                    hint=f"its newest is {ref.name}@{last}" if last else "it has no versions yet",
                )
            return found
        case refs.Alias(name=name):
            return _aliased(conn, ref.name, name)
        case _:
            raise InvalidError(
                f"{ref.name} is a model: a time does not name one of its versions",
                hint="see what served then with `backstory deployments --at TIME`",
            )


def _aliased(conn: Any, model: str, alias: str) -> models.VersionRecord:
    entity = models.aliased(conn, model, alias)
    if entity is None:
        raise _unknown(
            f"{model} has no alias {alias!r}", alias, models.alias_names(conn, model), f"{model}@"
        )
    return models.versions(conn, [entity])[entity]


def _run(conn: Any, prefix: str) -> runs.RunRecord:
    found = runs.runs_with_prefix(conn, prefix)
    exact = [run for run in found if run.run_id == prefix]
    if len(exact or found) > 1:
        raise InvalidError(
            f"run:{prefix} begins the ids of several runs",
            hint="write more of it: " + ", ".join(f"run:{run.run_id}" for run in found),
        )
    if not found:
        raise NotFoundError(f"no run's id begins with {prefix!r}", hint="see `backstory runs`")
    return (exact or found)[0]


def _deployment(conn: Any, ref: refs.DeploymentRef) -> DeploymentNamed:
    row = deployments.deployment_by_number(conn, ref.environment, ref.number)
    if row is None:
        raise NotFoundError(
            f"environment {ref.environment!r} has no deployment {ref.number}",
            hint=f"see `backstory deployments {ref.environment}`",
        )
    return DeploymentNamed(id=row.id, environment=ref.environment, number=ref.number)


def _environment(conn: Any, name: str) -> EnvironmentNamed:
    known = deployments.environments(conn)
    if name not in known:
        raise _unknown(f"nothing was ever deployed to {name!r}", name, known, "env:")
    return EnvironmentNamed(name=name)


def _component(conn: Any, ref: refs.ComponentRef) -> models.ComponentRecord:
    entity = reads.entity_by_key(conn, str(ref))
    found = models.components(conn, [entity.id]) if entity else {}
    if entity is None or entity.id not in found:
        raise NotFoundError(f"no component is called {ref}", hint="see `backstory trace MODEL@N`")
    return found[entity.id]


def _unknown(message: str, word: str, known: Iterable[str], prefix: str = "") -> NotFoundError:
    candidates = [prefix + name for name in known]
    near = refs.did_you_mean(prefix + word, candidates)
    there = f"there is {', '.join(candidates[:5])}" if candidates else "there is none yet"
    return NotFoundError(message, hint=near or there)
