"""What somebody said of a version is superseded; what was observed or imported is not."""

from typing import Any

import pytest

import backstory
from backstory.lineage.home import Home
from tests.lineage.homes import answer, backstory_error, feed, train

RIGHT, WRONG = "ab" * 32, "cd" * 32


@pytest.fixture
def told(home: Home) -> Home:
    """Version 3 of the ranker, as somebody told of it."""
    feed(home, 3)
    home.add_version(
        "ranker@3",
        trained_on=["thumbs/en@1", "thumbs/en@2"],
        artifact="s3://models/3",
        digest=WRONG,
    )
    return home


def upstream(home: Home, **more: Any) -> set[str]:
    return {node.key for node in home.trace("ranker@3", **more).graph.nodes} - {"ranker@3"}


def test_the_artifact_was_another(told: Home) -> None:
    before, then = told.model("ranker@3"), told.clock()
    made = told.amend("ranker@3", reason="a typing error", digest=RIGHT)
    moved = told.amend("ranker@3", reason="moved", artifact="s3://user:pw@archive/3")
    version = told.model("ranker@3").version
    assert (version.artifact_uri, version.digest) == ("s3://user:***@archive/3", RIGHT)
    assert [v.digest for v in told.models("ranker")] == [RIGHT]
    assert told.model("ranker@3", as_of=then) == before
    assert before.amended is None
    [change] = made.changes
    assert change.before == {"artifact": "s3://models/3", "digest": WRONG}
    assert change.after == {"artifact": "s3://models/3", "digest": RIGHT}
    assert moved.changes[0].before == change.after
    assert told.amendments("ranker@3") == [moved, made]
    assert told.verify().intact


def test_a_version_is_found_by_what_is_said_of_it_now(told: Home) -> None:
    artifact = told.settings.spool / "model.bin"
    artifact.write_text("weights")
    digest = told.lake.blobs.digest_of(artifact)
    with pytest.raises(backstory.NotFoundError):
        told.version_of(artifact)
    told.amend("ranker@3", reason="hashed", digest=digest)
    assert [found.ref for found in told.version_of(artifact)] == ["ranker@3"]
    told.amend("ranker@3", reason="hashed wrongly", digest=RIGHT)
    with pytest.raises(backstory.NotFoundError):
        told.version_of(artifact)


def test_it_was_trained_on_something_else(told: Home) -> None:
    then = told.clock()
    made = told.amend(
        "ranker@3", reason="the wrong list", trained_on=["thumbs/en@2", "thumbs/en@3"]
    )
    assert upstream(told) == {"thumbs/en@2", "thumbs/en@3"}
    assert upstream(told, as_of=then) == {"thumbs/en@1", "thumbs/en@2"}
    assert [(c.before, c.after) for c in made.changes] == [
        ({"trainedOn": "thumbs/en@1"}, None),
        (None, {"trainedOn": "thumbs/en@3"}),
    ]
    assert "ranker@3" in {pin.holder for pin in told.pins("thumbs/en@3")}
    found = told.trace("ranker@3")
    assert [mark.reason for mark in found.amended.values()] == ["the wrong list"]
    assert told.trace("ranker@3", as_of=then).amended == {}
    told.amend("ranker@3", reason="it was right", trained_on=["thumbs/en@1", "thumbs/en@2"])
    assert upstream(told) == {"thumbs/en@1", "thumbs/en@2"}
    told.amend("ranker@3", reason="nobody knows", trained_on=[])
    assert upstream(told) == set()
    assert told.verify().intact


def test_a_state_marks_what_was_amended(told: Home) -> None:
    answered = answer(told, "ranker@3", environment="prod")
    told.deploy("ranker@3", to="prod", share=0.4, at=told.clock().replace(year=2025))
    told.amend("ranker@3", reason="a typing error", digest=RIGHT)
    told.amend("env:prod#1", reason="all of it", share=1)
    state = told.state_of(f"int:{answered}")
    marked = {part.section.value: part.amended.reason for part in state.parts if part.amended}
    assert marked == {
        "version": "a typing error",
        "artifact": "a typing error",
        "deployment": "all of it",
    }


@pytest.mark.parametrize(
    ("ref", "more", "message"),
    [
        ("ranker@3", {"share": 0.5}, "has no --share"),
        ("ranker@3", {"never": True}, "has no --never"),
        ("ranker@3", {"digest": WRONG}, "recorded already"),
        ("ranker@3", {"trained_on": ["thumbs/en@2", "thumbs/en@1"]}, "recorded already"),
        ("ranker@3", {"digest": "abc"}, "is no digest"),
        ("ranker@3", {"artifact": "model.bin"}, "is no URI"),
        ("ranker@3", {"artifact": "s3://" + "x" * 2000}, "at most 2000"),
        ("ranker@3", {"trained_on": ["thumbs/en@9"]}, "no version 9"),
        ("ranker@3", {"trained_on": ["ranker@3"]}, "is not a slice"),
        ("ranker@4", {"digest": RIGHT}, "what was observed is not amended"),
        ("ranker@4", {"trained_on": ["thumbs/en@1"]}, "what was observed is not amended"),
        ("other@1", {"digest": RIGHT}, "recorded by another system"),
        ("other@2", {"digest": RIGHT}, "bytes are kept here"),
        ("env:prod#1", {"digest": RIGHT}, "a deployment has no --digest"),
    ],
)
def test_what_cannot_be_amended_of_a_version(
    told: Home, ref: str, more: dict[str, Any], message: str
) -> None:
    train(told, "thumbs/en@1")
    told.add_version("other@1", evidence="imported")
    told.add_version("other@2", artifact=told.settings.spool / "model.bin")
    told.deploy("ranker@3", to="prod")
    with pytest.raises(backstory.BackstoryError, match=message) as caught:
        told.amend(ref, reason="wrong", **more)
    assert not backstory_error(caught).endswith(("| ", "None"))
    assert told.amendments() == []
