"""Interactions that others keep, on the command line."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from tests.cli.running import draw, run
from tests.cli.shop import Shop

AT = datetime(2026, 11, 20, 8, tzinfo=UTC)
MAPPED = ("--id", "order", "--at", "ts", "--subject", "user", "--version", "v")


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """Three answers of others."""
    numbers = range(3)
    times = [AT + timedelta(minutes=n) for n in numbers]
    columns = {
        "order": [f"o-{n}" for n in numbers],
        "ts": pa.array(times, pa.timestamp("us", "UTC")),
        "user": [f"ann-{n}" for n in numbers],
        "v": pa.array([1, 2, 1], pa.int32()),
    }
    write_deltalake(tmp_path / "theirs", pa.table(columns))
    return tmp_path / "theirs"


def test_a_table_is_linked_listed_and_unlinked(own_shop: Shop, theirs: Path) -> None:
    home = own_shop.home
    made = run("interactions", "link", "ranker", theirs, *MAPPED, "--json", home=home).data
    assert made["slice"] == "ranker/interactions@0"
    assert made["columns"] == {"id": "order", "at": "ts", "subject": "user", "version": "v"}
    listed = run("interactions", "--json", home=home).data
    assert [(t["model"], t["kind"], t["rows"]) for t in listed] == [
        ("ranker", "recorded", 1),
        ("ranker", "linked", 3),
    ]
    assert run("interactions", "list", home=home).rows[1][1] == "ranker/interactions"
    state = run("state", "ext:shop:o-1", "--json", home=home).data
    assert state["version"] == "ranker@2"
    assert state["linked"]["evidence"] == "imported"
    assert "parts" in state["linked"]["unmapped"]
    assert "ann" not in str(state)
    drawn = "\n".join(draw("state", "ext:shop:o-1", home=home, width=200))
    assert f"ranker/interactions@0, imported, at {theirs}; it does not say environment" in drawn
    ended = run("interactions", "unlink", "ranker", "--reason", "moved", home=home)
    assert "no longer read from" in ended.out + ended.err
    assert run("state", "ext:shop:o-1", home=home).code == 3
    again = run("interactions", "unlink", "ranker", home=home)
    assert (again.code, again.err.count("\n")) == (3, 2)


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("--id", "nothing", "--at", "ts"), 2, "there is no column 'nothing' for id"),
        (("--id", "order", "--at", "user"), 2, "at is timestamp"),
        (("--id", "order"), 2, "--at"),
        ((*MAPPED, "--versions", "ranker@1"), 2, "the version is named twice"),
        (("--id", "order", "--at", "ts", "--versions", "ranker@9"), 3, "no version 9"),
        ((*MAPPED, "--environments", "A B"), 2, "is no name"),
    ],
)
def test_a_wrong_mapping_is_one_line(
    own_shop: Shop, theirs: Path, args: tuple[str, ...], code: int, said: str
) -> None:
    ran = run("interactions", "link", "ranker", theirs, *args, home=own_shop.home)
    assert ran.code == code
    assert said in ran.err


def test_the_nearest_interaction_is_told(shop: Shop) -> None:
    home = shop.home
    near = run("state", "--near", "ranker", "prod-eu", "2026-11-14T09:00Z", "--json", home=home)
    assert near.data["interaction"]["ref"] == shop.interaction
    for args in ((), ("int:019a8f3c", "--near", "ranker", "prod-eu", "2026-11-14")):
        wrong = run("state", *args, home=home)
        assert (wrong.code, "name an interaction" in wrong.err) == (2, True)
    nowhere = run("state", "--near", "ranker", "mars", "2026-11-14", home=home)
    assert (nowhere.code, "in mars is known" in nowhere.err) == (3, True)
