"""Model versions and what they are composed with. A version is immutable; only aliases move."""

from dataclasses import dataclass
from datetime import datetime

from backstory.lake.errors import InvalidError
from backstory.lineage.graph import component_key, version_key
from backstory.lineage.ids import RunId
from backstory.lineage.refs import ComponentRef, parse_ref
from backstory.lineage.times import in_utc


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """The n-th version of a model, made by a run, with its weights by digest.

    Attributes:
        id: its entity in the store.
        run_id: the run that made it; None for a version registered outside any run.
        replay: the command that answers a request with it.
    """

    id: int
    model: str
    number: int
    run_id: RunId | None
    artifact_digest: str
    artifact_kind: str
    artifact_size: int
    at: datetime
    replay: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", in_utc(self.at))

    @property
    def ref(self) -> str:
        """`ranker@7`."""
        return version_key(self.model, self.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentUse:
    """A versioned thing that a model version is composed with: a prompt, a reranker, an adapter.

    Attributes:
        digest: SHA-256 of its bytes, 64 hex digits; None for what cannot be hashed, such as a
            hosted model.

    >>> ComponentUse(kind="prompt", name="greeting", version="4").key
    'component:prompt:greeting@4'
    """

    kind: str
    name: str
    version: str
    digest: str | None = None

    def __post_init__(self) -> None:
        ref = parse_ref(self.key)
        if ref != ComponentRef(kind=self.kind, name=self.name, version=self.version):
            raise InvalidError(
                f"{self.key!r} would be read as another component",
                hint="leave '@' out of the version",
            )

    @property
    def key(self) -> str:
        """Its ref and its entity's key."""
        return component_key(self.kind, self.name, self.version)
