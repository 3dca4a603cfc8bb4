r"""The model state behind one interaction: everything that determined its answer, with a digest.

The digest `v1` covers what determined the answer and nothing that was found out later: two
interactions answered in the same state have the same digest. A deployment counts with its begin and
share but not with its end, which lies after the answer. Verification results, the interaction's id
and time, and feedback are not covered. Format (one line each, `\n` ended, UTF-8, fields separated
by tabs, special characters escaped as in JSON, `-` for no digest):

    backstory-state v1
    <section> TAB <kind> TAB <ref> TAB <digest> TAB <detail>

Sections come in the order of `Section`. The parts of the interaction keep their order, which may
matter to the answer; other lines are sorted.

>>> version = StatePart(section=Section.VERSION, kind="model_version", ref="reader@3")
>>> state_text([version])
'backstory-state v1\nversion\tmodel_version\treader@3\t-\t\n'
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from backstory.lineage.interaction import Interaction, PartStatus
from backstory.lineage.linked_interactions import Linked
from backstory.lineage.store.amendments import Amended
from backstory.lineage.store.loads import LoadRecord

_HEADER = "backstory-state v1"


class Section(StrEnum):
    """Which side of the state a part belongs to, in the order of telling."""

    VERSION = "version"
    ARTIFACT = "artifact"
    DEPLOYMENT = "deployment"
    COMPONENT = "component"
    PART = "part"
    TRAINING = "training"
    TRIGGER = "trigger"
    CODE = "code"
    ENVIRONMENT = "environment"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatePart:
    """One thing that determined the answer.

    Attributes:
        kind: what it is within its section: prompt, chunk, tree, snapshot, git, lockfile …
        ref: what it is called.
        digest: SHA-256 of its bytes, or a snapshot's manifest digest; None where there is none.
        detail: what else is known of it and determined the answer, as text.
        status: how sure it is; not part of the state's digest.
        problem: why it is missing or erased, or what was found instead.
        recorded_at: when it was recorded, where it has a time of its own; like `late` it
            determined nothing and is not part of the digest.
        late: how long after it was so that is; None where it was in time.
        amended: the last amendment of its record, where there was one; not part of the digest.
    """

    section: Section
    kind: str
    ref: str
    digest: str | None = None
    detail: str = ""
    status: PartStatus = PartStatus.DECLARED
    problem: str = ""
    recorded_at: datetime | None = None
    late: timedelta | None = None
    amended: Amended | None = None

    def to_line(self) -> str:
        """The part's line of the canonical text, without its end."""
        fields = (self.section.value, self.kind, self.ref, self.digest or "-", self.detail)
        return "\t".join(json.dumps(field, ensure_ascii=False)[1:-1] for field in fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelState:
    """What stood behind one interaction.

    Attributes:
        version: ref of the model version that answered; None where nobody said and nothing tells.
        parts: everything that determined the answer, in the order of the sections.
        loads: what the hosts of its environment had loaded last by then: observed, like
            verification results no part of the digest.
        disagreements: where what was declared and what was observed are not the same, in words.
        linked: the table of others that the interaction was read from; None for one of ours.
        remarks: what became of the version's run where it did not go well, and what of its training
            nobody saw, in words; no part of the digest either.
    """

    interaction: Interaction
    version: str | None
    parts: tuple[StatePart, ...]
    loads: tuple[LoadRecord, ...] = ()
    disagreements: tuple[str, ...] = ()
    linked: Linked | None = None
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(in_order(self.parts)))

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical text, 64 hex digits: the state's identity."""
        return hashlib.sha256(state_text(self.parts).encode()).hexdigest()

    @property
    def missing(self) -> tuple[StatePart, ...]:
        """The parts that are not there any more."""
        return tuple(p for p in self.parts if p.status in (PartStatus.MISSING, PartStatus.ERASED))


def in_order(parts: Sequence[StatePart]) -> list[StatePart]:
    """The canonical order: by section, then by line, but the interaction's parts as they came."""
    order = {section: rank for rank, section in enumerate(Section)}

    def place(part: StatePart) -> tuple[int, str]:
        return order[part.section], "" if part.section is Section.PART else part.to_line()

    return sorted(parts, key=place)


def state_text(parts: Sequence[StatePart]) -> str:
    """The canonical text form `v1`."""
    return "\n".join([_HEADER, *(part.to_line() for part in in_order(parts)), ""])
