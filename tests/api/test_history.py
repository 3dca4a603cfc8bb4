"""Versions that were trained elsewhere, and what processes really loaded, over GraphQL."""

from collections.abc import Iterator

import pytest

from tests.api import small_home
from tests.api.conftest import World


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("past")
    with small_home.make_home(folder, retrainings=2) as home:
        home.add_version(
            "ranker@9",
            trained_on=["thumbs/en@3"],
            artifact="s3://models/9",
            digest="ab" * 32,
            metrics={"ndcg": 0.5},
        )
        home.add_version("ranker@10")
        home.alias("ranker@9", "old")
        (folder / "model.bin").write_bytes(b"other")
        with home.retraining("ranker") as run:
            run.register(folder / "model.bin")
        home.load("ranker@11", environment="prod-eu")
        yield World(home=home, interaction=small_home.answer(home))


VERSION = """query($ref: String!) { modelVersion(ref: $ref) {
    evidence trainedOn { key } training trainingUnknownBefore trainedBy { key }
    artifact { kept digest uri bytes kind name } } }"""


def test_a_version_that_was_trained_elsewhere(past: World) -> None:
    assert past.ask(VERSION, ref="ranker@9")["modelVersion"] == {
        "evidence": "DECLARED",
        "trainedOn": [{"key": "thumbs/en@3"}],
        "training": {"metrics": {"ndcg": 0.5}},
        "trainingUnknownBefore": None,
        "trainedBy": None,
        "artifact": {
            "kept": False,
            "digest": "ab" * 32,
            "uri": "s3://models/9",
            "bytes": None,
            "kind": None,
            "name": None,
        },
    }


def test_a_version_of_which_nothing_is_known_says_so(past: World) -> None:
    told = past.ask(VERSION, ref="ranker@10")["modelVersion"]
    assert told["trainedOn"] == []
    assert told["trainingUnknownBefore"] is not None
    ours = past.ask(VERSION, ref="ranker@1")["modelVersion"]
    assert (ours["evidence"], ours["trainingUnknownBefore"]) == ("OBSERVED", None)
    assert ours["artifact"]["kept"]


def test_a_trace_says_how_the_training_is_known(past: World) -> None:
    query = """query($ref: String!) { trace(ref: $ref) {
        nodes { key trainingUnknownBefore } edges { cause effect kind evidence } } }"""
    told = past.ask(query, ref="ranker@9")["trace"]
    [edge] = [edge for edge in told["edges"] if edge["effect"] == "ranker@9"]
    assert (edge["cause"], edge["kind"], edge["evidence"]) == (
        "thumbs/en@3",
        "TRAINED_ON",
        "DECLARED",
    )
    [unknown] = past.ask(query, ref="ranker@10")["trace"]["nodes"]
    assert unknown["trainingUnknownBefore"] is not None


LOAD = "modelVersion { key } at host process environment asked digest"


def test_loads_of_a_version(past: World) -> None:
    query = f"""{{ modelVersion(ref: "ranker@11") {{ loads(first: 1) {{
        edges {{ node {{ {LOAD} }} }} pageInfo {{ hasNextPage }} }} }} }}"""
    told = past.ask(query)["modelVersion"]["loads"]
    [edge] = told["edges"]
    assert edge["node"]["modelVersion"] == {"key": "ranker@11"}
    assert (edge["node"]["environment"], edge["node"]["asked"]) == ("prod-eu", "ranker@11")
    assert not told["pageInfo"]["hasNextPage"]


def test_deployments_and_states_name_disagreements(past: World) -> None:
    query = f"""{{ deployments(environment: "prod-eu") {{ edges {{ node {{
        loads {{ {LOAD} }} disagreements }} }} }} }}"""
    *before, now = (edge["node"] for edge in past.ask(query)["deployments"]["edges"])
    assert all(not node["loads"] and not node["disagreements"] for node in before)
    [said] = now["disagreements"]
    assert "declared ranker@2, host" in said
    state = past.ask(
        f"""query($ref: String!) {{ state(ref: $ref) {{ ... on ModelState {{
        loads {{ {LOAD} }} disagreements }} }} }}""",
        ref=f"int:{past.interaction}",
    )["state"]
    assert [load["modelVersion"]["key"] for load in state["loads"]] == ["ranker@11"]
    assert any("is said to have answered" in said for said in state["disagreements"])
