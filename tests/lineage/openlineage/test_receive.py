import csv
import itertools
import json
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from backstory.lake.errors import InvalidError, LimitExceededError
from backstory.lake.snapshot import Snapshot
from backstory.lineage.graph import EdgeKind, EntityKind, Evidence, snapshot_key
from backstory.lineage.openlineage.receive import MAX_EVENT_BYTES, record_event
from backstory.lineage.store import reads, runs, tables
from backstory.lineage.store.engine import connect
from backstory.lineage.store.unit_of_work import Store, Unit
from backstory.lineage.store.writes import add_entity, insert
from tests.databases import Databases
from tests.lineage.openlineage.described import (
    AT,
    DIGEST,
    RUN_ID,
    make_event,
    make_input,
    make_output,
    make_snapshot,
)
from tests.lineage.store.recording import ticking, unit


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return make_snapshot(tmp_path_factory.mktemp("lake"))


def record(store: Store, *bodies: dict[str, Any], **more: Any) -> list[int | None]:
    ids = []
    for body in bodies:
        with unit(store) as opened:
            ids.append(record_event(opened, body, **more))
    return ids


def add_snapshot(opened: Unit, snapshot: Snapshot, digest: str | None = None) -> int:
    name = snapshot.slice
    slice_id = add_entity(opened, EntityKind.SLICE, f"slice:{name}", name)
    insert(opened, tables.slice_, id=slice_id, name=name, flavour="managed", table_id="t")
    key = snapshot_key(name, snapshot.version)
    number = add_entity(opened, EntityKind.SNAPSHOT, key, key)
    insert(
        opened,
        tables.snapshot,
        id=number,
        slice=slice_id,
        version=snapshot.version,
        digest=digest or snapshot.digest,
        rows=snapshot.rows,
        size=snapshot.size,
        files=1,
    )
    return number


def add_version(opened: Unit, artifact: str = DIGEST) -> int:
    insert(opened, tables.artifact, digest=artifact, kind="tree", name="m", size=1, files=1)
    number = add_entity(opened, EntityKind.MODEL_VERSION, "ranker@7", "ranker@7")
    insert(
        opened, tables.model_version, id=number, model="ranker", number=7, artifact=artifact, at=AT
    )
    return number


def edges_of(
    store: Store, run: int, direction: str = "upstream"
) -> list[tuple[int, int, str, str]]:
    with store.reader() as conn:
        graph = reads.walk(conn, run, direction, depth=1)
    return [(e.src, e.dst, e.kind.value, e.evidence.value) for e in graph.edges]


def told(store: Store) -> dict[str, Any]:
    """All that is known of all runs, whatever their numbers."""
    with store.reader() as conn:
        return {
            run.run_id: (
                run.state,
                run.started,
                run.ended,
                run.message,
                runs.run_facets(conn, run.id),
                sorted(runs.run_events(conn, run.run_id)),
            )
            for run in runs.newest_runs(conn, limit=1000)
        }


def test_an_event_is_kept_once_as_it_came(store: Store) -> None:
    body = make_event("START")
    first, again = record(store, body, dict(reversed(body.items())))
    assert first == again
    with store.reader() as conn:
        (kept,) = runs.run_events(conn, RUN_ID)
    assert json.loads(kept) == body


def test_a_run_is_known_from_its_first_event(store: Store) -> None:
    trigger = {"v": 1, "kind": "manual"}
    (run,) = record(store, make_event("START"), model="ranker", trigger=trigger)
    assert run is not None
    with store.reader() as conn:
        known = runs.runs_by_id(conn, [run])[run]
        facets = runs.run_facets(conn, run)
    assert (known.run_id, known.namespace, known.job) == (RUN_ID, "backstory", "retrain.ranker")
    assert (known.model, known.trigger, known.state) == ("ranker", trigger, "started")
    assert known.started == AT
    assert facets["backstory_training"]["seed"] == 7


def test_a_failure_keeps_its_message(store: Store) -> None:
    (run,) = record(store, make_event("FAIL", error="ValueError: no rows"))
    with store.reader() as conn:
        (known,) = runs.runs_by_id(conn, [run or 0]).values()
    assert (known.state, known.message, known.ended) == ("failed", "ValueError: no rows", AT)


def test_what_was_read_and_made_is_joined_by_its_bytes(store: Store, snapshot: Snapshot) -> None:
    with unit(store) as opened:
        read, made = add_snapshot(opened, snapshot), add_version(opened)
    body = make_event(inputs=(make_input(snapshot),), output=make_output())
    (run,) = record(store, body)
    assert run is not None
    assert edges_of(store, run) == [(read, run, "read", "observed")]
    assert edges_of(store, run, "downstream") == [(run, made, "produced", "observed")]
    record(store, body)
    assert len(edges_of(store, run)) == 1


def test_others_edges_are_imported(store: Store, snapshot: Snapshot) -> None:
    with unit(store) as opened:
        read = add_snapshot(opened, snapshot)
    body = make_event(inputs=(make_input(snapshot),))
    (run,) = record(store, body, evidence=Evidence.IMPORTED)
    assert edges_of(store, run or 0) == [(read, run, EdgeKind.READ, "imported")]


