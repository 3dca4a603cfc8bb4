import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backstory.lake.snapshot import Snapshot
from backstory.lineage.capturing import Code
from backstory.lineage.openlineage.events import MAX_VALUE_LENGTH, dataset_name, plain
from backstory.lineage.openlineage.parse import RunEvent, parse_event
from tests.lineage.openlineage.described import (
    AT,
    DIGEST,
    RUN_ID,
    make_event,
    make_input,
    make_output,
    make_snapshot,
)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return make_snapshot(tmp_path_factory.mktemp("lake"))


def test_importing_costs_nothing() -> None:
    heavy = ("openlineage", "attr", "requests", "pyarrow", "deltalake", "duckdb", "sqlalchemy")
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from backstory.lineage.openlineage import events, parse, receivers, transport\n"
        "receivers.read_receivers({'type': 'http', 'url': 'http://h'}, Path())\n"
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"


def test_a_start_tells_why_and_with_what() -> None:
    event = make_event("START")
    assert (event["eventType"], event["eventTime"]) == ("START", "2026-11-24T09:41:07.000005Z")
    assert event["run"]["runId"] == RUN_ID
    assert event["job"]["namespace"] == "backstory"
    assert event["job"]["name"] == "retrain.ranker"
    assert event["job"]["facets"]["jobType"]["jobType"] == "TRAINING"
    assert event["job"]["facets"]["sourceCodeLocation"]["version"] == "0" * 40
    assert (event["inputs"], event["outputs"]) == ([], [])
    facets = event["run"]["facets"]
    assert facets["backstory_trigger"]["range"]["last"] == 58
    assert facets["processing_engine"]["version"] == "3.11.7"
    training = facets["backstory_training"]
    assert training["code"]["patchDigest"] is not None
    assert training["code"]["command"] == ["train.py", "--lr", "0.1"]
    assert training["environment"]["lockDigest"] == DIGEST
    assert training["dataset"] == {"rows": 7, "digest": DIGEST}
    assert {p["key"]: p["value"] for p in facets["executionParameters"]["parameters"]} == {
        "lr": "0.1",
        "layers": "[64, 32]",
        "name": "big",
    }


def test_an_input_names_its_exact_version_and_bytes(snapshot: Snapshot) -> None:
    reads = (make_input(snapshot), make_input(snapshot, role="test", filter="age > 3", rows_read=2))
    (given,) = make_event(inputs=reads)["inputs"]
    assert (given["namespace"], given["name"]) == ("file", "/srv/lake/thumbs__en")
    assert given["facets"]["version"]["datasetVersion"] == "1"
    assert given["facets"]["storage"]["storageLayer"] == "delta"
    bytes_ = given["facets"]["backstory_deltaSnapshot"]
    assert (bytes_["slice"], bytes_["version"], bytes_["digest"], bytes_["numRecords"]) == (
        "thumbs/en",
        1,
        snapshot.digest,
        10,
    )
    assert bytes_["tableId"] == snapshot.manifest.table_id
    assert bytes_["commitTimestamp"] == "2026-11-24T09:41:00Z"
    names = [field["name"] for field in given["facets"]["schema"]["fields"]]
    assert names == snapshot.schema.names
    assert given["inputFacets"]["inputStatistics"]["rowCount"] == 9
    assert given["inputFacets"]["backstory_selection"]["reads"] == [
        {"role": "train", "rows": 7},
        {"role": "test", "filter": "age > 3", "rows": 2},
    ]


def test_an_output_is_a_model_with_its_version_and_artifact() -> None:
    (made,) = make_event(output=make_output())["outputs"]
    assert (made["namespace"], made["name"]) == ("backstory", "ranker")
    assert made["facets"]["version"]["datasetVersion"] == "7"
    assert made["facets"]["datasetType"]["datasetType"] == "MODEL"
    model = made["facets"]["backstory_model"]
    assert (model["artifactDigest"], model["artifactKind"]) == (DIGEST, "tree")
    assert model["components"] == [{"kind": "prompt", "name": "greeting", "version": "4"}]


