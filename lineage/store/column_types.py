"""The types of the store's columns: equal on SQLite and PostgreSQL, and refused where damaged."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Integer, Text, TypeDecorator

from backstory.lake.errors import IntegrityError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Instant(TypeDecorator[datetime]):
    """An aware time as microseconds since 1970 in a BIGINT: exact, equal on every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Any) -> int | None:
        """Store an aware time; a naive one is a programming error."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive time {value!r} cannot be stored")
        return (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: int | None, _dialect: Any) -> datetime | None:
        """Give the time back in UTC."""
        try:
            return None if value is None else _EPOCH + timedelta(microseconds=value)
        except (TypeError, OverflowError) as exc:
            raise _damaged("time") from exc


class Json(TypeDecorator[Any]):
    """A JSON value as canonical text: equal on every database, so that its bytes are proved."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, _dialect: Any) -> str | None:
        """Write sorted keys and no spaces; NULL stands for nothing."""
        if value is None:
            return None
        return json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )

    def process_result_value(self, value: str | None, _dialect: Any) -> Any:
        """Read the value back."""
        return self.parse(value)

    @staticmethod
    def parse(value: str | None) -> Any:
        """The value that a text holds."""
        try:
            return None if value is None else json.loads(value)
        except (TypeError, ValueError) as exc:
            raise _damaged("JSON value") from exc


def _damaged(what: str) -> IntegrityError:
    return IntegrityError(
        f"the store holds a {what} that cannot be read", hint="`backstory verify` says which row"
    )


# SQLite gives an autoincrementing key only to INTEGER; PostgreSQL wants the wide type.
Key = BigInteger().with_variant(Integer, "sqlite")
