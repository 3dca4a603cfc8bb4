from pathlib import Path

import pytest

import backstory
from backstory.lineage.home import Home
from tests.lineage.homes import feed, link, thumbs, train


def test_files_and_rows_by_source_between_two_versions(home: Home) -> None:
    feed(home)
    feed(home, first=2, source="app")
    home.slice("thumbs/en").append(thumbs(3, 7), source="east", offset=7)
    diff = home.diff("thumbs/en@1", "thumbs/en")
    assert (diff.base.version, diff.head.version) == (1, 3)
    assert [(s.source, s.commits, s.rows) for s in diff.sources] == [("east", 1, 7), ("app", 1, 4)]
    assert [commit.version for commit in diff.commits] == [3, 2]
    assert (len(diff.files.added), len(diff.files.removed)) == (2, 0)
    assert not diff.truncated


def test_the_older_one_may_come_last(home: Home) -> None:
    feed(home, 2)
    diff = home.diff("thumbs/en@2", "thumbs/en@1")
    assert (len(diff.files.added), len(diff.files.removed)) == (0, 1)
    assert [commit.version for commit in diff.commits] == [2]


def test_a_version_and_itself(home: Home) -> None:
    feed(home)
    diff = home.diff("thumbs/en", "thumbs/en@1")
    assert (diff.sources, diff.commits) == ([], [])
    assert not diff.files.added


def test_only_versions_of_one_slice(home: Home, tmp_path: Path) -> None:
    feed(home)
    link(home, tmp_path)
    train(home)
    with pytest.raises(backstory.InvalidError, match="different slices"):
        home.diff("thumbs/en", "clicks")
    with pytest.raises(backstory.InvalidError, match="not a slice"):
        home.diff("thumbs/en", "ranker@1")
    with pytest.raises(backstory.NotFoundError, match="no version 9"):
        home.diff("thumbs/en", "thumbs/en@9")