def test_a_failure_says_its_message() -> None:
    error = make_event("FAIL", error="ValueError: no rows")["run"]["facets"]["errorMessage"]
    assert error["message"] == "ValueError: no rows"


def test_what_is_not_known_is_left_out() -> None:
    event = make_event(
        trigger=None,
        code=None,
        environment=None,
        params={},
        seed=None,
        dataset_digest=None,
        command=None,
        abandoned=None,
    )
    assert set(event["run"]["facets"]) == {"backstory_training"}
    assert set(event["job"]["facets"]) == {"jobType"}
    training = event["run"]["facets"]["backstory_training"]
    assert not {"seed", "dataset", "code", "environment"} & training.keys()


def test_our_own_reader_understands_our_own_events(snapshot: Snapshot) -> None:
    body = make_event(inputs=(make_input(snapshot),), output=make_output())
    event = parse_event(json.loads(json.dumps(body)))
    assert isinstance(event, RunEvent)
    assert (event.at, event.run_id, event.warnings) == (AT, RUN_ID, ())
    assert [i.version for i in event.inputs] == ["1"]
    assert [o.version for o in event.outputs] == ["7"]


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("/srv/lake/t", ("file", "/srv/lake/t")),
        ("file:///srv/lake/t", ("file", "/srv/lake/t")),
        ("s3://bucket/lake/t/", ("s3://bucket", "lake/t")),
        ("hdfs://host:8020/t", ("hdfs://host:8020", "t")),
    ],
)
def test_datasets_are_named_as_openlineage_does(uri: str, expected: tuple[str, str]) -> None:
    assert dataset_name(uri) == expected


PLAIN: dict[str, tuple[Any, Any]] = {
    "numpy float": (np.float32(0.5), 0.5),
    "numpy integer": (np.int64(3), 3),
    "numpy bool": (np.bool_(1), True),
    "numpy zero dimensional": (np.array(2), 2),
    "decimal": (Decimal("0.10"), "0.10"),
    "path": (Path("a/b"), "a/b"),
    "not a number": (float("nan"), "nan"),
    "infinite": (np.float64("inf"), "inf"),
    "tuple": ((1, (2.5, None)), [1, [2.5, "null"]]),
    "falsy": ([0, False, "", []], [0, False, "", []]),
    "empty": ([{}], ["{}"]),
    "mapping": ({1: {"x": np.float32(1)}}, {"1": {"x": 1.0}}),
    "long": ("x" * 5000, "x" * (MAX_VALUE_LENGTH - 1) + "…"),
}


@pytest.mark.parametrize(("value", "expected"), PLAIN.values(), ids=PLAIN)
def test_values_become_plain_json(value: Any, expected: Any) -> None:
    assert plain(value) == expected
    event = make_event(params={"p": value})
    assert "non-serializable" not in json.dumps(event)
    assert event["run"]["facets"]["backstory_training"]["params"]["p"] == expected


@pytest.mark.parametrize(
    ("remote", "url"),
    [
        ("https://git.test/ranker.git", "https://git.test/ranker.git"),
        ("git@git.test:team/ranker.git", "ssh://git@git.test/team/ranker.git"),
        ("/srv/git/the ranker", "file:///srv/git/the%20ranker"),
        ("../ranker", None),
    ],
)
def test_a_repository_is_told_as_a_uri(remote: str, url: str | None) -> None:
    code = Code(commit="0" * 40, repository=remote)
    event = make_event(code=code)
    location = event["job"]["facets"].get("sourceCodeLocation")
    assert (location and location["url"]) == url
    assert event["run"]["facets"]["backstory_training"]["code"]["repository"] == remote


def test_objects_that_print_a_secret_do_not_tell_it() -> None:
    class Url:
        def __str__(self) -> str:
            return "postgresql://app:hunter2@db/x"

    assert plain(Url()) == "postgresql://app:***@db/x"
