"""Whom a question is about: a person's pseudonyms under every key, and how rows are told theirs.

Keeps true: what the person is called stands in no message and in no condition that an engine gets,
so it can be in no log and no error. It is hashed, or compared with values in memory.
"""

from dataclasses import dataclass

from backstory.lake.errors import BackstoryError, InvalidError, LimitExceededError
from backstory.lake.subject_sets import key_of, number_of
from backstory.lake.subjects import SubjectKey
from backstory.lake.unhidden import Wanted
from backstory.lineage.keys import load_keys
from backstory.lineage.parts import Parts

MAX_SUBJECT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One person.

    Attributes:
        wanted: under which names, for rows that nobody has hidden.
        lost: why rows under other keys than these cannot be told to be the person's.
    """

    wanted: Wanted
    lost: str

    @property
    def pseudonyms(self) -> list[str]:
        """What the person is called here, under each key that was looked under."""
        return list(self.wanted.pseudonyms)

    @property
    def numbers(self) -> list[int]:
        """How the subject index knows the person."""
        return [number_of(pseudonym) for pseudonym in self.pseudonyms]

    @property
    def key_ids(self) -> set[str]:
        """The keys whose pseudonyms can be told to be the person's, or not."""
        return {key_of(pseudonym) for pseudonym in self.pseudonyms}


def person(parts: Parts, raw: str | None, pseudonym: str | None) -> Person:
    """Whom somebody asks for.

    Args:
        raw: what the person is called where the feedback comes from.
        pseudonym: `keyid:HMAC`, as it stands in the rows.

    Raises:
        InvalidError: neither is given, or both; or it is none.
        LimitExceededError: the text is longer than a subject may be.
        NotFoundError: the subject keys are gone, without which nobody is found by a name.
    """
    if (raw is None) == (pseudonym is None):
        raise InvalidError(
            "a person is named by an id or by a pseudonym", hint="give one of the two"
        )
    if pseudonym is not None:
        number_of(pseudonym)
        wanted = Wanted(raw=None, pseudonyms=(pseudonym,), key=_maker(parts, pseudonym))
        return Person(wanted=wanted, lost="a pseudonym is of one key only; ask by the id")
    if not isinstance(raw, str) or not raw:
        raise InvalidError("that is no id of a person", hint="give the text that feedback says")
    if len(raw.encode(errors="replace")) > MAX_SUBJECT_BYTES:
        raise LimitExceededError(
            f"an id of a person has at most {MAX_SUBJECT_BYTES:,} bytes",
            hint="give one id, as feedback says it",
        )
    keys = load_keys(parts.settings.keys)
    wanted = Wanted(raw=raw, pseudonyms=[key.pseudonym(raw) for key in keys], key=None)
    return Person(wanted=wanted, lost="its secret is lost: restore it from a backup")


def _maker(parts: Parts, pseudonym: str) -> SubjectKey | None:
    """The key that made a pseudonym, where the home still has it: the index needs none."""
    try:
        keys = load_keys(parts.settings.keys)
    except BackstoryError:
        return None
    return next((key for key in keys if key.key_id == key_of(pseudonym)), None)
