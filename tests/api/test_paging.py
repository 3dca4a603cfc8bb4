"""Pages by keyset: all rows once, in order, whatever is added meanwhile; no cursor but ours."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstory.api.app import execute
from backstory.api.schema.paging import Keyset, seal, unseal
from backstory.lake.errors import InvalidError
from backstory.lineage.home import Home
from tests.api import small_home
from tests.api.conftest import World

PAGES = {
    "history": """query($after: String) { page: history(ref: "thumbs/en", first: 2, after: $after) {
        edges { cursor node { key: commit { version } } } pageInfo { ...info } } }""",
    "runs": """query($after: String) { page: runs(first: 1, after: $after) {
        edges { cursor node { key } } pageInfo { ...info } } }""",
    "deployments": """query($after: String) { page: deployments(first: 1, after: $after) {
        edges { cursor node { key: deployment { key } } } pageInfo { ...info } } }""",
}
INFO = " fragment info on PageInfo { hasNextPage hasPreviousPage startCursor endCursor }"


def ask(home: Home, name: str, after: str | None) -> Any:
    answer = execute(home, PAGES[name] + INFO, {"after": after})
    assert "errors" not in answer, answer
    return answer["data"]["page"]


def pages(home: Home, name: str) -> Iterator[Any]:
    after = None
    while True:
        page = ask(home, name, after)
        yield page
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return


@pytest.mark.parametrize(("name", "rows"), [("history", 4), ("runs", 2), ("deployments", 2)])
def test_the_pages_hold_each_row_once(world: World, name: str, rows: int) -> None:
    told = list(pages(world.home, name))
    keys = [str(edge["node"]["key"]) for page in told for edge in page["edges"]]
    assert len(keys) == len(set(keys)) == rows
    for number, page in enumerate(told):
        assert page["pageInfo"]["hasPreviousPage"] is (number > 0)
        assert page["pageInfo"]["startCursor"] == page["edges"][0]["cursor"]


def test_what_is_added_meanwhile_moves_nothing(tmp_path: Path) -> None:
    with small_home.make_home(tmp_path) as home:
        first = ask(home, "history", None)
        small_home.give_feedback(home, 4)
        second = ask(home, "history", first["pageInfo"]["endCursor"])
    versions = [e["node"]["key"]["version"] for page in (first, second) for e in page["edges"]]
    assert versions == [3, 2, 1, 0]


@pytest.mark.parametrize("first", [-1, 0, 101, 2_147_483_647])
def test_the_size_of_a_page_is_bounded(world: World, first: int) -> None:
    query = "query($first: Int!) { runs(first: $first) { pageInfo { hasNextPage } } }"
    [error] = world.errors(query, first=first)
    assert error["extensions"]["code"] in {"BAD_USER_INPUT", "QUERY_TOO_COMPLEX"}


def test_a_cursor_of_another_list_is_refused(world: World) -> None:
    cursor = ask(world.home, "history", None)["pageInfo"]["endCursor"]
    [error] = world.errors(PAGES["runs"] + INFO, after=cursor)
    assert error["message"] == "the cursor belongs to another list"
    other = 'query($a: String) { runs(model: "ranker", after: $a) { pageInfo { hasNextPage } } }'
    assert world.errors(other, a=ask(world.home, "runs", None)["pageInfo"]["endCursor"])


@given(st.text(max_size=200) | st.binary(max_size=100).map(lambda raw: raw.hex()))
def test_a_forged_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidError, match="is not a cursor"):
        unseal(b"secret", "runs", cursor)


@given(st.integers() | st.text() | st.lists(st.integers(), max_size=3))
def test_a_cursor_gives_its_place_back(key: object) -> None:
    assert unseal(b"secret", "runs", seal(b"secret", "runs", key)) == key


@given(st.data(), st.integers(1, 10_000))
def test_a_changed_cursor_is_refused(data: st.DataObject, key: int) -> None:
    cursor = seal(b"secret", "runs", key)
    at = data.draw(st.integers(0, len(cursor) - 2))  # the last digit holds bits that say nothing
    digit = data.draw(st.sampled_from("ABCabc012-_").filter(lambda digit: digit != cursor[at]))
    with pytest.raises(InvalidError, match="is not a cursor"):
        unseal(b"secret", "runs", cursor[:at] + digit + cursor[at + 1 :])


@given(st.lists(st.integers(), unique=True, max_size=30), st.integers(1, 7))
def test_a_list_in_memory_is_paged_in_its_order(rows: list[int], first: int) -> None:
    keyset = Keyset(name="numbers", key=lambda row: row, secret=b"secret")
    told: list[int] = []
    after = None
    while True:
        page = keyset.page_of(rows, first=first, after=after)
        told += [edge.node for edge in page.edges]
        after = page.page_info.end_cursor
        if not page.page_info.has_next_page:
            break
    assert told == rows


def test_a_row_that_is_gone_ends_the_paging() -> None:
    keyset = Keyset(name="numbers", key=lambda row: row, secret=b"secret")
    cursor = keyset.page_of([1, 2, 3], first=1, after=None).page_info.end_cursor
    with pytest.raises(InvalidError, match="not there any more"):
        keyset.page_of([2, 3], first=1, after=cursor)
