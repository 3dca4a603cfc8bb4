"""An entry of the audit log: who changed what, when and why, in bytes that never change.

A body is RFC 8785 JSON, format `v1`. It holds no personal data beyond the actor's own name:
facts are digests, counts and refs. The leaf's hash is RFC 6962's, so that any implementation of
that standard can check it. This module is pure; `store` keeps leaves, `tree` combines them.

>>> leaf = Leaf(seq=0, at=datetime(2026, 11, 24, tzinfo=UTC), actor=Actor(name="ada"),
...             action="pin.create", resource="thumbs/en@58")
>>> leaf.body()[:38]
b'{"action":"pin.create","actor":{"known'
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import rfc8785

from backstory.lake.errors import InvalidError, LimitExceededError

# C2SP tlog-tiles writes an entry's length into 16 bits.
MAX_BODY_BYTES = 65_535

_FORMAT = 1


class KnownBy(StrEnum):
    """How we know who the actor is."""

    OS_USER = "os-user"
    TOKEN = "token"  # noqa: S105 - the word for how, not a secret
    OIDC = "oidc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who makes a change, and how that is known."""

    name: str
    known_by: KnownBy = KnownBy.OS_USER


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsDigest:
    """What a unit of work wrote into one table: how many rows, and the digest of their bytes."""

    count: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One entry.

    Attributes:
        seq: its place in the log, from 0, without gaps.
        at: when it was written; never earlier than the entry before.
        actor: who did it.
        action: noun and verb, `model.register`.
        resource: the ref of what was changed.
        reason: why, in the actor's words.
        request_id: what ties it to a request, where there was one.
        facts: digests, counts, before and after; JSON, no personal data.
        rows: what was written, by table.
    """

    seq: int
    at: datetime
    actor: Actor
    action: str
    resource: str
    reason: str = ""
    request_id: str | None = None
    facts: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    rows: Mapping[str, RowsDigest] = field(default_factory=lambda: MappingProxyType({}))

    def body(self) -> bytes:
        """The canonical bytes.

        Raises:
            InvalidError: a fact has no canonical JSON form.
            LimitExceededError: the body is longer than `MAX_BODY_BYTES`.
        """
        try:
            body = rfc8785.dumps(self._to_json())
        except rfc8785.CanonicalizationError as exc:
            raise InvalidError(f"{self.action}: a fact cannot be logged: {exc}") from exc
        if len(body) > MAX_BODY_BYTES:
            raise LimitExceededError(
                f"{self.action}: the audit entry would have {len(body):,} bytes, "
                f"{MAX_BODY_BYTES:,} are allowed",
                hint="log digests and counts, not the things themselves",
            )
        return body

    def _to_json(self) -> dict[str, Any]:
        return {
            "v": _FORMAT,
            "seq": self.seq,
            "at": self.at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "actor": {"name": self.actor.name, "known_by": str(self.actor.known_by)},
            "action": self.action,
            "resource": self.resource,
            "reason": self.reason,
            "request_id": self.request_id,
            "facts": dict(self.facts),
            "rows": {
                table: {"count": rows.count, "digest": rows.digest}
                for table, rows in self.rows.items()
            },
        }


def leaf_hash(body: bytes) -> bytes:
    """RFC 6962: SHA-256 of 0x00 and the entry."""
    return hashlib.sha256(b"\x00" + body).digest()
