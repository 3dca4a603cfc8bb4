"""Profiles and drift of what a home holds."""

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

import backstory
from backstory.lake.profiles import profile_file
from backstory.lineage.home import Home
from tests.lineage.homes import feed, thumbs, train


def test_a_slice_is_profiled_without_reading_it(home: Home) -> None:
    feed(home, 3)
    found = home.profile("thumbs/en")
    assert (found.ref, found.profile.rows, found.files, found.read) == ("thumbs/en@3", 12, 3, 0)
    stars = found.profile.columns["stars"]
    assert (stars.low, stars.high) == (0, 3)
    assert home.profile("thumbs/en@1").profile.rows == 4


def test_a_range_is_what_its_commits_added(home: Home) -> None:
    feed(home, 3)
    feed(home, first=4, source="web")
    found = home.profile("thumbs/en@3..4")
    assert (found.ref, found.profile.rows, found.files) == ("thumbs/en@3..4", 8, 2)
    source = found.profile.columns["_source"].top
    assert source is not None
    assert source.counts == {"app": 4, "web": 4}


@pytest.mark.parametrize("ref", ["thumbs/en@3..2", "thumbs/en@1..9", "thumbs/en@0..999999", "no"])
def test_what_is_no_range_is_refused(home: Home, ref: str) -> None:
    feed(home, 3)
    with pytest.raises(backstory.BackstoryError):
        home.profile(ref)


def test_drift_compares_two_versions_or_ranges(home: Home) -> None:
    feed(home, 2)
    home.slice("thumbs/en").append(
        [{**row, "stars": 9} for row in thumbs(5, 8)], source="web", offset=5
    )
    found = home.drift("thumbs/en@2", "thumbs/en@3..3")
    assert [one.column for one in found.columns] == ["stars", "_source"]
    [stars] = home.drift("thumbs/en@2", "thumbs/en@3..3", columns=["stars"]).columns
    assert (stars.new, stars.missing) == ((9,), (0, 1, 2, 3))
    assert stars.ks == pytest.approx(1.0)


def test_a_model_version_stands_for_what_it_was_trained_on(home: Home) -> None:
    feed(home, 2)
    version = train(home, "thumbs/en")
    feed(home, first=3)
    found = home.drift(version, "thumbs/en")
    assert (found.base.ref, found.base.profile.rows) == (version, 8)
    assert (found.head.ref, found.head.profile.rows) == ("thumbs/en@3", 12)
    assert home.profile(version).profile.rows == 8


def test_a_linked_table_is_profiled_by_reading_it(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    write_deltalake(folder, pa.table({"n": list(range(600)), "w": ["a", "b"] * 300}))
    write_deltalake(folder, pa.table({"n": [5_000], "w": ["c"]}), mode="append")
    home.link_slice("theirs", str(folder))
    found = home.profile("theirs")
    assert (found.profile.rows, found.read) == (601, 2)
    words = {one.column: one for one in home.drift("theirs@0", "theirs@1..1").columns}["w"]
    assert words.new == ("c",)


def test_damage_is_told_and_stands_in_nobodys_way(home: Home) -> None:
    feed(home, 2)
    table = home.lake.slice("thumbs/en")
    [first, _] = home.slice("thumbs/en").at().manifest.files
    kept = home.profile("thumbs/en").profile
    path = profile_file(table.folder, first.path)
    path.write_text("{}")
    found = home.profile("thumbs/en")
    assert found.profile == kept
    assert (found.read, len(found.damaged)) == (1, 1)
    findings = home.verify("thumbs/en").findings
    assert [str(path).endswith(one.path) for one in findings] == [True]
    path.unlink()
    assert home.verify("thumbs/en").intact
    [check] = [one for one in home.doctor() if one.name == "profiles"]
    assert check.found == "1 data file without: `profile` and `drift` read them"
