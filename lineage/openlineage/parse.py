"""Events in: any OpenLineage event of any version, as values, with tolerance where others need it.

Refused is only what has no identity: no object, no time, a run without id, a job or dataset
without namespace and name. Everything else is taken: no `schemaURL`, `producer` or `eventType`, a
time without zone (read as UTC), run ids that are no UUIDs, unknown facets. A facet that is no
object is left out with a warning; the raw event keeps it. The kind of an event is told by what it
contains, because `schemaURL` says the wrong thing at times.

>>> event = parse_event({"eventTime": "2026-11-14T09:41:07", "run": {"runId": "7"},
...                      "job": {"namespace": "n", "name": "j"}})
>>> event.run_id, str(event.at), event.warnings
('7', '2026-11-14 09:41:07+00:00', ('/eventTime: no time zone, read as UTC',))
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from backstory.lake.errors import InvalidError
from backstory.lineage.times import parse_time

MAX_NAME_LENGTH = 4096  # of run ids, namespaces, names and facet keys
MAX_DATASETS = 10_000  # inputs, and outputs
MAX_FACETS = 1000  # on one thing

MAX_PROBLEMS = 20  # in one message

Facets = Mapping[str, Mapping[str, Any]]
_EVENT_TYPES = ("START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER")
_NOWHEN = datetime.min.replace(tzinfo=UTC)
_ZONE = re.compile(r"(Z|[+-]\d{2}:?\d{2})$", re.IGNORECASE)
_SHORT_ZONE = re.compile(r"([+-]\d{2})(\d{2})$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job by its names."""

    namespace: str
    name: str
    facets: Facets = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A dataset as one event speaks of it.

    Attributes:
        version: what the facet `version` says, as text.
        use: the facets of this use of it, `inputFacets` or `outputFacets`.
    """

    namespace: str
    name: str
    version: str | None = None
    facets: Facets = field(default_factory=dict)
    use: Facets = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """Something happened to a run."""

    at: datetime
    run_id: str
    job: Job
    event_type: str | None = None
    facets: Facets = field(default_factory=dict)
    inputs: tuple[Dataset, ...] = ()
    outputs: tuple[Dataset, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """Something was said of a job outside any run."""

    at: datetime
    job: Job
    inputs: tuple[Dataset, ...] = ()
    outputs: tuple[Dataset, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetEvent:
    """Something was said of a dataset outside any run."""

    at: datetime
    dataset: Dataset
    warnings: tuple[str, ...] = ()


Event = RunEvent | JobEvent | DatasetEvent


def parse_event(body: Any) -> Event:
    """Read an event.

    Raises:
        InvalidError: it has no identity; the message names every place by its JSON pointer.
    """
    reading = _Reading()
    event = reading.event(body)
    if event is None or reading.problems:
        raise InvalidError(
            "not an OpenLineage event: " + "; ".join(reading.problems[:MAX_PROBLEMS]),
            hint="an event has eventTime and run and job, or job, or dataset",
        )
    return event


@dataclass(slots=True)
class _Reading:
    """One pass over an event, collecting what is wrong with it.

    Where something is wrong a placeholder takes its place; such an event does not leave this class.
    """

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def event(self, body: Any) -> Event | None:
        if not isinstance(body, Mapping):
            self.problems.append(f"/: expected an object, found {_kind(body)}")
            return None
        at = self.time(body.get("eventTime"))
        if "run" in body:
            return self.run_event(body, at)
        if "job" in body:
            job = self.job(body["job"])
            inputs, outputs = self.inputs(body), self.outputs(body)
            return JobEvent(
                at=at, job=job, inputs=inputs, outputs=outputs, warnings=tuple(self.warnings)
            )
        if "dataset" in body:
            dataset = self.dataset(body["dataset"], "/dataset", "")
            return DatasetEvent(at=at, dataset=dataset, warnings=tuple(self.warnings))
        self.problems.append("/: has neither run nor job nor dataset")
        return None

    def run_event(self, body: Mapping[str, Any], at: datetime) -> RunEvent:
        run = self.object(body["run"], "/run")
        run_id = self.text(run.get("runId"), "/run/runId")
        facets = self.facets(run.get("facets"), "/run/facets")
        event_type = body.get("eventType")
        if event_type is not None and event_type not in _EVENT_TYPES:
            self.warnings.append(f"/eventType: {_kind(event_type)} that is no event type")
            event_type = None
        job, inputs, outputs = self.job(body.get("job")), self.inputs(body), self.outputs(body)
        return RunEvent(
            at=at,
            run_id=run_id,
            job=job,
            event_type=event_type,
            facets=facets,
            inputs=inputs,
            outputs=outputs,
            warnings=tuple(self.warnings),
        )

    def inputs(self, body: Mapping[str, Any]) -> tuple[Dataset, ...]:
        return self.datasets(body.get("inputs"), "/inputs", "inputFacets")

    def outputs(self, body: Mapping[str, Any]) -> tuple[Dataset, ...]:
        return self.datasets(body.get("outputs"), "/outputs", "outputFacets")

    def time(self, value: Any) -> datetime:
        text = self.text(value, "/eventTime")
        if not text:
            return _NOWHEN
        if not _ZONE.search(text):
            self.warnings.append("/eventTime: no time zone, read as UTC")
            text += "Z"
        try:
            return parse_time(_SHORT_ZONE.sub(r"\1:\2", text))
        except InvalidError as exc:
            self.problems.append(f"/eventTime: {exc.message}")
            return _NOWHEN

    def job(self, value: Any) -> Job:
        body = self.object(value, "/job")
        return Job(
            namespace=self.text(body.get("namespace"), "/job/namespace"),
            name=self.text(body.get("name"), "/job/name"),
            facets=self.facets(body.get("facets"), "/job/facets"),
        )

    def datasets(self, value: Any, pointer: str, use: str) -> tuple[Dataset, ...]:
        if value is None:
            return ()
        if not isinstance(value, list) or len(value) > MAX_DATASETS:
            found = f"{len(value)} items" if isinstance(value, list) else _kind(value)
            self.problems.append(
                f"{pointer}: expected a list of at most {MAX_DATASETS}, found {found}"
            )
            return ()
        return tuple(self.dataset(item, f"{pointer}/{n}", use) for n, item in enumerate(value))

    def dataset(self, value: Any, pointer: str, use: str) -> Dataset:
        body = self.object(value, pointer)
        facets = self.facets(body.get("facets"), f"{pointer}/facets")
        version = facets.get("version", {}).get("datasetVersion")
        return Dataset(
            namespace=self.text(body.get("namespace"), f"{pointer}/namespace"),
            name=self.text(body.get("name"), f"{pointer}/name"),
            version=str(version) if isinstance(version, str | int) else None,
            facets=facets,
            use=self.facets(body.get(use), f"{pointer}/{use}"),
        )

    def facets(self, value: Any, pointer: str) -> Facets:
        if value is None:
            return {}
        if not isinstance(value, Mapping) or len(value) > MAX_FACETS:
            self.warnings.append(f"{pointer}: expected an object of at most {MAX_FACETS} facets")
            return {}
        return {k: v for k, v in value.items() if self.is_facet(k, v, pointer)}

    def is_facet(self, key: str, value: Any, pointer: str) -> bool:
        if value is None:  # the same as absent
            return False
        if not isinstance(value, Mapping) or not _is_name(key):
            self.warnings.append(
                f"{pointer}/{key[:80]!r}: {_kind(value)} is no facet, or that is no name"
            )
            return False
        return True

    def object(self, value: Any, pointer: str) -> Mapping[str, Any]:
        if isinstance(value, Mapping):
            return value
        self.problems.append(f"{pointer}: expected an object, found {_kind(value)}")
        return {}

    def text(self, value: Any, pointer: str) -> str:
        if _is_name(value):
            return str(value)
        expected = f"text of 1 to {MAX_NAME_LENGTH} characters"
        self.problems.append(f"{pointer}: expected {expected}, found {_kind(value)}")
        return ""


def _is_name(value: Any) -> bool:
    """Text that every database can hold: bounded, without NUL and halves of characters."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_NAME_LENGTH
        and not any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value)
    )


def _kind(value: Any) -> str:
    """What a JSON value is, in words; never the value itself."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return f"text of {len(value)} characters"
        case list():
            return "a list"
        case _:
            return "an object"
