"""The pseudonyms of the people behind feedback: `keyid:HMAC-SHA256`.

Keeps true: equal subjects under one key have equal pseudonyms, and without the key nobody gets
from one to the other. It stores no key and reads none.

>>> SubjectKey(key_id="k1", secret=b"0123456789abcdef").pseudonym("user-1")[:11]
'k1:9671a701'
"""

import hmac
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import pyarrow as pa

from backstory.lake.errors import InvalidError

MIN_SECRET_BYTES = 16
_KEY_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectKey:
    """A secret that turns subjects into pseudonyms, and its public id.

    Attributes:
        key_id: stands before every pseudonym, so that keys can be rotated.
        secret: at least `MIN_SECRET_BYTES` bytes; never shown.
    """

    key_id: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not _KEY_ID.fullmatch(self.key_id):
            raise InvalidError(
                f"{self.key_id[:40]!r} is no key id", hint="lower-case letters, digits, - and _"
            )
        if len(self.secret) < MIN_SECRET_BYTES:
            raise InvalidError(
                f"subject key {self.key_id} has {len(self.secret)} bytes, "
                f"at least {MIN_SECRET_BYTES} are needed",
                hint="make one with 32 random bytes",
            )

    def pseudonym(self, raw: str) -> str:
        """The pseudonym of one subject.

        Raises:
            InvalidError: it is no valid Unicode.
        """
        return self._hasher()(raw)

    def hide(self, rows: pa.RecordBatchReader, columns: Collection[str]) -> pa.RecordBatchReader:
        """Rows with pseudonyms in some of their columns."""
        fields = [f.with_type(pa.string()) if f.name in columns else f for f in rows.schema]
        schema = pa.schema(fields)
        batches = (self._hidden(batch, columns, schema) for batch in rows)
        return pa.RecordBatchReader.from_batches(schema, batches)

    def _hidden(
        self, batch: pa.RecordBatch, columns: Collection[str], schema: pa.Schema
    ) -> pa.RecordBatch:
        values = [
            self.pseudonyms(array.cast(pa.string())) if name in columns else array
            for name, array in zip(schema.names, batch.columns, strict=True)
        ]
        return pa.record_batch(values, schema)

    def pseudonyms(self, values: pa.Array | pa.ChunkedArray) -> pa.Array:
        """The pseudonyms of a column of strings; nulls stay null.

        Each distinct subject is hashed once.
        """
        encoded = values.dictionary_encode()
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.unify_dictionaries().combine_chunks()
        hashed = list(map(self._hasher(), encoded.dictionary.to_pylist()))
        return pa.array(hashed, pa.string()).take(encoded.indices)

    def _hasher(self) -> Callable[[str], str]:
        keyed = hmac.new(self.secret, digestmod="sha256")  # keyed once: half the time of each hash
        prefix = f"{self.key_id}:"

        def pseudonym(raw: str) -> str:
            running = keyed.copy()
            try:
                running.update(raw.encode())
            except UnicodeEncodeError as exc:
                raise InvalidError(
                    "a subject is no valid Unicode text", hint="send it as UTF-8 text"
                ) from exc
            return prefix + running.hexdigest()

        return pseudonym
