"""Every field answers from the same use cases as the command line."""

import pytest

from backstory.lineage.graph import EdgeKind
from backstory.lineage.times import time_text
from tests.api.conftest import World

TRACE = """
query Trace($ref: String!) {
  trace(ref: $ref) {
    root direction truncated frontier knownSince
    nodes { kind key label distance entity { __typename id key } }
    edges { cause effect kind evidence run rows share }
  }
}
"""


def test_a_trace_is_the_use_cases_trace(world: World) -> None:
    told = world.ask(TRACE, ref="ranker@2")["trace"]
    found = world.home.trace("ranker@2")
    assert told["root"] == "ranker@2"
    assert told["direction"] == "UPSTREAM"
    assert [(n["key"], n["distance"]) for n in told["nodes"]] == [
        (node.key, node.distance) for node in found.graph.nodes
    ]
    assert len(told["edges"]) == len(found.graph.edges)
    assert {edge["evidence"] for edge in told["edges"]} <= {"OBSERVED", "DECLARED"}
    assert found.known_since is not None
    assert told["knownSince"] == time_text(found.known_since)


def test_every_end_of_an_edge_is_a_node(world: World) -> None:
    told = world.ask(TRACE, ref="env:prod-eu#2")["trace"]
    keys = {node["key"] for node in told["nodes"]}
    assert {end for edge in told["edges"] for end in (edge["cause"], edge["effect"])} <= keys
    assert {edge["kind"] for edge in told["edges"]} <= {kind.name for kind in EdgeKind}


def test_a_bound_that_was_met_is_said(world: World) -> None:
    told = world.ask('{ trace(ref: "ranker@2", depth: 1) { truncated frontier } }')["trace"]
    assert told["truncated"]
    assert [key.partition(":")[0] for key in told["frontier"]] == ["run"]


def test_an_impact_counts_answers(world: World) -> None:
    nodes = world.ask('{ impact(ref: "thumbs/en@3") { nodes { key answers } } }')["impact"]["nodes"]
    assert {node["key"]: node["answers"] for node in nodes}["ranker@1"] == 1


def test_a_path_is_found_in_either_order(world: World) -> None:
    query = "query($a: String!, $b: String!) { path(src: $a, dst: $b) { edges { cause effect } } }"
    there = world.ask(query, a="thumbs/en@3", b="env:prod-eu#1")["path"]["edges"]
    assert there[0]["cause"] == "thumbs/en@3"
    assert there == world.ask(query, a="env:prod-eu#1", b="thumbs/en@3")["path"]["edges"]
    assert world.ask(query, a="ranker@1", b="ranker@2")["path"] is None


def test_each_thing_is_found_by_its_id_and_its_key(world: World) -> None:
    node = "query($id: ID!) { node(id: $id) { __typename id ... on Entity { key } } }"
    entity = "query($ref: String!) { entity(ref: $ref) { __typename id key } }"
    seen = set()
    for placed in world.ask(TRACE, ref="env:prod-eu#2")["trace"]["nodes"]:
        assert world.ask(node, id=placed["entity"]["id"])["node"] == placed["entity"]
        assert world.ask(entity, ref=placed["key"])["entity"] == placed["entity"]
        seen.add(placed["entity"]["__typename"])
    assert seen == {"Deployment", "ModelVersion", "Run", "Snapshot", "Component"}


@pytest.mark.parametrize(
    ("ref", "typename"),
    [
        ("thumbs/en", "Slice"),
        ("slice:thumbs/en", "Slice"),
        ("ranker", "Model"),
        ("thumbs/en@3", "Snapshot"),
    ],
)
def test_refs_name_wholes_too(world: World, ref: str, typename: str) -> None:
    query = "query($ref: String!) { entity(ref: $ref) { __typename } }"
    assert world.ask(query, ref=ref)["entity"]["__typename"] == typename


