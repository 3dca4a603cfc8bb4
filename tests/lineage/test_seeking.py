"""The interaction nearest to a time; on both databases."""

from datetime import timedelta
from pathlib import Path

import pytest
from deltalake import write_deltalake

import backstory
from backstory.lineage.home import Home
from tests.lineage.homes import answer, feed, train
from tests.lineage.test_linking import AT, COLUMNS, rows

DAY = timedelta(days=1)


@pytest.fixture
def shop(home: Home) -> Home:
    """A model that answered at eight, a day later, and in another environment."""
    feed(home)
    train(home, "thumbs/en")
    for place, at in (("prod", AT), ("prod", AT + DAY), ("test", AT + DAY / 2)):
        answer(home, environment=place, at=at, external_id=f"{place} {at}")
    return home


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (AT, AT),
        (AT + timedelta(milliseconds=400), AT),
        (AT + DAY / 2, AT),  # of two as near, the earlier
        (AT + DAY / 2 + timedelta(seconds=1), AT + DAY),
        (AT - 400 * DAY, AT),
        (AT + 400 * DAY, AT + DAY),
    ],
)
def test_the_nearest_one_of_ours_is_found(shop: Home, asked: object, found: object) -> None:
    ref = shop.nearest_interaction("ranker", "prod", asked)  # type: ignore[arg-type]
    state = shop.state_of(ref)
    assert (state.interaction.at, state.interaction.environment) == (found, "prod")


def test_those_of_others_count_alike(shop: Home, tmp_path: Path) -> None:
    write_deltalake(tmp_path / "theirs", rows(3))
    then = shop.clock()
    shop.link_interactions(
        "ranker", str(tmp_path / "theirs"), columns={**COLUMNS, "environment": "place"}
    )
    asked = AT + timedelta(minutes=4, seconds=10)
    found = shop.state_of(shop.nearest_interaction("ranker", "prod", asked)).interaction
    assert (found.external_id, found.environment) == ("o-5", "prod")
    before = shop.nearest_interaction("ranker", "prod", asked, as_of=then)
    assert shop.state_of(before).interaction.at == AT
    shop.link_interactions("ranker", str(tmp_path / "theirs"), columns=COLUMNS, environment="prod")
    found = shop.state_of(shop.nearest_interaction("ranker", "prod", asked)).interaction
    assert found.external_id == "o-4"


def test_what_is_not_there_is_said(shop: Home) -> None:
    with pytest.raises(backstory.NotFoundError, match="no interaction of ranker in staging"):
        shop.nearest_interaction("ranker", "staging", AT)
    with pytest.raises(backstory.NotFoundError, match="called 'nobody'"):
        shop.nearest_interaction("nobody", "prod", AT)
    with pytest.raises(backstory.InvalidError, match="not a model"):
        shop.nearest_interaction("thumbs/en", "prod", AT)
