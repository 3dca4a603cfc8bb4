import random
from pathlib import Path

import pytest

import backstory
from backstory.lineage.home import Home
from backstory.lineage.interaction import PartStatus
from backstory.lineage.state import ModelState, Section
from tests.lineage.homes import answer, backstory_error, feed, train

FLIPS = 12


def sections(state: ModelState, status: PartStatus) -> set[str]:
    return {part.section.value for part in state.parts if part.status is status}


def test_a_state_says_its_parts_and_what_is_missing(home: Home) -> None:
    feed(home)
    train(home, "thumbs/en")
    home.deploy("ranker@1", to="prod")
    given = answer(
        home,
        environment="prod",
        parts=[
            backstory.Part(kind="chunk", ref="faq#3", digest="ab" * 32, detail='{"score": 0.5}'),
            backstory.Part(kind="hosted_model", ref="fp_1", status=PartStatus.EXTERNAL),
        ],
    )
    state = home.state_of(f"int:{given}")
    assert state.version == "ranker@1"
    assert state.disagreements == ()
    refs = {part.ref for part in state.parts}
    assert {"ranker@1", "env:prod#1", "thumbs/en@1", "faq#3", "fp_1"} <= refs
    assert sections(state, PartStatus.MISSING) == {Section.ENVIRONMENT.value, Section.CODE.value}
    assert sections(state, PartStatus.EXTERNAL) == {Section.PART.value}
    assert home.state_of(f"int:{given[:13]}").digest == state.digest


def test_verification_changes_no_digest(home: Home) -> None:
    feed(home)
    train(home, "thumbs/en")
    given = answer(home)
    state = home.state_of(f"int:{given}")
    checked = home.state_of(f"int:{given}", verify=True)
    assert checked.digest == state.digest
    assert {Section.ARTIFACT.value, Section.TRAINING.value} <= sections(
        checked, PartStatus.VERIFIED
    )


def test_a_damaged_file_is_named_and_never_believed(home: Home) -> None:
    feed(home)
    train(home)
    given = answer(home, external_id="zendesk:1")
    [path] = (home.settings.lake / "_interactions__ranker").glob("part-*")
    content = path.read_bytes()
    chance = random.Random(20261124)
    for place in chance.sample(range(len(content)), FLIPS):
        damaged = bytearray(content)
        damaged[place] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(backstory.IntegrityError, match=path.name):
            home.state_of(f"int:{given}")
        with pytest.raises((backstory.IntegrityError, backstory.NotFoundError)) as caught:
            home.state_of("ext:zendesk:1")
        said = caught.value.message + caught.value.hint
        assert path.name in said or "never stored" in said or "damage hides it" in said
    path.unlink()
    with pytest.raises(backstory.GoneError, match=path.name):
        home.state_of(f"int:{given}")


def test_verification_says_what_is_damaged_and_gone(home: Home) -> None:
    feed(home)
    train(home, "thumbs/en")
    given = answer(home)
    [artifact] = home.settings.artifacts.rglob("sha256/*/*")
    artifact.unlink()
    [data] = (home.settings.lake / "thumbs__en").glob("part-*")
    data.write_bytes(data.read_bytes()[:-1] + b"x")
    checked = home.state_of(f"int:{given}", verify=True)
    problems = {p.section: p.problem for p in checked.parts if p.problem}
    assert problems[Section.ARTIFACT] == "its bytes are gone"
    assert data.name in problems[Section.TRAINING]


def test_a_version_that_was_not_deployed_there_is_a_disagreement(home: Home) -> None:
    train(home), train(home)
    home.deploy("ranker@2", to="prod")
    state = home.state_of(f"int:{answer(home, environment='prod')}")
    [said] = state.disagreements
    assert "ranker@1 was not deployed there at that time (ranker@2 was)" in said


def test_an_answer_without_a_version_is_told_as_such(home: Home) -> None:
    train(home)
    state = home.state_of(f"int:{answer(home, version=None)}")
    assert state.version is None
    [part] = state.parts
    assert (part.ref, part.status) == ("ranker@?", PartStatus.MISSING)


def test_interactions_are_found_by_what_others_call_them(home: Home) -> None:
    train(home)
    answer(home, external_id="zendesk:1")
    answer(home, external_id="2")
    assert home.state_of("ext:zendesk:1").interaction.external_id == "zendesk:1"
    assert home.state_of("ext:zendesk:2").interaction.external_id == "2"
    answer(home, external_id="2")
    with pytest.raises(backstory.InvalidError, match="names 2 interactions") as caught:
        home.state_of("ext:zendesk:2")
    assert "int:" in backstory_error(caught)


@pytest.mark.parametrize(
    ("ref", "error"),
    [
        ("int:0123456789", backstory.NotFoundError),
        ("ext:zendesk:9", backstory.NotFoundError),
        ("int:01", backstory.InvalidError),
        ("ranker@1", backstory.InvalidError),
    ],
)
def test_refs_that_name_no_interaction(home: Home, ref: str, error: type[Exception]) -> None:
    train(home)
    answer(home)
    with pytest.raises(error):
        home.state_of(ref)


def test_a_part_that_was_declared_missing_stays_so(home: Home, tmp_path: Path) -> None:
    train(home)
    part = backstory.Part(kind="tool", ref="search", status=PartStatus.MISSING)
    state = home.state_of(f"int:{answer(home, parts=[part])}", verify=True)
    assert [p.status for p in state.parts if p.ref == "search"] == [PartStatus.MISSING]
