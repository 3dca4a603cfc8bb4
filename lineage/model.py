"""What a model version is composed with, beside its own artifact."""

from dataclasses import dataclass

from backstory.lake.errors import InvalidError
from backstory.lineage.graph import component_key
from backstory.lineage.refs import ComponentRef, parse_ref


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
