import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import backstory
from backstory.lineage.home import Home
from tests.lineage.homes import (
    CONTRACT,
    answer,
    backstory_error,
    feed,
    link,
    names_of,
    thumbs,
    train,
)

SIGNALS = CONTRACT.replace("columns:", "signals: {up: it helped, down: of no use}\ncolumns:")
WIDER = SIGNALS + "  reason:   {type: string}\n"
REPOSITORY = Path(__file__).resolve().parents[2]
EVOLVE = """
import sys, backstory
from tests.lineage.test_contracting import WIDER
with backstory.open(sys.argv[1]) as home:
    home.evolve(WIDER)
"""


def test_each_version_says_since_when_it_holds_and_what_changed(home: Home) -> None:
    feed(home, 2)
    evolved = home.slice("thumbs/en").evolve(WIDER)
    assert (evolved.contract.version, evolved.version) == (2, 3)
    second, first = home.slice("thumbs/en").contracts()
    assert [(one.contract.version, one.begins) for one in (first, second)] == [(1, 0), (2, 3)]
    assert [str(change) for change in second.changes] == [
        "column reason: new, string",
        "signal up: new",
        "signal down: new",
    ]
    assert first.changes == ()
    assert first.at < second.at <= second.recorded_at
    assert second.late is None
    assert home.slice("thumbs/en").contract == evolved.contract


def test_a_version_of_the_slice_names_the_contract_of_then(home: Home) -> None:
    feed(home, 2)
    before = home.clock()
    home.evolve(WIDER)
    feed(home, 1, first=3)
    refs = ["thumbs/en", "thumbs/en@4", "thumbs/en@2", f"thumbs/en@{before.isoformat()}"]
    assert [home.contract(ref).contract.version for ref in refs] == [2, 2, 1, 1]
    assert [len(home.contracts(ref)) for ref in refs] == [2, 2, 1, 1]
    assert home.show("thumbs/en@2").contract.version == 1
    assert home.show("thumbs/en").contract.version == 2
    assert [use.commit.contract_version for use in home.history("thumbs/en")] == [2, 2, 1, 1, 1]


def test_what_was_known_then_is_what_is_told(home: Home) -> None:
    feed(home, 1)
    then = home.clock()
    home.evolve(WIDER)
    assert home.contract("thumbs/en", as_of=then).contract.version == 1
    assert home.signals("thumbs/en", as_of=then) == []
    assert len(home.signals("thumbs/en")) == 2


def test_which_reasons_a_user_could_give_then(home: Home) -> None:
    home.create_slice(SIGNALS)
    first = home.clock()
    more = SIGNALS.replace("it helped", "it helped a lot").replace(
        "down: of no use", "down: {meaning: of no use, until: 2030-01-01}, copied: taken over"
    )
    home.evolve(more)
    second = home.clock()
    early = first - timedelta(days=400)
    home.evolve(more.replace("copied:", f"old: {{since: '{early.isoformat()}'}}, copied:"))

    def meanings(at: datetime) -> dict[str, str]:
        return {one.signal.name: one.signal.meaning for one in home.signals("thumbs/en", at=at)}

    assert meanings(early) == {"old": ""}
    assert meanings(first) == {"up": "it helped", "down": "of no use", "old": ""}
    assert meanings(second)["up"] == "it helped a lot"
    assert meanings(second)["copied"] == "taken over"
    assert set(meanings(datetime(2031, 1, 1, tzinfo=UTC))) == {"up", "old", "copied"}
    told = {one.signal.name: (one.known_from, one.since_given) for one in home.signals("thumbs/en")}
    assert told == {"up": (1, False), "down": (1, False), "old": (3, True), "copied": (2, False)}
    assert [one.signal.name for one in home.signals("thumbs/en@0")] == ["up", "down", "old"]


