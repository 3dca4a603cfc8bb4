"""Events out: what a training run is, in plain words, and the OpenLineage events that say it.

A `RunDescription` holds what is known of a run so far; `run_event` turns it into an event object of
openlineage-python, and `to_json` into the JSON that is stored. The client takes half a second to
import, so importing this module imports none of it; the first event does.

The exact version of every input and output is in the standard facet `version`, because that is
where others look; what identifies its bytes is in `backstory_deltaSnapshot` and `backstory_model`.

>>> dataset_name("/srv/lake/thumbs__en"), dataset_name("s3://bucket/lake/thumbs__en")
(('file', '/srv/lake/thumbs__en'), ('s3://bucket', 'lake/thumbs__en'))
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from backstory.lineage.capturing import Code, Environment
from backstory.lineage.model import ComponentUse
from backstory.lineage.redaction import redact_args, redact_text
from backstory.lineage.trigger import Evaluated

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

    from backstory.lake.blobs import Artifact
    from backstory.lake.profile import Profile
    from backstory.lake.snapshot import Snapshot

MAX_VALUE_LENGTH = 4096  # of one parameter's text in an event


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """Something that was to be so of an input, in OpenLineage's words, and whether it was.

    Attributes:
        assertion: `not_null`, or the statistic of a drift.
        column: of which column; None for the input as a whole.
        expected, actual: what was to be, or the limit, and what was found.
    """

    assertion: str
    success: bool
    column: str | None
    expected: str
    actual: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What the rows of an input looked like, and what was asserted of them."""

    profile: "Profile"
    assertions: tuple[Assertion, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InputDescription:
    """One read of a snapshot.

    Attributes:
        uri: where the table lies; the identity of a Delta table in OpenLineage.
        at: when the version was committed, where that is known.
        role: what it was read for: train, validate, test …
        columns, filter: the selection that was applied; None for all.
        rows_read: how many rows the selection gave.
        quality: of all of the snapshot; None before the end of the run, or where it is not known.
    """

    slice: str
    uri: str
    snapshot: "Snapshot"
    at: datetime | None
    role: str = "train"
    columns: Sequence[str] | None = None
    filter: str | None = None
    rows_read: int | None = None
    quality: Quality | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputDescription:
    """The model version that a run made; `uri` is where its artifact lies."""

    number: int
    artifact: "Artifact"
    uri: str
    components: tuple[ComponentUse, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandDescription:
    """The command that trained, in a process of its own: what it read itself was not seen.

    Attributes:
        argv: its command line, redacted.
        exit_code: what it ended with; None while it runs, or where a signal ended it.
        signal: the signal that ended it.
    """

    argv: tuple[str, ...]
    exit_code: int | None = None
    signal: str | None = None

    @classmethod
    def of(cls, argv: Sequence[str]) -> "CommandDescription":
        """A command that is to run."""
        return cls(argv=tuple(redact_args(argv)))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDescription:
    """What is known of a training run so far.

    Attributes:
        namespace: of the job and of the model.
        error: why it failed; redacted before it comes here, like `params`.
        abandoned: how it is known that its processes were lost.
        command: what trained, where it was a command in a process of its own.
        dataset_rows, dataset_digest: the final training set, where it was given.
    """

    run_id: str
    namespace: str
    job: str
    model: str
    trigger: Evaluated | None = None
    code: Code | None = None
    environment: Environment | None = None
    inputs: tuple[InputDescription, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    seed: int | None = None
    dataset_rows: int | None = None
    dataset_digest: str | None = None
    output: OutputDescription | None = None
    error: str | None = None
    command: CommandDescription | None = None
    abandoned: str | None = None


def run_event(described: RunDescription, event_type: str, at: datetime) -> "RunEvent":
    """The event object that tells of a run at a time.

    Args:
        described: what is known so far; every event tells all of it again.
        event_type: START, RUNNING, COMPLETE, FAIL or ABORT.
        at: the event's time.
    """
    from backstory.lineage.openlineage.building import build_run_event

    return build_run_event(described, event_type, at)


def to_json(event: "RunEvent") -> dict[str, Any]:
    """The event as plain JSON, as it is stored and sent."""
    from openlineage.client.serde import Serde

    body: dict[str, Any] = json.loads(json.dumps(Serde.to_dict(event), allow_nan=False))
    return body


def dataset_name(uri: str) -> tuple[str, str]:
    """The OpenLineage namespace and name of what lies at a URI or a path."""
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return "file", uri
    if scheme == "file":
        return "file", "/" + rest.partition("/")[2]
    authority, _, path = rest.partition("/")
    return f"{scheme}://{authority}", path.strip("/")


def plain(value: Any) -> Any:
    """A value as JSON can say it: NumPy scalars as numbers, what is not finite or unknown as text.

    The client would write `<<non-serializable: float32>>` in its place, and leave out nulls and
    empty objects within others, from the middle of a list too: they are told as text.
    """
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {str(name): _kept(v) for name, v in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_kept(v) for v in value]
    if callable(item := getattr(value, "item", None)) and getattr(value, "size", 1) == 1:
        return plain(item())
    return _shortened(value if isinstance(value, str) else redact_text(str(value)))


def _kept(value: Any) -> Any:
    told = plain(value)
    if told is None:
        return "null"
    return "{}" if told == {} else told


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_VALUE_LENGTH else text[: MAX_VALUE_LENGTH - 1] + "…"
