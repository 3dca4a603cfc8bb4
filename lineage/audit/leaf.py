"""An entry of the audit log: who changed what, when and why, in bytes that never change.

A body is RFC 8785 JSON, format `v1`. It holds no personal data beyond the actor's own name:
facts are digests, counts and refs. The leaf's hash is RFC 6962's, so that any implementation of
that standard can check it. This module is pure; `store` keeps leaves, `tree` combines them.

>>> from backstory.lineage.times import parse_time
>>> leaf = Leaf(seq=0, at=parse_time("2026-11-24"), actor=Actor(name="ada"), action="pin.create",
...             resource="thumbs/en@58")
>>> leaf.body()[:72]
b'{"action":"pin.create","actor":{"known_by":"os-user","name":"ada"},"at":'
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import rfc8785

from backstory.lake.errors import InvalidError, LimitExceededError
from backstory.lineage.times import time_text

# C2SP tlog-tiles writes an entry's length into 16 bits.
MAX_BODY_BYTES = 65_535

# Marks of more rows would fill the body.
MAX_MARKS = 1_000
_MARK_BYTES = 2

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
    """What a unit of work wrote into one table.

    Attributes:
        count: how many rows.
        digest: SHA-256 over the rows' hashes, sorted.
        marks: the first bytes of each of those hashes, in hex, sorted: they tell which row was
            changed, where the digest tells that one was. Left out beyond `MAX_MARKS` rows.
    """

    count: int
    digest: str
    marks: str

    @classmethod
    def of(cls, hashes: Collection[bytes]) -> "RowsDigest":
        """The digest of rows by their hashes, in any order."""
        ordered = sorted(hashes)
        marked = ordered if len(ordered) <= MAX_MARKS else []
        return cls(
            count=len(ordered),
            digest=hashlib.sha256(b"".join(ordered)).hexdigest(),
            marks="".join(mark(hash_) for hash_ in marked),
        )

    def each_mark(self) -> Iterator[str]:
        """The marks one by one."""
        width = 2 * _MARK_BYTES
        return (self.marks[i : i + width] for i in range(0, len(self.marks), width))


def mark(row_hash: bytes) -> str:
    """What `RowsDigest.marks` keeps of one row."""
    return row_hash[:_MARK_BYTES].hex()


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
            raise InvalidError(
                f"{self.action}: a fact cannot be logged: {exc}", hint="log JSON values only"
            ) from exc
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
            "at": time_text(self.at),
            "actor": {"name": self.actor.name, "known_by": str(self.actor.known_by)},
            "action": self.action,
            "resource": self.resource,
            "reason": self.reason,
            "request_id": self.request_id,
            "facts": dict(self.facts),
            "rows": {
                table: {"count": rows.count, "digest": rows.digest, "marks": rows.marks}
                for table, rows in self.rows.items()
            },
        }


def leaf_hash(body: bytes) -> bytes:
    """RFC 6962: SHA-256 of 0x00 and the entry."""
    return hashlib.sha256(b"\x00" + body).digest()


def parse_body(body: bytes) -> dict[str, Any]:
    """The fields of a body.

    Raises:
        ValueError: it is not the body of a leaf.
    """
    fields = json.loads(body)
    if not isinstance(fields, dict) or fields.get("v") != _FORMAT:
        raise ValueError("not the body of an audit entry of a known format")
    return fields


def parse_rows(body: bytes) -> dict[str, RowsDigest]:
    """What a body says was written, by table.

    Raises:
        ValueError, KeyError, TypeError: it is not the body of a leaf.
    """
    rows = parse_body(body)["rows"]
    return {
        table: RowsDigest(count=said["count"], digest=said["digest"], marks=said["marks"])
        for table, said in rows.items()
    }
