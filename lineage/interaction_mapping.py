"""Which columns of a table that others write say what of an interaction.

Keeps true: a row becomes an `Interaction` within its bounds, or is refused with its column's name;
its subject is a pseudonym from then on. A row is called by the UUID that its writers gave it, else
by the id that its time and their name for it determine, as with interactions that we record. It
reads no table.

>>> from datetime import UTC, datetime
>>> mapping = InteractionMapping(columns={"id": "order", "at": "ts", "subject": "user"}, version=7)
>>> row = {"order": 8812, "ts": datetime(2026, 11, 14, tzinfo=UTC), "user": "ann"}
>>> found = mapping.interaction(row, "ranker", pseudonym=lambda raw: f"k1:{len(raw)}")
>>> found.external_id, found.version, found.subject, found.request
('8812', 7, 'k1:3', None)
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backstory.lake.errors import InvalidError
from backstory.lineage.ids import interaction_id
from backstory.lineage.interaction import Interaction, Part, PartStatus, json_text

_WHOLE = ("int8", "int16", "int32", "int64")
_WORD = ("string", *_WHOLE)
_ANY: tuple[str, ...] = ()
_PARTS = ("string", "list<struct<")

# What may be said by a column, and the types that say it; any type where none is named.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "id": _WORD,
    "at": ("timestamp",),
    "version": _WORD,
    "environment": ("string",),
    "variant": ("string",),
    "subject": _WORD,
    "conversation": _WORD,
    "turn": _WHOLE,
    "external_id": _WORD,
    "request": _ANY,
    "response": _ANY,
    "parts": _PARTS,
    "latency_ms": ("float32", "float64", *_WHOLE),
}
_NEEDED = ("id", "at")
_NUMBERED = re.compile(r"(?:(?P<model>[^@]+)@)?(?P<number>\d{1,9})", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionMapping:
    """Which column says what, and what is so of every row.

    Attributes:
        columns: the columns by what they say; `id` and `at` are among them.
        version: the number of the version that answered every row.
        environment: where every row was answered.
    """

    columns: Mapping[str, str]
    version: int | None = None
    environment: str | None = None

    def __post_init__(self) -> None:
        for name in self.columns:
            if name not in FIELDS:
                raise InvalidError(
                    f"no column of an interaction is called {name!r}",
                    hint=f"one of {', '.join(FIELDS)}",
                )
        for name in _NEEDED:
            if not self.columns.get(name):
                raise InvalidError(
                    f"no column is named for {name!r}", hint="an interaction has an id and a time"
                )
        for name in ("version", "environment"):
            if name in self.columns and getattr(self, name) is not None:
                raise InvalidError(
                    f"the {name} is named twice: by a column, and for every row",
                    hint="leave one of them out",
                )

    @property
    def unmapped(self) -> tuple[str, ...]:
        """What no column says and is not so of every row."""
        said = {name for name in ("version", "environment") if getattr(self, name) is not None}
        return tuple(name for name in FIELDS if name not in {*self.columns, *said})

    @property
    def read(self) -> list[str]:
        """The columns that are read, each once."""
        return list(dict.fromkeys(self.columns.values()))

    def problems(self, types: Mapping[str, str]) -> Iterator[str]:
        """Why a table with columns of these types cannot be read so."""
        for name, column in self.columns.items():
            taken = FIELDS[name]
            if column not in types:
                yield f"there is no column {column!r} for {name}"
            elif taken and not any(_is(types[column], kind) for kind in taken):
                wanted = " or ".join(kind.rstrip("<") for kind in taken)
                yield f"column {column!r} is {types[column]}; {name} is {wanted}"

    def interaction_id(self, row: Mapping[str, Any]) -> str:
        """What a row is called here."""
        own = str(row[self.columns["id"]])
        if _UUID.fullmatch(own):
            return own
        return interaction_id(row[self.columns["at"]], own)

    def interaction(
        self, row: Mapping[str, Any], model: str, *, pseudonym: Callable[[str], str]
    ) -> Interaction:
        """What a row says.

        Args:
            row: with at least the columns that are read.
            model: whose answer it is.
            pseudonym: hides a subject.

        Raises:
            InvalidError: a part has no kind or ref, or is none.
            LimitExceededError: a text is longer than an interaction's may be.
        """
        said = {name: row[column] for name, column in self.columns.items()}
        version, written = self.version_in(said.get("version"), model)
        subject = said.get("subject")
        external = said.get("external_id")
        return Interaction(
            id=self.interaction_id(row),
            at=said["at"],
            model=model,
            request=_json(said.get("request")),
            response=_json(said.get("response")),
            version=version,
            subject=None if subject is None else pseudonym(str(subject)),
            external_id=str(said["id"] if external is None else external),
            turn=said.get("turn"),
            latency_ms=None if said.get("latency_ms") is None else float(said["latency_ms"]),
            parts=tuple(_parts(said.get("parts"), self.columns.get("parts", ""))),
            attributes={} if written is None else {"version": written},
            environment=self.environment or _text(said.get("environment")),
            variant=_text(said.get("variant")),
            conversation=_text(said.get("conversation")),
        )

    def to_json(self) -> dict[str, Any]:
        """The mapping as the store keeps it."""
        return {
            "columns": dict(self.columns),
            "version": self.version,
            "environment": self.environment,
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> "InteractionMapping":
        """Read what the store keeps."""
        return cls(**body)

    def version_in(self, value: Any, model: str) -> tuple[int | None, str | None]:
        """The number of the version that a cell names; else what is written in its place.

        Args:
            value: the cell; None where no column says it.
            model: whose version it is.
        """
        if value is None:
            return self.version, None
        match = _NUMBERED.fullmatch(str(value))
        if match is None or match["model"] not in {None, model}:
            return None, str(value)
        return int(match["number"]), None


def _is(found: str, kind: str) -> bool:
    return found.startswith(kind) if kind.endswith("<") else found == kind


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _json(value: Any) -> str | None:
    """A request or response as JSON text: text that is no JSON becomes a JSON text."""
    if isinstance(value, str):
        try:
            json.loads(value)
        except (ValueError, RecursionError):
            return json_text(value)
        return value
    return None if value is None else json.dumps(value, default=str, ensure_ascii=False)


def _parts(value: Any, column: str) -> Iterator[Part]:
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError) as exc:
        raise _no_parts(column, "it is no JSON") from exc
    if not isinstance(found, Sequence | None) or isinstance(found, str):
        raise _no_parts(column, "it is no list")
    for part in found or ():
        if not isinstance(part, Mapping) or not (part.get("kind") and part.get("ref")):
            raise _no_parts(column, "a part has no kind or no ref")
        yield Part(
            kind=str(part["kind"]),
            ref=str(part["ref"]),
            digest=part.get("digest"),
            detail=_json(part.get("detail")),
            status=_status(part.get("status"), column),
        )


def _status(text: Any, column: str) -> PartStatus:
    told = (PartStatus.DECLARED, PartStatus.EXTERNAL)
    if text is None:
        return PartStatus.DECLARED
    if text not in told:
        raise _no_parts(column, f"a part is {text!r}, neither {' nor '.join(told)}")
    return PartStatus(text)


def _no_parts(column: str, why: str) -> InvalidError:
    return InvalidError(
        f"column {column!r} holds no parts: {why}",
        hint="parts are a list of kind, ref and maybe digest, detail and status",
    )
