"""Events recorded: our own and others', by the same code, in the unit of work of the caller.

Keeps true: an event is stored once however often it comes, and what is known of a run is the same
in whatever order its events come. An input that names the bytes of a snapshot known here is joined
to the run as read; an output that names a model version and its artifact as produced. What an event
merely calls by a name joins nothing.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from backstory.lake.errors import InvalidError, LimitExceededError
from backstory.lineage.graph import EdgeKind, EntityKind, Evidence, run_key
from backstory.lineage.openlineage.parse import RunEvent, parse_event
from backstory.lineage.run import RunState, state_of_event
from backstory.lineage.store import events, outbox, reads, tables, writes
from backstory.lineage.store.unit_of_work import Unit

MAX_EVENT_BYTES = 10 * 1024 * 1024
MAX_MESSAGE_LENGTH = 4096


def record_event(
    unit: Unit,
    body: Mapping[str, Any],
    *,
    model: str | None = None,
    trigger: Mapping[str, Any] | None = None,
    evidence: Evidence = Evidence.OBSERVED,
    receivers: Iterable[str] = (),
) -> int | None:
    """Record an event.

    1. Read it; an event without identity is refused.
    2. Store it as it came, once: the same event again changes nothing.
    3. Make the run known, the first time.
    4. Record the state that it tells of.
    5. Record its run facets, where no later event has told them already.
    6. Join what it read and what it made.

    Args:
        unit: the transaction it goes into.
        body: the event's JSON.
        model: the model that the run trains, where the caller knows; kept with the run's first
            event.
        trigger: why the run started, likewise.
        evidence: how its edges are known: observed for our own runs, imported for others'.
        receivers: by name, for whom it is to wait in the outbox.

    Returns:
        The run's id in the store; None for an event that speaks of no run.

    Raises:
        InvalidError: it is no event; the message names every place.
        LimitExceededError: it is larger than `MAX_EVENT_BYTES`.
    """
    event = parse_event(body)
    text, digest = _canonical(body)
    run_id = event.run_id if isinstance(event, RunEvent) else None
    seen = events.has_event(unit.connection, digest)
    if not seen:
        stored = writes.insert(
            unit,
            tables.openlineage_event,
            digest=digest,
            run_id=run_id,
            event_type=event.event_type if isinstance(event, RunEvent) else None,
            event_time=event.at,
            body=text,
        )
        outbox.put(unit, stored, receivers)
    if not isinstance(event, RunEvent):
        return None
    run = _run(unit, event, model, trigger)
    if not seen:
        _add_state(unit, run, event)
        _add_facets(unit, run, event, digest)
    # Also for an event seen before: what it names may have become known meanwhile.
    _add_reads(unit, run, event, evidence)
    _add_products(unit, run, event, evidence)
    return run


def _canonical(body: Mapping[str, Any]) -> tuple[str, str]:
    """The text that is stored, and the digest by which the event is known again."""
    try:
        text = json.dumps(body, separators=(",", ":"), allow_nan=False)
        ordered = json.dumps(body, separators=(",", ":"), sort_keys=True)
    except (TypeError, ValueError, RecursionError) as exc:
        raise InvalidError(
            f"the event is not JSON: {exc}", hint="send one OpenLineage event as a JSON object"
        ) from exc
    if len(text) > MAX_EVENT_BYTES:
        raise LimitExceededError(
            f"the event has {len(text):,} bytes, more than {MAX_EVENT_BYTES:,}",
            hint="send it without the facets that are not needed",
        )
    return text, hashlib.sha256(ordered.encode()).hexdigest()


def _run(unit: Unit, event: RunEvent, model: str | None, trigger: Mapping[str, Any] | None) -> int:
    known = reads.entity_by_key(unit.connection, run_key(event.run_id))
    if known is not None:
        return known.id
    run = writes.add_entity(unit, EntityKind.RUN, run_key(event.run_id), event.job.name)
    writes.insert(
        unit,
        tables.run,
        id=run,
        run_id=event.run_id,
        namespace=event.job.namespace,
        job=event.job.name,
        model=model,
        trigger=trigger,
    )
    return run


def _add_state(unit: Unit, run: int, event: RunEvent) -> None:
    state = state_of_event(event.event_type)
    if state is None:
        return
    message = event.facets.get("errorMessage", {}).get("message")
    if not isinstance(message, str) or state is not RunState.FAILED:
        message = None
    if state is RunState.ABORTED and "backstory_abandoned" in event.facets:
        state = RunState.ABANDONED  # our conclusion, which the run's own word beats
    writes.insert(
        unit,
        tables.run_state,
        run=run,
        state=state.value,
        at=event.at,
        message=message and message[:MAX_MESSAGE_LENGTH],
    )


def _add_facets(unit: Unit, run: int, event: RunEvent, digest: str) -> None:
    """A facet replaces the facet of the same key; the last event that tells it wins."""
    told_later = _told_later(unit, event, digest)
    current = events.current_facets(unit.connection, run)
    for key, facet in event.facets.items():
        row, before = current.get(key, (None, None))
        if key in told_later or facet == before:
            continue
        if row is not None:
            writes.end(unit, tables.run_facet, row)
        writes.insert(unit, tables.run_facet, run=run, key=key, body=facet)


def _told_later(unit: Unit, event: RunEvent, digest: str) -> set[str]:
    """The facets that an event of this run told which counts as later than this one."""
    told: set[str] = set()
    for text in events.events_since(unit.connection, event.run_id, event.at):
        other_body = json.loads(text)
        other = parse_event(other_body)
        _, other_digest = _canonical(other_body)
        if isinstance(other, RunEvent) and _place(other, other_digest) > _place(event, digest):
            told |= other.facets.keys()
    return told


def _place(event: RunEvent, digest: str) -> tuple[datetime, int, str]:
    """An event's place in its run: by time, at one time the end last; never by arrival."""
    state = state_of_event(event.event_type)
    rank = 0 if state is None else 2 if state.ended else 1
    return event.at, rank, digest


def _add_reads(unit: Unit, run: int, event: RunEvent, evidence: Evidence) -> None:
    named = [
        (facet["slice"], facet["digest"])
        for dataset in event.inputs
        if isinstance(
            (facet := dataset.facets.get("backstory_deltaSnapshot", {})).get("slice"), str
        )
        and isinstance(facet.get("digest"), str)
    ]
    known = events.snapshots_by_digest(unit.connection, {digest for _, digest in named})
    for slice_name, digest in named:
        for name, snapshot in known.get(digest, ()):
            if name == slice_name:
                writes.add_edge(unit, snapshot, run, EdgeKind.READ, evidence, run=run)


def _add_products(unit: Unit, run: int, event: RunEvent, evidence: Evidence) -> None:
    for dataset in event.outputs:
        match dataset.facets.get("backstory_model"):
            case {"model": str(model), "version": int(number), "artifactDigest": str(artifact)}:
                version = events.version_with_artifact(unit.connection, model, number, artifact)
                if version is not None:
                    writes.add_edge(unit, run, version, EdgeKind.PRODUCED, evidence, run=run)
