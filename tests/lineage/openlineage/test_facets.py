"""Our facets are described by published schemas, which never change, and events keep to them."""

import hashlib
import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from backstory.lake.snapshot import Snapshot
from backstory.lineage.openlineage.building import FACETS_VERSION, schema_url
from backstory.lineage.trigger import Manual, Observation, evaluate
from tests.lineage.openlineage.described import make_event, make_input, make_output, make_snapshot

GOLDEN = Path(__file__).parent / "golden" / "facets.sha256"  # as sha256sum writes it
PUBLISHED = {
    path: digest for digest, path in map(str.split, GOLDEN.read_text("utf-8").splitlines())
}
FOLDER = Path(str(files("backstory.lineage.openlineage") / "facets"))
NOW = {Path(path).stem for path in PUBLISHED if path.startswith(f"{FACETS_VERSION}/")}

CORE = "https://openlineage.io/spec/2-0-2/OpenLineage.json"
BASE = {"type": "object", "required": ["_producer", "_schemaURL"]}
CORE_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$defs": dict.fromkeys(("DatasetFacet", "InputDatasetFacet", "RunFacet"), BASE),
}


def read_schema(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((FOLDER / FACETS_VERSION / f"{name}.json").read_bytes())
    return schema


def validator(name: str) -> Draft202012Validator:
    schema = read_schema(name)
    registry: Registry[Any] = Registry().with_resource(CORE, Resource.from_contents(CORE_SCHEMA))
    return Draft202012Validator(schema["$defs"][name], registry=registry)


def own_facets(event: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Facets of ours with the names of their schemas."""
    groups = [event["run"]["facets"], event["job"]["facets"]]
    for dataset in (*event["inputs"], *event["outputs"]):
        groups += [dataset.get(k, {}) for k in ("facets", "inputFacets", "outputFacets")]
    for facets in groups:
        for key, facet in facets.items():
            if key.startswith("backstory_"):
                yield facet["_schemaURL"].rpartition("/")[2], facet


def properties(schema: dict[str, Any], above: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property of a schema, however deep, with where it stands."""
    for name, found in schema.get("properties", {}).items():
        yield above + name, found
        yield from properties(found.get("items", found), f"{above}{name}.")


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return make_snapshot(tmp_path_factory.mktemp("lake"))


def test_every_facet_of_a_full_event_keeps_to_its_schema(snapshot: Snapshot) -> None:
    event = make_event(inputs=(make_input(snapshot, columns=["age"]),), output=make_output())
    found = dict(own_facets(event))
    assert set(found) == NOW
    for name, facet in found.items():
        assert facet["_schemaURL"] == schema_url(name)
        validator(name).validate(facet)


def test_every_facet_of_a_bare_event_keeps_to_its_schema(snapshot: Snapshot) -> None:
    event = make_event(
        inputs=(make_input(snapshot, at=None, rows_read=None),),
        output=make_output(components=()),
        trigger=evaluate(Manual(), Observation()),
        code=None,
        environment=None,
        params={},
        metrics={"loss": float("nan")},
        seed=None,
        dataset_digest=None,
    )
    for name, facet in own_facets(event):
        validator(name).validate(facet)


def test_a_schema_refuses_what_it_does_not_describe(snapshot: Snapshot) -> None:
    (given,) = make_event(inputs=(make_input(snapshot),))["inputs"]
    facet = given["facets"]["backstory_deltaSnapshot"]
    check = validator("BackstoryDeltaSnapshotDatasetFacet")
    assert check.is_valid(facet)
    assert not check.is_valid(facet | {"digest": "short"})
    assert not check.is_valid({k: v for k, v in facet.items() if k != "tableId"})
    assert not check.is_valid({k: v for k, v in facet.items() if k != "_producer"})


@pytest.mark.parametrize("name", sorted(NOW))
def test_a_schema_is_one_and_says_where_it_lies(name: str) -> None:
    schema = read_schema(name)
    Draft202012Validator.check_schema(schema)
    assert schema_url(name).startswith(f"{schema['$id']}#/$defs/")
    assert name in schema["$defs"]


@pytest.mark.parametrize("name", sorted(NOW))
def test_every_property_says_what_it_means(name: str) -> None:
    own = read_schema(name)["$defs"][name]["allOf"][-1]
    assert [where for where, found in properties(own) if not found.get("description")] == []


def test_a_published_schema_never_changes() -> None:
    """A facet that says more gets a new version beside this one."""
    lying = {p.relative_to(FOLDER).as_posix(): p for p in FOLDER.rglob("*.json")}
    digests = {path: hashlib.sha256(p.read_bytes()).hexdigest() for path, p in lying.items()}
    assert digests == PUBLISHED