def test_a_name_without_the_bytes_joins_nothing(store: Store, snapshot: Snapshot) -> None:
    with unit(store) as opened:
        add_snapshot(opened, snapshot, digest="cd" * 32)
        add_version(opened, artifact="cd" * 32)
    renamed = make_input(snapshot, slice="thumbs/de")
    body = make_event(inputs=(make_input(snapshot), renamed), output=make_output())
    (run,) = record(store, body)
    assert edges_of(store, run or 0) == []
    assert edges_of(store, run or 0, "downstream") == []


def test_an_event_that_comes_again_joins_what_has_become_known(
    store: Store, snapshot: Snapshot
) -> None:
    body = make_event(inputs=(make_input(snapshot),))
    (run,) = record(store, body)
    assert edges_of(store, run or 0) == []
    with unit(store) as opened:
        add_snapshot(opened, snapshot)
    record(store, body)
    assert len(edges_of(store, run or 0)) == 1


@pytest.mark.parametrize(
    "facet",
    [
        {"slice": 7, "digest": DIGEST},
        {"slice": "thumbs/en", "digest": None},
        {"slice": "thumbs/en"},
        {},
    ],
)
def test_an_unsound_facet_of_ours_joins_nothing(store: Store, facet: dict[str, Any]) -> None:
    given = {"namespace": "n", "name": "d", "facets": {"backstory_deltaSnapshot": facet}}
    model = {"model": "ranker", "version": "7", "artifactDigest": DIGEST}
    made = {"namespace": "n", "name": "m", "facets": {"backstory_model": model}}
    (run,) = record(store, make_event() | {"inputs": [given], "outputs": [made]})
    assert edges_of(store, run or 0) == []


def run_of_events(run_id: str) -> list[dict[str, Any]]:
    """Four events of a run whose facets replace each other, two of them at one instant."""
    later = AT + timedelta(minutes=1)
    return [
        make_event("START", AT, run_id=run_id, seed=1),
        make_event("RUNNING", later, run_id=run_id, seed=2, params={}),
        make_event("COMPLETE", later, run_id=run_id, seed=3, trigger=None),
        make_event("RUNNING", AT, run_id=run_id, seed=4, error="odd"),
    ]


def test_the_order_of_arrival_does_not_matter(store: Store) -> None:
    outcomes = []
    for number, order in enumerate(itertools.permutations(range(4))):
        run_id = f"01a1d96e-7fe0-7000-8000-{number:012d}"
        events = run_of_events(run_id)
        record(store, *(events[i] for i in order), events[order[0]])
        with store.reader() as conn:
            run = runs.runs_with_prefix(conn, run_id)[0]
            facets = runs.run_facets(conn, run.id)
        outcomes.append((run.state, run.started, run.ended, facets))
    assert all(outcome == outcomes[0] for outcome in outcomes)
    state, started, _, facets = outcomes[0]
    assert (state, started) == ("completed", AT)
    assert facets["backstory_training"]["seed"] == 3
    assert facets["backstory_trigger"]["v"] == 1
    assert facets["errorMessage"]["message"] == "odd"


def test_events_without_a_run_are_kept_and_change_no_run(store: Store) -> None:
    job = make_event()
    del job["run"]
    dataset = {"eventTime": "2026-11-14T09:41Z", "dataset": {"namespace": "n", "name": "d"}}
    assert record(store, job, dataset) == [None, None]
    assert told(store) == {}


def test_what_is_no_event_is_refused(store: Store) -> None:
    with pytest.raises(InvalidError, match="/run/runId"):
        record(store, make_event() | {"run": {}})
    with pytest.raises(InvalidError, match="not JSON"):
        record(store, make_event() | {"x": float("nan")})
    with pytest.raises(LimitExceededError, match="bytes"):
        record(store, make_event() | {"x": "y" * MAX_EVENT_BYTES})
    assert told(store) == {}


def corpus(folder: Path) -> list[dict[str, Any]]:
    with (folder / "MANIFEST.tsv").open(encoding="utf-8") as manifest:
        rows = list(csv.DictReader(manifest, delimiter="\t"))
    sound = [row["file"] for row in rows if row["minimal_identity"] == "ok"]
    return [json.loads((folder / name).read_text("utf-8")) for name in sound]


def record_all(store: Store, bodies: Iterable[dict[str, Any]]) -> dict[str, Any]:
    with unit(store) as opened:
        for body in bodies:
            record_event(opened, body, evidence=Evidence.IMPORTED)
    return told(store)


@pytest.mark.data
def test_events_of_others_say_the_same_in_any_order(
    store: Store, databases: Databases, shared_data: Path
) -> None:
    bodies = corpus(shared_data / "openlineage-events")
    forward = record_all(store, bodies)
    assert len(forward) == 36
    backward = Store(connect(databases.laid()), ticking())
    assert record_all(backward, [*reversed(bodies), *bodies]) == forward
    backward.close()
