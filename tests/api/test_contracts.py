"""Contracts and signals over GraphQL, now and as of then."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backstory.api.app import execute
from backstory.lineage.home import Home
from backstory.lineage.times import time_text
from tests.api.small_home import CONTRACT, answer, make_home
from tests.api.test_statements import count

WIDER = "signals: {up: it helped, gone: {until: 2020-01-01}}\n" + CONTRACT
WIDER += "  reason: {type: string}\n"
QUERY = """query ($at: DateTime, $asOf: DateTime) {
  slice(name: "thumbs/en", asOf: $asOf) {
    contracts { version begins purpose signals changes { where what }
      columns { name type role personal nullable } }
    signals(at: $at) { name meaning since sinceGiven until contractVersion }
  }
  old: sliceVersion(ref: "thumbs/en@1", asOf: $asOf) { contract { version } }
}"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with make_home(tmp_path) as made:
        yield made


def ask(home: Home, **variables: str) -> Any:
    answered = execute(home, QUERY, variables)
    assert "errors" not in answered, answered
    return answered["data"]


def test_contracts_and_signals(home: Home) -> None:
    then = time_text(home.clock())
    home.evolve(WIDER)
    data = ask(home)
    second, first = data["slice"]["contracts"]
    assert (first["version"], first["begins"], first["changes"]) == (1, 0, [])
    assert (second["version"], second["begins"], second["signals"]) == (2, 4, ["up", "gone"])
    assert {"where": "column reason", "what": "new, string"} in second["changes"]
    assert first["columns"][2] == {
        "name": "user",
        "type": "string",
        "role": "subject",
        "personal": "direct",
        "nullable": True,
    }
    up, gone = data["slice"]["signals"]
    assert (up["meaning"], up["sinceGiven"], up["contractVersion"]) == ("it helped", False, 2)
    assert (gone["since"], gone["until"]) == (None, "2020-01-01T00:00:00Z")
    assert data["old"] == {"contract": {"version": 1}}
    early = ask(home, at="2019-01-01T00:00:00Z")
    assert [one["name"] for one in early["slice"]["signals"]] == ["gone"]
    before = ask(home, asOf=then)
    assert [one["version"] for one in before["slice"]["contracts"]] == [1]
    assert before["slice"]["signals"] == []


def test_many_slices_cost_one_statement(home: Home) -> None:
    query = "{ slices(interactions: true) { contracts { version } signals { name } } }"
    few = count(home, query)
    answer(home)
    for number in range(4):
        home.create_slice(CONTRACT.replace("thumbs/en", f"more-{number}"))
    assert count(home, query) == few
