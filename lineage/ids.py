"""Ids: UUIDv7 texts (RFC 9562), which sort by time.

An interaction's id is a function of its time and its external id, so that recording it twice gives
one id; without an external id it is random. Any other id is random below the microsecond.

>>> from datetime import UTC, datetime
>>> at = datetime(2026, 11, 14, 9, 41, tzinfo=UTC)
>>> interaction_id(at, "zendesk:8812") == interaction_id(at, "zendesk:8812")
True
>>> uuid7(at, bytes(10))
'01a1d96e-7fe0-7000-8000-000000000000'
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import NewType

from backstory.lineage.times import EPOCH, Clock, in_utc

InteractionId = NewType("InteractionId", str)

_MICROSECOND = timedelta(microseconds=1)


def uuid7(at: datetime, entropy: bytes | None = None) -> str:
    """A UUIDv7 whose order is that of `at`, to the microsecond (RFC 9562, method 3).

    Args:
        at: an aware time, not before 1970.
        entropy: at least 8 bytes in place of the system's random ones.
    """
    milliseconds, rest = divmod(_microseconds(at), 1000)
    return _format(milliseconds, (rest << 12) // 1000, entropy or secrets.token_bytes(8))


def new_id(clock: Clock) -> str:
    """A new id at the time of `clock`."""
    return uuid7(clock())


def interaction_id(
    at: datetime, external_id: str | None, entropy: bytes | None = None
) -> InteractionId:
    """The id of the interaction at that millisecond which its system calls `external_id`."""
    if external_id is None:
        return InteractionId(uuid7(at, entropy))
    bits = hashlib.sha256(b"backstory-interaction v1\n" + external_id.encode()).digest()
    high = int.from_bytes(bits[8:10]) & 0xFFF
    return InteractionId(_format(_microseconds(at) // 1000, high, bits))


def id_bounds(low: datetime, high: datetime) -> tuple[str, str]:
    """The lowest and the highest id of the time between two instants, whatever its writer."""
    begin, end = (max(_microseconds(at), 0) // 1000 for at in (low, high))
    return _dashed(f"{begin:012x}{'0' * 20}"), _dashed(f"{end:012x}{'f' * 20}")


def time_of(text: str) -> datetime:
    """The millisecond in which an id was made.

    >>> time_of("01a1d96e-7fe0-7000-8000-000000000000").isoformat()
    '2026-11-14T09:41:00+00:00'
    """
    return EPOCH + timedelta(milliseconds=int(text.replace("-", "")[:12], 16))


def _microseconds(at: datetime) -> int:
    return (in_utc(at) - EPOCH) // _MICROSECOND


def _format(milliseconds: int, high: int, low: bytes) -> str:
    """Lay out 48 bits of time, 12 bits `rand_a` and 62 bits `rand_b` around version and variant."""
    rand_b = int.from_bytes(low[:8]) & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
    return _dashed(f"{milliseconds:012x}7{high:03x}{rand_b:016x}")


def _dashed(text: str) -> str:
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
