"""What was amended is told on the things that it is about."""

from pathlib import Path

from tests.api import small_home
from tests.api.conftest import World


def test_amendments_stand_on_what_they_are_about(tmp_path: Path) -> None:
    with small_home.make_home(tmp_path, retrainings=2) as home:
        deployed = home.amend("env:prod-eu#2", reason="a trial", share=0.5)
        home.amend("ranker@champion", reason="a slip", version="ranker@2")
        found = World(home=home, interaction="").ask(
            """{ deployment: entity(ref: "env:prod-eu#2") { ... on Deployment {
                    amendments { at actor reason entry changes { of before after } } } }
                other: entity(ref: "env:prod-eu#1") { ... on Deployment {
                    amendments { reason } } }
                model(name: "ranker") { amendments { reason changes { of before after } } } }"""
        )
        home.add_version("ranker@9", artifact="s3://models/9")
        home.amend("ranker@9", reason="moved", artifact="s3://archive/9")
        version = World(home=home, interaction="").ask(
            """{ modelVersion(ref: "ranker@9") { artifact { uri }
                amendments { reason changes { before after } } } }"""
        )["modelVersion"]
    assert version == {
        "artifact": {"uri": "s3://archive/9"},
        "amendments": [
            {
                "reason": "moved",
                "changes": [
                    {
                        "before": {"artifact": "s3://models/9", "digest": None},
                        "after": {"artifact": "s3://archive/9", "digest": None},
                    }
                ],
            }
        ],
    }
    [change] = deployed.changes
    [told] = found["deployment"]["amendments"]
    assert (told["actor"], told["reason"]) == (deployed.actor, "a trial")
    assert told["entry"] == deployed.seq
    assert told["changes"] == [
        {"of": "env:prod-eu#2", "before": change.before, "after": change.after}
    ]
    assert found["other"] == {"amendments": []}
    [moved] = found["model"]["amendments"]
    assert moved["reason"] == "a slip"
    assert [c["after"]["version"] for c in moved["changes"]] == ["ranker@2"]


def test_a_deployment_that_did_not_happen_is_still_a_thing(tmp_path: Path) -> None:
    with small_home.make_home(tmp_path, retrainings=1) as home:
        home.amend("env:prod-eu#1", reason="a trial", never=True)
        found = World(home=home, interaction="").ask(
            """{ entity(ref: "env:prod-eu#1") { key ... on Deployment {
                    intervals { servedFrom servedUntil } modelVersion { key } } }
                impact(ref: "ranker@1") { nodes { entity { key } } } }"""
        )
    [interval] = found["entity"]["intervals"]
    assert interval["servedFrom"] == interval["servedUntil"]
    assert {"entity": {"key": "env:prod-eu#1"}} in found["impact"]["nodes"]
