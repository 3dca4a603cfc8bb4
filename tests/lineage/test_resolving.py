from datetime import timedelta

import pytest

import backstory
from backstory.lineage.home import Home, open_home
from backstory.lineage.resolving import resolve, resolve_slice_at, resolve_version
from tests.lineage.homes import MORNING, backstory_error, feed, train
from tests.lineage.store.recording import ticking


def test_slices_by_version_and_time(home: Home) -> None:
    feed(home, 2)
    first, second = home.history("thumbs/en")[1].commit, home.history("thumbs/en")[0].commit
    assert resolve_slice_at(home, "thumbs/en").version == 2
    assert resolve_slice_at(home, "slice:thumbs/en@1").version == 1
    just_before = second.at - timedelta(microseconds=1)
    for at, version in ((second.at, 2), (just_before, 1), (first.at, 1)):
        assert resolve_slice_at(home, f"thumbs/en@{at.isoformat()}").version == version
    assert home.slice("thumbs/en").at(just_before).version == 1
    with pytest.raises(backstory.NotFoundError, match="did not exist at"):
        resolve_slice_at(home, "thumbs/en@2020-01-01")


def test_a_time_in_the_future_names_no_version_yet(home: Home) -> None:
    feed(home)
    assert home.slice("thumbs/en").at(home.clock() + timedelta(seconds=2)).version == 1
    with pytest.raises(backstory.InvalidError, match="is in the future") as refused:
        home.slice("thumbs/en").at(home.clock() + timedelta(minutes=1))
    assert "thumbs/en" in refused.value.hint


def test_a_time_up_to_the_last_commit_is_over_whatever_this_clock_says(home: Home) -> None:
    feed(home)
    last = home.history("thumbs/en")[0].commit.at
    with open_home(home.settings.home, clock=ticking(MORNING - timedelta(days=1))) as early:
        assert early.slice("thumbs/en").at(last).version == 1


def test_versions_by_number_and_alias(home: Home) -> None:
    train(home)
    home.alias("ranker@1", "champion")
    assert resolve_version(home, "ranker@1") == resolve_version(home, "model:ranker@champion")


@pytest.mark.parametrize(
    ("ref", "hint"),
    [
        ("thumb/en", "did you mean 'thumbs/en'"),
        ("rankr@1", "did you mean 'ranker'"),
        ("model:thumbs/en", "there is ranker"),
        ("slice:ranker", "there is thumbs/en"),
        ("ranker@champoin", "did you mean 'ranker@champion'"),
        ("ranker@7", "its newest is ranker@1"),
        ("thumbs/en@7", "backstory history"),
        ("thumbs/en@newest", "write it like thumbs/en@1"),
        ("ranker@2026-11-24", "deployments --at"),
        ("env:prdo", "did you mean 'env:prod'"),
        ("env:prod#7", "backstory deployments prod"),
        ("run:ffffff", "backstory runs"),
        ("component:prompt:greeting@9", "backstory trace"),
        ("int:ffffff", "backstory state"),
        ("rnu:ffffff", "did you mean 'run'"),
    ],
)
def test_a_wrong_ref_gets_a_hint(home: Home, ref: str, hint: str) -> None:
    feed(home)
    train(home)
    home.alias("ranker@1", "champion")
    home.deploy("ranker@1", to="prod")
    with pytest.raises(backstory.BackstoryError) as caught:
        resolve(home, ref)
    assert hint in backstory_error(caught)


def test_wrong_kinds(home: Home) -> None:
    feed(home)
    train(home)
    with pytest.raises(backstory.InvalidError, match="names a model, not a version") as caught:
        resolve_version(home, "ranker")
    assert caught.value.hint == "name one, e.g. ranker@1"
    with pytest.raises(backstory.InvalidError, match="not a model version"):
        resolve_version(home, "thumbs/en@1")
    with pytest.raises(backstory.InvalidError, match="not a slice"):
        resolve_slice_at(home, "ranker@1")


def test_a_prefix_of_several_runs_lists_them(home: Home) -> None:
    train(home)
    train(home)
    one, other = (run.run_id for run in home.runs())
    shared = one[: next(i for i in range(36) if one[i] != other[i])]
    assert len(shared) >= 6
    with pytest.raises(backstory.InvalidError, match="several runs") as caught:
        resolve(home, f"run:{shared}")
    assert one in caught.value.hint
    assert other in caught.value.hint