def test_breaking_points_refuse_it_and_are_told_before(home: Home) -> None:
    feed(home, 1)
    narrower = CONTRACT.replace("stars:    {type: int64}", "stars:    {type: int32}")
    checked = home.check_contract(narrower)
    assert [str(change) for change in checked.breaking] == [
        "column stars: type int64 → int32 (not every value fits, or not as it was)"
    ]
    with pytest.raises(backstory.IncompatibleContractError) as caught:
        home.evolve(narrower)
    assert caught.value.breaking == tuple(map(str, checked.breaking))
    assert len(home.contracts("thumbs/en")) == 1
    assert home.check_contract(WIDER).breaking == ()
    assert home.slice("thumbs/en").at().version == 1


def test_rows_go_on_under_the_new_contract(home: Home) -> None:
    feed(home, 1)
    slice_ = home.slice("thumbs/en")
    slice_.append(thumbs(7))
    slice_.evolve(WIDER)
    assert slice_.append(thumbs(7)).duplicate == 4
    assert slice_.append(thumbs(1), source="app", offset=1).duplicate == 4
    row = {"event_id": "new", "reason": "too long"}
    assert slice_.append([row], source="app", offset=9).contract_version == 2
    assert slice_.at().arrow()["reason"].to_pylist() == [None] * 8 + ["too long"]
    assert home.verify().findings == ()


def test_interactions_and_linked_tables_show_theirs_and_keep_them(
    home: Home, tmp_path: Path
) -> None:
    train(home)
    answer(home)
    link(home, tmp_path)
    [of_answers] = home.contracts("_interactions/ranker")
    assert (of_answers.begins, of_answers.contract.purpose) == (0, "what ranker answered")
    [of_clicks] = home.contracts("clicks")
    assert (of_clicks.begins, of_clicks.contract.linked) == (None, True)
    assert of_clicks.at == of_clicks.recorded_at
    with pytest.raises(backstory.RefusedError, match="Backstory's own"):
        home.evolve(of_answers.contract)
    with pytest.raises(backstory.InvalidError, match="is linked"):
        home.evolve(of_clicks.contract)


def test_a_contract_must_be_the_slices_own(home: Home) -> None:
    feed(home, 1)
    with pytest.raises(backstory.InvalidError, match="contract of other, not of thumbs/en"):
        home.slice("thumbs/en").evolve(CONTRACT.replace("thumbs/en", "other"))
    with pytest.raises(backstory.NotFoundError) as missing:
        home.evolve(CONTRACT.replace("thumbs/en", "thumbs/e"))
    assert "did you mean thumbs/en?" in backstory_error(missing)


@pytest.mark.parametrize("place", ["contract.written", "contract.committed"])
def test_a_crash_between_file_and_commit_is_healed_when_the_home_opens(
    place: str, tmp_path: Path
) -> None:
    with backstory.init(tmp_path / "home") as home:
        feed(home, 2)
    died = subprocess.run(
        [sys.executable, "-c", EVOLVE, str(tmp_path / "home")],
        cwd=REPOSITORY,
        env={**os.environ, "BACKSTORY_CRASH_AT": place},
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    with backstory.open(tmp_path / "home") as home:
        assert [one.begins for one in home.contracts("thumbs/en")] == [3, 0]
        assert home.slice("thumbs/en").at().schema.names[-1] == "reason"
        assert names_of(home.doctor(), "problem") == []
        assert home.verify().findings == ()


def test_a_backup_has_every_contract(tmp_path: Path) -> None:
    with backstory.init(tmp_path / "home") as home:
        feed(home, 1)
        home.evolve(WIDER)
        feed(home, 1, first=2)
        home.backup(tmp_path / "backup")
    with backstory.restore(tmp_path / "backup", tmp_path / "again") as home:
        assert [one.contract.version for one in home.contracts("thumbs/en")] == [2, 1]
        assert home.slice("thumbs/en").append(thumbs(3)).contract_version == 2
        assert home.verify().findings == ()