@pytest.mark.parametrize(
    "field",
    [
        'entity(ref: "nobody@7") { key }',
        'entity(ref: "thumbs/en@1") { key }',
        'slice(name: "nobody") { key }',
        'slice(name: "ranker") { key }',
        'sliceVersion(ref: "thumbs/en@99") { key }',
        'snapshot(ref: "thumbs/en@1") { key }',
        'model(name: "thumbs/en") { key }',
        'modelVersion(ref: "ranker@99") { key }',
        'run(ref: "run:ffffffff") { key }',
    ],
)
def test_what_does_not_exist_is_null(world: World, field: str) -> None:
    assert set(world.ask(f"{{ {field} }}").values()) == {None}


def test_a_question_about_nothing_has_the_hint(world: World) -> None:
    [error] = world.errors('{ trace(ref: "rankr@1") { root } }')
    assert error["extensions"] == {"code": "NOT_FOUND", "hint": "did you mean 'ranker'?"}
    assert error["path"] == ["trace"]


def test_a_model_tells_its_whole_story(world: World) -> None:
    [model] = world.ask("""{ models { name versions(first: 5) { edges { node {
        version aliases registeredAt artifact { kind name bytes digest } replay
        components { kind name version digest }
        deployments { environment number mode intervals { share servedFrom servedUntil } }
        trainedBy { state job model startedAt endedAt trigger { kind reason range { rows } }
            reads { role filter rows columns snapshot { key slice { name } } }
            made { key } facets { key body } }
    } } } } }""")["models"]
    assert model["name"] == "ranker"
    second, first = (edge["node"] for edge in model["versions"]["edges"])
    assert (second["version"], first["version"], first["aliases"]) == (2, 1, ["champion"])
    assert first["artifact"]["bytes"] == len(b"weights")
    assert first["components"][0]["name"] == "greeting"
    [before], [now] = (v["deployments"][0]["intervals"] for v in (first, second))
    assert before["servedUntil"] == now["servedFrom"]
    run = first["trainedBy"]
    assert (run["state"], run["trigger"]["reason"]) == ("completed", "asked for")
    [read] = run["reads"]
    assert (read["filter"], read["rows"]) == ("event_id <> 'e1-0'", 29)
    assert read["snapshot"]["slice"]["name"] == "thumbs/en"
    assert run["made"] == [{"key": "ranker@1"}]
    assert "backstory_training" in {facet["key"] for facet in run["facets"]}


def test_a_slice_tells_its_history_and_uses(world: World) -> None:
    told = world.ask("""{ slice(name: "thumbs/en") { rows lastVersion flavour
        history(first: 2) { edges { node { pinned runs
            commit { version source offset rows contractVersion operation logDigest }
            snapshot { key manifestDigest rows files bytes pins { holder strength reason }
                readBy { run { key } } } } } } } }""")["slice"]
    assert (told["rows"], told["lastVersion"], told["flavour"]) == (30, 3, "managed")
    newest, older = (edge["node"] for edge in told["history"]["edges"])
    assert (newest["commit"]["version"], newest["commit"]["offset"]) == (3, 3)
    assert newest["pinned"]
    assert sorted(newest["runs"]) == sorted(r["run"]["key"] for r in newest["snapshot"]["readBy"])
    assert {pin["strength"] for pin in newest["snapshot"]["pins"]} == {"HELD"}
    assert (older["snapshot"], older["runs"], older["pinned"]) == (None, [], False)


def test_interaction_tables_are_listed_when_asked_for(world: World) -> None:
    query = "query($all: Boolean!) { slices(interactions: $all) { name } }"
    assert world.ask(query, all=False)["slices"] == [{"name": "thumbs/en"}]
    assert {"name": "_interactions/ranker"} in world.ask(query, all=True)["slices"]


def test_a_diff_counts_files_commits_and_sources(world: World) -> None:
    told = world.ask("""{ diff(base: "thumbs/en@1", head: "thumbs/en@3") {
        base { key snapshot { key } commit { version } } head { key snapshot { key } }
        rowsAdded rowsRemoved filesKept truncated schemaChanges { column before after }
        filesAdded(first: 1) { edges { node { path rows bytes digest } } pageInfo { hasNextPage } }
        filesRemoved { edges { node { path } } }
        commits { edges { node { version } } } sources { source commits rows } } }""")["diff"]
    assert (told["base"]["key"], told["base"]["snapshot"]) == ("thumbs/en@1", None)
    assert told["head"]["snapshot"] == {"key": "thumbs/en@3"}
    assert (told["rowsAdded"], told["rowsRemoved"], told["filesKept"]) == (20, 0, 1)
    assert told["filesAdded"]["pageInfo"]["hasNextPage"]
    assert [edge["node"]["version"] for edge in told["commits"]["edges"]] == [3, 2]
    assert told["sources"] == [{"source": "app", "commits": 2, "rows": 20}]


