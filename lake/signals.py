"""The signal taxonomy of a contract: the words that its events may use, and what they mean.

Keeps true: a signal that exists has a printable name, and a time at which it was first given that
lies before the one at which it was last given. A signal ends (`until`) and never vanishes, because
rows that use it stay.

A signal of which nothing is said but its name is written as that word, as contracts always did.

>>> signals_of(["thumb_up", {"name": "thumb_down", "meaning": "of no use"}])[1].meaning
'of no use'
>>> signals_of({"thumb_up": "it helped"})[0].to_document()
{'name': 'thumb_up', 'meaning': 'it helped'}
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from backstory.lake.columns import check_text
from backstory.lake.documents import check_fields
from backstory.lake.errors import InvalidError


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One reason that a user can give.

    Attributes:
        name: the word that events use.
        meaning: what somebody says by it.
        since: since when it can be given; None where the contract's own history tells.
        until: from when on it can be given no longer; None where it still can.
    """

    name: str
    meaning: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        where = f"signal {self.name[:80]!r}"
        if not self.name.strip():
            raise InvalidError(
                "contract: signals are distinct words, and not empty",
                hint="write each once, for example [thumb_up, thumb_down]",
            )
        check_text(where, self.name)
        check_text(where, self.meaning)
        for name in ("since", "until"):
            object.__setattr__(self, name, _instant(getattr(self, name), f"{where}: {name}"))
        if self.since and self.until and self.until <= self.since:
            raise InvalidError(
                f"{where}: it ends at {_text(self.until)}, before it began",
                hint="give an until that lies behind since",
            )

    def given_at(self, at: datetime) -> bool:
        """Whether it can be given at a time, as far as the signal itself says."""
        return (self.since is None or self.since <= at) and (self.until is None or at < self.until)

    def to_document(self) -> str | dict[str, str]:
        """The word alone, or what is said of it without defaults."""
        told = {
            "meaning": self.meaning,
            "since": _text(self.since),
            "until": _text(self.until),
        }
        said = {name: text for name, text in told.items() if text}
        return {"name": self.name, **said} if said else self.name

    @classmethod
    def from_document(cls, document: object) -> "Signal":
        """Read what `to_document` gives.

        Raises:
            InvalidError: a field is unknown or of the wrong kind.
        """
        if isinstance(document, str):
            return cls(name=document)
        if not isinstance(document, dict):
            raise InvalidError(
                f"contract: signals are words, or mappings of a name, not {document!r}",
                hint="put words in quotes, or write {name: thumb_up, meaning: it helped}",
            )
        return cls(**check_fields(document, "signal", _SIGNAL_FIELDS, ["name"]))


_SIGNAL_FIELDS: Mapping[str, tuple[type, ...]] = {
    "name": (str,),
    "meaning": (str,),
    "since": (str, date, datetime),
    "until": (str, date, datetime),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalLife:
    """A signal with when it could be given.

    Attributes:
        signal: with the `since` that was given, or that follows from the history.
        known_from: the version of the contract that first had it.
        since_given: whether the contract says `since`, rather than its history.
    """

    signal: Signal
    known_from: int
    since_given: bool


def signals_of(document: object) -> tuple[Signal, ...]:
    """Read signals from words, mappings or themselves, or from a mapping of words to meanings.

    Raises:
        InvalidError: a signal is not well formed, or stands there twice.
    """
    if not isinstance(document, list | tuple | dict):
        raise InvalidError("contract: signals are a list", hint="write [thumb_up, thumb_down]")
    given = map(_named, document, document.values()) if isinstance(document, dict) else document
    found = tuple(one if isinstance(one, Signal) else Signal.from_document(one) for one in given)
    if len({signal.name for signal in found}) != len(found):
        raise InvalidError(
            "contract: signals are distinct words",
            hint="write each once, for example [thumb_up, thumb_down]",
        )
    return found


def taxonomy(
    versions: Sequence[tuple[int, datetime, Iterable[Signal]]],
) -> tuple[SignalLife, ...]:
    """The signals of a contract's newest version, each with when it could be given.

    Args:
        versions: number, begin and signals of every version, the oldest first.
    """
    first: dict[str, tuple[int, datetime]] = {}
    for number, at, signals in versions:
        for signal in signals:
            first.setdefault(signal.name, (number, at))
    newest = versions[-1][2] if versions else ()
    return tuple(
        SignalLife(
            signal=replace(signal, since=_begin(signal, first[signal.name][1])),
            known_from=first[signal.name][0],
            since_given=signal.since is not None,
        )
        for signal in newest
    )


def _begin(signal: Signal, registered: datetime) -> datetime | None:
    """When a signal began; nobody knows of one that had ended before it was registered."""
    if signal.since is not None:
        return signal.since
    return registered if signal.until is None or registered < signal.until else None


def _named(name: object, document: object) -> object:
    match document:
        case None:
            return name
        case str():
            return {"name": name, "meaning": document}
        case dict():
            return {"name": name, **document}
    return document


def _instant(given: object, what: str) -> datetime | None:
    """A time with its zone; a day is its begin in UTC."""
    if given is None:
        return None
    try:
        if isinstance(given, str):
            given = datetime.fromisoformat(given) if len(given) > 10 else date.fromisoformat(given)
        if isinstance(given, date) and not isinstance(given, datetime):
            return datetime(given.year, given.month, given.day, tzinfo=UTC)
        if isinstance(given, datetime) and given.tzinfo is not None:
            return given.astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise InvalidError(f"{what}: {given!r} is no time", hint=_TIMES) from exc
    raise InvalidError(f"{what}: {given!r} is no time with a zone", hint=_TIMES)


_TIMES = "write it like 2026-11-01 or 2026-11-01T09:00:00Z"


def _text(at: datetime | None) -> str:
    return at.isoformat().replace("+00:00", "Z") if at else ""
