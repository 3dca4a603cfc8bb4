"""A maintained home answers as before: registered, audited, pinned, verified."""

import dataclasses
import logging
from datetime import timedelta

import pytest
from deltalake import DeltaTable

from backstory.lake.compaction import compact
from backstory.lake.errors import ConflictError, GoneError, InvalidError, NotFoundError
from backstory.lake.garbage import Fate
from backstory.lake.pinned import reopen
from backstory.lake.snapshot import open_snapshot
from backstory.lineage import maintaining
from backstory.lineage.catch_up import catch_up, unregistered
from backstory.lineage.diagnosing import Health
from backstory.lineage.home import Home
from tests.lineage.homes import MORNING, answer, feed, link, names_of, train

COMMITS = 21


def later(home: Home, days: float) -> Home:
    """The same home, so many days on."""
    return dataclasses.replace(home, clock=lambda: home.clock() + timedelta(days=days))


def actions(home: Home) -> list[str]:
    with home.store.reader() as conn:
        rows = conn.exec_driver_sql("SELECT action FROM audit_leaf ORDER BY seq").fetchall()
    return [row[0] for row in rows]


def test_a_table_is_maintained_and_answers_as_before(home: Home) -> None:
    feed(home, COMMITS)
    train(home, "thumbs/en@5")
    table = home.lake.table("thumbs/en")  # read without a lease, which would hold the log too
    kept = reopen(table, 5)
    rows, digest = kept.arrow(system=True), kept.digest
    planned = home.maintain("thumbs/en", dry_run=True)
    [done] = home.maintain("thumbs/en")
    assert (done.replaced, done.written, done.removed, done.log_begin) == (COMMITS, 1, (), None)
    assert planned == [dataclasses.replace(done, written=None)]
    assert len(done.condemned) == COMMITS - 5
    assert open_snapshot(table).rows == 4 * COMMITS
    newest = home.history("thumbs/en")[0].commit
    assert (newest.operation, newest.rows, newest.actor) == ("COMPACT", 0, home.actor.name)

    soon = later(home, 8)
    planned = soon.maintain("thumbs/en", dry_run=True)
    [done] = soon.maintain("thumbs/en")
    assert planned == [dataclasses.replace(done, written=None)]
    assert (len(done.removed), done.log_begin, done.log_entries) == (COMMITS - 5, 19, 19)
    again = reopen(table, 5)
    assert (again.digest, again.arrow(system=True).equals(rows)) == (digest, True)
    assert len(home.history("thumbs/en")) == COMMITS + 2
    with pytest.raises(GoneError, match=r"trimmed to version 19 on .* by `backstory maintain"):
        home.slice("thumbs/en").at(6).arrow()
    with pytest.raises(GoneError, match=r"collected on .* by `backstory maintain thumbs/en`"):
        home.slice("thumbs/en").at(20).arrow()
    assert home.verify().intact
    assert unregistered(home) == {}
    acts = ["maintain.compact", "maintain.collect", "maintain.collect", "maintain.trim"]
    assert [action for action in actions(home) if action.startswith("maintain")] == acts
    assert soon.maintain("thumbs/en") == [maintaining.Maintained(slice="thumbs/en", written=0)]


def test_a_dry_run_writes_nothing(home: Home) -> None:
    feed(home, COMMITS)
    before = sorted(path for path in home.settings.lake.rglob("*"))
    leaves = actions(home)
    later(home, 9).maintain(dry_run=True)
    assert sorted(path for path in home.settings.lake.rglob("*")) == before
    assert actions(home) == leaves


def test_a_compacted_interaction_is_found_in_its_one_file(home: Home) -> None:
    train(home)
    ids = [answer(home, environment="prod", at=MORNING + timedelta(minutes=n)) for n in range(9)]
    then = home.clock()
    ids += [answer(home, at=MORNING + timedelta(days=1, minutes=n)) for n in range(9)]
    home.maintain("_interactions/ranker")
    later(home, 8).maintain("_interactions/ranker")
    log = home.lake.slice("_interactions/ranker")
    assert len(list(log.folder.glob("part-*"))) == 1
    for interaction in ids:
        found = home.state_of(f"int:{interaction}").interaction
        assert found.id == interaction
    assert home.nearest_interaction("ranker", "prod", MORNING) == f"int:{ids[0]}"
    assert home.state_of(f"int:{ids[0]}", as_of=then).interaction.id == ids[0]
    with pytest.raises(NotFoundError):
        home.state_of(f"int:{ids[-1]}", as_of=then)
    rows = home.slice("_interactions/ranker").at().arrow(["id"])["id"].to_pylist()
    assert rows == sorted(ids)
    assert home.verify().intact


def test_all_tables_of_ours_are_maintained_and_a_fault_stops_no_other(
    home: Home, tmp_path: object
) -> None:
    feed(home, 9)
    train(home)
    for _ in range(9):
        answer(home)
    (home.lake.slice("thumbs/en").folder / "sub" / "_delta_log").mkdir(parents=True)
    answers, thumbs = home.maintain()
    assert (answers.slice, answers.replaced, answers.problem) == ("_interactions/ranker", 9, "")
    assert "is a Delta table inside thumbs/en" in thumbs.problem
    with pytest.raises(NotFoundError):
        home.maintain("thumb")


def test_a_rival_is_tried_again_and_then_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    feed(home, 9)
    refusals = [ConflictError("first"), ConflictError("second")]

    def refused(*args: object, **named: object) -> object:
        if refusals:
            raise refusals.pop()
        return compact(*args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(maintaining, "compact", refused)
    assert home.maintain("thumbs/en")[0].written == 1
    feed(home, 9, first=10)
    refusals += [ConflictError(str(n)) for n in range(3)]
    with pytest.raises(ConflictError):
        home.maintain("thumbs/en")


def test_a_file_is_explained(home: Home) -> None:
    feed(home, 9)
    file = home.slice("thumbs/en").at(3).manifest.files[0].path
    assert home.explain_file("thumbs/en", file).reasons[0] == "live at version 9"
    train(home, "thumbs/en@3")
    home.maintain("thumbs/en")
    reasons = home.explain_file("thumbs/en", file).reasons
    assert any(why.startswith("pinned at version 3 by ") for why in reasons)
    other = home.slice("thumbs/en").at(9).manifest.files
    assert home.explain_file("thumbs/en", other[8].path).fate is Fate.NEEDED  # this process reads
    with pytest.raises(NotFoundError):
        home.explain_file("thumbs/en", "nothing.parquet")
    for path in ("../x", "/etc/passwd"):
        with pytest.raises(InvalidError):
            home.explain_file("thumbs/en", path)


def test_another_tool_is_noticed(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    feed(home, 9)
    assert "foreign" not in names_of(home.doctor(), Health.WARNING)
    folder = home.lake.slice("thumbs/en").folder
    DeltaTable(folder).optimize.compact()
    with caplog.at_level(logging.WARNING):
        catch_up(home)
    assert "thumbs/en@10 was committed by another tool (OPTIMIZE)" in caplog.text
    [check] = [one for one in home.doctor() if one.name == "foreign"]
    assert (check.health, check.found) == (
        Health.WARNING,
        "committed by another tool: thumbs/en@10 (OPTIMIZE)",
    )


def test_a_linked_table_is_left_to_its_owner(home: Home, tmp_path: object) -> None:
    link(home, tmp_path)  # type: ignore[arg-type]
    assert home.maintain() == []