def test_a_row_diff_counts_rows_by_column_and_source(world: World) -> None:
    told = world.ask("""{ rowDiff(base: "thumbs/en@3", head: "thumbs/en@1") {
        base { key } head { key } added removed changed byColumn { column changed } truncated
        bySource { value added removed changedFrom changedTo } bySignal { value } } }""")["rowDiff"]
    assert (told["base"]["key"], told["head"]["key"]) == ("thumbs/en@3", "thumbs/en@1")
    assert (told["added"], told["removed"], told["changed"]) == (0, 20, 0)
    assert told["bySource"] == [
        {"value": "app", "added": 0, "removed": 20, "changedFrom": 0, "changedTo": 0}
    ]
    assert (told["byColumn"], told["bySignal"], told["truncated"]) == ([], [], False)


def test_a_row_diff_that_reads_much_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backstory.lineage.comparing_rows.MAX_ROWS_COUNTED", 19)
    query = '{ rowDiff(base: "thumbs/en@1", head: "thumbs/en@3") { added } }'
    [error] = world.errors(query)
    assert "20 rows have to be read; at most 19 are" in error["message"]


def test_a_profile_tells_counts_and_no_word_of_a_row(world: World) -> None:
    told = world.ask("""{ sliceVersion(ref: "thumbs/en@2") { profile { key rows files filesRead
        damaged columns { name kind nulls notFinite distinct sampled histogram { counts } } } }
        snapshot(ref: "thumbs/en@3") { profile { key rows } } }""")
    profile = told["sliceVersion"]["profile"]
    assert (profile["key"], profile["rows"], profile["filesRead"]) == ("thumbs/en@2", 20, 0)
    columns = {column["name"]: column for column in profile["columns"]}
    assert (columns["event_id"]["distinct"], columns["event_id"]["kind"]) == (20, "TEXT")
    assert (columns["user"]["distinct"], columns["user"]["kind"]) == (None, "MASKED")
    assert told["snapshot"]["profile"] == {"key": "thumbs/en@3", "rows": 30}


def test_drift_counts_what_is_new_or_missing(world: World) -> None:
    told = world.ask("""{ drift(base: "ranker@1", head: "thumbs/en@2..3") {
        base { key rows } head { key rows }
        columns { column kind psi js ks new missing baseNulls headValues } } }""")["drift"]
    assert told["head"] == {"key": "thumbs/en@2..3", "rows": 20}
    [source] = told["columns"]
    assert (source["column"], source["js"], source["ks"]) == ("_source", 0, None)
    assert (source["new"], source["missing"]) == (0, 0)


def test_deployments_are_told_by_place_and_instant(world: World) -> None:
    query = """query($at: DateTime) { deployments(environment: "prod-eu", at: $at) { edges { node {
        share servedFrom deployment { key modelVersion { key } } } } } }"""
    ever = [edge["node"] for edge in world.ask(query)["deployments"]["edges"]]
    assert [node["deployment"]["modelVersion"]["key"] for node in ever] == ["ranker@1", "ranker@2"]
    [then] = world.ask(query, at=ever[0]["servedFrom"])["deployments"]["edges"]
    assert then["node"] == ever[0]


def test_runs_can_be_asked_for_by_a_beginning_of_their_id(world: World) -> None:
    [newest, _] = world.ask('{ runs(model: "ranker") { edges { node { key runId } } } }')["runs"][
        "edges"
    ]
    query = "query($ref: String!) { run(ref: $ref) { key } }"
    for ref in (newest["node"]["key"], newest["node"]["runId"]):
        assert world.ask(query, ref=ref)["run"] == {"key": newest["node"]["key"]}


