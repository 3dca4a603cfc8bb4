from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import backstory
from backstory.lineage.graph import EdgeKind, Evidence
from backstory.lineage.home import Home
from backstory.lineage.interaction import PartStatus
from backstory.lineage.state import Section
from tests.lineage.homes import MORNING, answer, backstory_error, feed, link, train

SPRING = datetime(2025, 4, 1, tzinfo=UTC)
DIGEST = "ab" * 32
URI = "s3://models/ranker-3.bin"


def test_a_version_with_a_past_is_traced_to_its_snapshots(home: Home) -> None:
    feed(home, 2)
    added = home.add_version(
        "ranker@3", trained_on=["thumbs/en@1", "slice:thumbs/en@1"], artifact=URI, at=SPRING
    )
    assert (added.run, added.evidence, added.at) == (None, Evidence.DECLARED, SPRING)
    assert (added.artifact, added.artifact_uri) == (None, URI)
    found = home.trace("ranker@3")
    [edge] = found.graph.edges
    assert (edge.kind, edge.evidence) == (EdgeKind.TRAINED_ON, Evidence.DECLARED)
    assert {node.key for node in found.graph.nodes} == {"ranker@3", "thumbs/en@1"}
    assert found.training_unknown_before(found.graph.root) == found.known_since
    assert {n.key for n in home.impact("thumbs/en@1").graph.nodes} == {"thumbs/en@1", "ranker@3"}
    [pin] = home.pins("thumbs/en")
    assert (pin.holder, pin.strength) == ("ranker@3", "held")


def test_linked_tables_are_watched(home: Home, tmp_path: Path) -> None:
    link(home, tmp_path)
    home.add_version("ranker@1", trained_on=["clicks@0"], evidence="imported")
    [pin] = home.pins("clicks")
    assert (pin.holder, pin.strength) == ("ranker@1", "watched")
    [edge] = home.trace("ranker@1").graph.edges
    assert edge.evidence is Evidence.IMPORTED


def test_the_same_again_changes_nothing(home: Home, tmp_path: Path) -> None:
    feed(home)
    (tmp_path / "model.bin").write_text("weights")
    said: dict[str, Any] = {
        "trained_on": ["thumbs/en@1"],
        "artifact": tmp_path / "model.bin",
        "metrics": {"ndcg": 0.41},
        "params": {"depth": 4, "layers": (1, 2)},
        "run": "mlflow-77",
    }
    first = home.add_version("ranker@3", **said)
    with home.unit("probe", "home") as unit:
        before = unit.seq
    again = home.add_version("ranker@3", **said)
    assert home.add_version("ranker@3", **said, at=first.at) == again == first
    with home.unit("probe", "home") as unit:
        assert unit.seq == before
    assert first.training == {
        "metrics": {"ndcg": 0.41},
        "params": {"depth": 4, "layers": [1, 2]},
        "run": "mlflow-77",
    }
    assert len(home.pins("thumbs/en")) == 1


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"evidence": "imported"}, "another evidence level: declared, not imported"),
        ({"artifact": "s3://other"}, f"another artifact: {URI}, not s3://other"),
        ({"digest": "cd" * 32}, f"another digest: {DIGEST}, not cdcd"),
        ({"metrics": {"ndcg": 0.5}}, "another training"),
        ({"at": MORNING - timedelta(days=1)}, "another time"),
        ({"trained_on": ["thumbs/en@1"]}, "another training set: none, not thumbs/en@1"),
    ],
)
def test_a_taken_number_is_refused(home: Home, other: dict[str, Any], message: str) -> None:
    feed(home)
    home.add_version("ranker@3", artifact=URI, digest=DIGEST)
    with pytest.raises(backstory.ConflictError, match=message) as caught:
        home.add_version("ranker@3", **{"artifact": URI, "digest": DIGEST, **other})
    assert "free number" in caught.value.hint


def test_a_version_that_a_run_made_is_taken(home: Home) -> None:
    train(home)
    with pytest.raises(backstory.ConflictError, match="evidence level: observed"):
        home.add_version("ranker@1")


def test_numbers_need_no_order(home: Home) -> None:
    home.add_version("ranker@7")
    assert train(home) == "ranker@8"
    home.add_version("ranker@2")
    assert train(home) == "ranker@9"
    assert [v.number for v in home.models("ranker")] == [9, 8, 7, 2]
    feed(home)
    with pytest.raises(backstory.ConflictError, match="belongs to"):
        home.add_version("thumbs/en@1")


