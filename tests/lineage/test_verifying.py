from pathlib import Path

import pytest

import backstory
from backstory.lineage.home import Home
from tests.lineage.homes import feed, link, train


def damage(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def test_everything_in_words_and_numbers(home: Home, tmp_path: Path) -> None:
    feed(home, 2)
    link(home, tmp_path)
    train(home, "thumbs/en")
    found = home.verify()
    assert found.intact
    assert {"thumbs/en", "clicks", "keys"} <= set(found.checked)
    assert found.size > 0


def test_a_part_of_the_home(home: Home) -> None:
    feed(home, 2)
    train(home, "thumbs/en@1")
    first, second = sorted((home.settings.lake / "thumbs__en").glob("part-*"))
    damage(second)
    assert home.verify("thumbs/en@1").intact
    assert home.verify("ranker@1").intact
    for ref in ("thumbs/en", "thumbs/en@2", None):
        assert {Path(f.path).name for f in home.verify(ref).findings} == {second.name}
    damage(second)
    damage(first)
    for ref in ("thumbs/en", "thumbs/en@1", "ranker@1"):
        assert not home.verify(ref).intact


def test_artifacts_damaged_and_gone(home: Home) -> None:
    train(home)
    [artifact] = home.settings.artifacts.rglob("sha256/*/*")
    damage(artifact)
    for ref in (None, "ranker@1"):
        [finding] = home.verify(ref).findings
        assert (finding.problem, Path(finding.path).name) == ("changed", artifact.name)
    artifact.unlink()
    for ref in (None, "ranker@1"):
        [finding] = home.verify(ref).findings
        assert (finding.problem, Path(finding.path).name) == ("missing", artifact.name)


def test_another_key_and_ignore_file(home: Home) -> None:
    key, ignore = home.settings.keys / "subject.json", home.settings.home / ".gitignore"
    key.write_text(key.read_text().replace("k1", "k2"))
    ignore.unlink()
    assert [f.path for f in home.verify().findings] == ["keys/subject.json", ".gitignore"]


def test_a_damaged_contract_hides_nothing_of_its_table(home: Home) -> None:
    feed(home, 2)
    folder = home.settings.lake / "thumbs__en"
    contract, data = folder / "_contract" / "v1.json", min(folder.glob("part-*"))
    contract.write_text("{")
    damage(data)
    with backstory.open(home.settings.home) as opened:
        for ref in (None, "thumbs/en"):
            found = [Path(f.path).name for f in opened.verify(ref).findings]
            assert found == [contract.name, data.name]
        assert [Path(f.path).name for f in opened.verify("thumbs/en@1").findings] == [data.name]
        contract.unlink()
        problems = [f.problem for f in opened.verify("thumbs/en").findings]
        assert problems == ["missing", "changed"]


@pytest.mark.parametrize(
    ("content", "problem"), [(None, "missing"), (b"{", "unreadable"), (b"\xff", "unreadable")]
)
def test_a_key_that_cannot_be_read(home: Home, content: bytes | None, problem: str) -> None:
    key = home.settings.keys / "subject.json"
    key.unlink() if content is None else key.write_bytes(content)
    with backstory.open(home.settings.home) as opened:
        [finding] = opened.verify().findings
    assert (finding.path, finding.problem) == ("keys/subject.json", problem)


def test_what_has_no_bytes(home: Home) -> None:
    train(home)
    home.deploy("ranker@1", to="prod")
    for ref in ("ranker", "env:prod", "env:prod#1"):
        with pytest.raises(backstory.InvalidError, match="no bytes of its own"):
            home.verify(ref)
    with pytest.raises(backstory.NotFoundError):
        home.verify("thumbs/en")