def test_the_home_says_since_when_it_knows(world: World) -> None:
    told = world.ask("{ home { knownSince revision version } }")["home"]
    assert told["knownSince"] is not None
    assert told["version"]


STATE = """
query State($ref: String!, $verify: Boolean! = false) {
  state(ref: $ref, verify: $verify) {
    __typename
    ... on ModelState {
      digest disagreements
      interaction { key at model version environment turn answeredBy latencyMs variant }
      modelVersion { key }
      parts { section kind ref digest detail status problem }
      missing { ref }
    }
    ... on Error { message hint }
  }
}
"""


def test_a_state_is_the_use_cases_state(world: World) -> None:
    ref = f"int:{world.interaction}"
    told = world.ask(STATE, ref=ref, verify=True)["state"]
    found = world.home.state_of(ref)
    assert told["digest"] == found.digest
    assert told["modelVersion"] == {"key": "ranker@1"}
    assert (told["interaction"]["key"], told["interaction"]["turn"]) == (ref, 2)
    assert [part["ref"] for part in told["parts"]] == [part.ref for part in found.parts]
    by_section = {part["section"]: part for part in told["parts"]}
    assert by_section["ARTIFACT"]["status"] == by_section["TRAINING"]["status"] == "VERIFIED"
    assert by_section["TRIGGER"]["detail"] == "asked for"
    assert by_section["PART"]["detail"] is None


def test_an_interaction_is_found_by_what_others_call_it(world: World) -> None:
    told = world.ask(STATE, ref="ext:zendesk:8812")["state"]
    assert told["interaction"]["key"] == f"int:{world.interaction}"


def test_the_nearest_interaction_has_its_state(world: World) -> None:
    query = """
    query Near($near: Near, $ref: String) {
      state(near: $near, ref: $ref) {
        ... on ModelState { interaction { key aheadSeconds } linked { slice evidence unmapped } }
        ... on Error { message }
      }
    }
    """
    answered = world.home.state_of(f"int:{world.interaction}").interaction
    near = {"model": "ranker", "environment": answered.environment, "at": time_text(answered.at)}
    told = world.ask(query, near=near)["state"]
    assert told == {
        "interaction": {"key": f"int:{world.interaction}", "aheadSeconds": None},
        "linked": None,
    }
    nowhere = world.ask(query, near={**near, "environment": "mars"})["state"]
    assert "in mars is known" in nowhere["message"]


def test_an_interaction_that_nobody_recorded_is_an_outcome(world: World) -> None:
    told = world.ask(STATE, ref="int:ffffffff")["state"]
    assert told["__typename"] == "InteractionNotFound"
    assert "int:ffffffff" in told["message"]


def test_pins_with_their_life_and_their_bytes(world: World) -> None:
    query = """query($after: String) { pins(slice: "thumbs/en", first: 1, after: $after) {
        edges { node { pinId holder reason strength until retention classGiven inUse
            bytes bytesAlone snapshot { key } } }
        pageInfo { hasNextPage endCursor } } }"""
    page = world.ask(query)["pins"]
    pages = [page]
    while page["pageInfo"]["hasNextPage"]:
        page = world.ask(query, after=page["pageInfo"]["endCursor"])["pins"]
        pages.append(page)
    told = [edge["node"] for page in pages for edge in page["edges"]]
    found = world.home.pin_sizes("thumbs/en")
    assert [pin["pinId"] for pin in told] == [size.pinned.pin_id for size in found]
    for pin, size in zip(told, found, strict=True):
        assert (pin["bytes"], pin["bytesAlone"]) == (size.size, size.alone)
        assert pin["retention"] == size.pinned.retention == "standard"
        assert pin["inUse"] == list(size.pinned.in_use)
        assert pin["snapshot"]["key"] == size.pinned.snapshot.ref
        assert (pin["until"], pin["classGiven"]) == (None, False)


def test_the_pins_of_a_slice_that_is_none(world: World) -> None:
    [error] = world.errors('{ pins(slice: "thumb") { edges { cursor } } }')
    assert "no slice or model is called 'thumb'" in error["message"]