def test_a_file_is_kept_and_a_digest_has_to_fit(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_text("weights")
    with pytest.raises(backstory.InvalidError, match="has the digest"):
        home.add_version("ranker@1", artifact=path, digest=DIGEST)
    kept = home.add_version("ranker@1", artifact=str(path))
    assert kept.artifact is not None
    assert home.add_version("ranker@1", artifact=path, digest=kept.artifact) == kept
    assert home.load("ranker@1").read_text() == "weights"
    assert home.verify("ranker@1").intact


def test_what_lies_elsewhere_is_not_verified(home: Home, tmp_path: Path) -> None:
    feed(home)
    home.add_version("ranker@1", trained_on=["thumbs/en@1"], artifact=URI)
    found = home.verify("ranker@1")
    assert found.intact
    assert found.checked == ("ranker@1: its artifact is external, not verified", "thumbs/en@1")
    assert "1 external artifacts, not verified" in home.verify().checked
    with pytest.raises(backstory.NotFoundError, match=URI) as caught:
        home.load("ranker@1")
    assert "version-of" in caught.value.hint


def test_bytes_elsewhere_are_known_by_a_declared_digest(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "elsewhere.bin"
    path.write_text("weights")
    digest = home.lake.blobs.digest_of(path)
    home.add_version("ranker@1", artifact=URI, digest=digest)
    [found] = home.version_of(path, loaded=True)
    assert (found.ref, found.digest, found.artifact) == ("ranker@1", digest, None)
    assert [load.digest for load in home.loads("ranker@1")] == [digest]


def test_a_secret_in_a_uri_or_parameter_is_redacted(home: Home) -> None:
    added = home.add_version(
        "ranker@1", artifact="https://ada:hunter2@host/model?sig=abc", params={"password": "x"}
    )
    assert added.artifact_uri is not None
    assert "hunter2" not in added.artifact_uri
    assert added.training == {"params": {"password": "***"}}


def test_a_state_of_an_older_version(home: Home) -> None:
    feed(home)
    home.add_version("ranker@1", trained_on=["thumbs/en@1"], artifact=URI, at=SPRING)
    home.deploy("ranker@1", to="prod", at=SPRING)
    given = f"int:{answer(home, environment='prod')}"
    state = home.state_of(given)
    parts = {(part.section, part.status): part for part in state.parts}
    assert parts[Section.ARTIFACT, PartStatus.EXTERNAL].ref == URI
    assert parts[Section.TRAINING, PartStatus.DECLARED].ref == "thumbs/en@1"
    assert "not recorded before 2026" in parts[Section.TRAINING, PartStatus.MISSING].problem
    assert not state.disagreements
    checked = home.state_of(given, verify=True)
    assert checked.digest == state.digest
    assert {p.section for p in checked.parts if p.status is PartStatus.EXTERNAL} == {
        Section.ARTIFACT
    }


def test_a_state_of_a_version_of_which_little_is_known(home: Home) -> None:
    home.add_version("ranker@1")
    state = home.state_of(f"int:{answer(home)}")
    assert [(p.section, p.problem.split()[0]) for p in state.missing] == [
        (Section.ARTIFACT, "nobody"),
        (Section.TRAINING, "training"),
    ]
    summary = home.model("ranker@1")
    assert summary.training_unknown_before is not None


def test_a_new_version_with_declared_training_has_no_gap(home: Home) -> None:
    feed(home)
    home.add_version("ranker@1", trained_on=["thumbs/en@1"])
    summary = home.model("ranker@1")
    assert summary.training_unknown_before is None
    assert [snapshot.ref for snapshot in summary.trained_on] == ["thumbs/en@1"]
    found = home.trace("ranker@1")
    assert found.training_unknown_before(found.graph.root) is None


def test_a_walk_that_did_not_look_says_nothing(home: Home) -> None:
    feed(home)
    home.add_version("ranker@1", trained_on=["thumbs/en@1"])
    home.deploy("ranker@1", to="prod")
    for found in (home.trace("env:prod#1", depth=1), home.impact("ranker@1")):
        [version] = [node.id for node in found.graph.nodes if node.key == "ranker@1"]
        assert found.training_unknown_before(version) is None


def test_a_damaged_evidence_level_is_named(home: Home) -> None:
    added = home.add_version("ranker@1")
    with home.store.engine.begin() as conn:
        conn.exec_driver_sql("UPDATE model_version SET evidence = 'rumoured'")
    with pytest.raises(backstory.IntegrityError, match=f"version {added.id} is known"):
        home.trace("ranker@1")
    assert [finding.path for finding in home.verify().findings if "model_version" in finding.path]


def test_past_deployments_complete_the_story(home: Home) -> None:
    for number, month in ((1, 4), (2, 5)):
        at = datetime(2025, month, 1, tzinfo=UTC)
        home.add_version(f"ranker@{number}", at=at)
        home.deploy(f"ranker@{number}", to="prod", at=at)
    [then] = home.deployments("prod", at=datetime(2025, 4, 15, tzinfo=UTC))
    assert then.version == 1
    [now] = home.deployments("prod", at=MORNING)
    assert now.version == 2


@pytest.mark.parametrize(
    ("ref", "more", "message"),
    [
        ("ranker", {}, "names no version"),
        ("ranker@champion", {}, "names no version"),
        ("ranker@0", {}, "names no version"),
        ("slice:ranker@1", {}, "names no version"),
        ("run:019a8f", {}, "names no version"),
        ("ranker@1000000001", {}, "at most 1,000,000,000"),
        ("ranker@1", {"evidence": "observed"}, "no evidence"),
        ("ranker@1", {"digest": "abc"}, "no digest"),
        ("ranker@1", {"artifact": "s3://" + "a" * 2000}, "at most 2000"),
        ("ranker@1", {"artifact": "absent.bin"}, "no file"),
        ("ranker@1", {"trained_on": ["nothing@1"]}, "no slice or model"),
        ("ranker@1", {"trained_on": ["thumbs/en@1"] * 1001}, "at most 1000"),
        ("ranker@1", {"metrics": {"ndcg": float("nan")}}, "finite"),
        ("ranker@1", {"params": {"rate": float("inf")}}, "not JSON"),
        ("ranker@1", {"params": {"rate": object()}}, "not JSON"),
        ("ranker@1", {"run": "two\nlines"}, "1 to 200"),
        ("ranker@1", {"at": datetime(1999, 1, 1, tzinfo=UTC)}, "before 2000"),
        ("ranker@1", {"at": datetime(2027, 1, 1, tzinfo=UTC)}, "not come yet"),
    ],
)
def test_wrong_versions(home: Home, ref: str, more: dict[str, Any], message: str) -> None:
    with pytest.raises(backstory.BackstoryError, match=message) as caught:
        home.add_version(ref, **more)
    assert backstory_error(caught)
    assert not home.models()
