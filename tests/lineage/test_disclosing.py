"""What a home holds of a person; on both databases."""

import json
import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.transaction import AddAction, RemoveAction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import backstory
from backstory.lake.commits import log_entry
from backstory.lake.subject_index import set_files
from backstory.lineage.home import Home
from backstory.lineage.keys import KEY_FILE, load_keys
from backstory.lineage.subject import Known, Subject
from tests.integration.searching import files_with
from tests.lineage.homes import backstory_error, names_of

AT = datetime(2026, 11, 24, 8, tzinfo=UTC)
ANN = "ann.k@example.org"
CONTRACT = """
slice: thumbs
purpose: improve the ranker
duplicate_window: 0
columns:
  event_id: {type: string, role: event_id, nullable: false}
  user:     {type: string, role: subject}
  stars:    {type: int64}
"""
PLAIN = "{slice: plain, purpose: p, columns: {label: {type: int64}}}"


def rows(*people: str | None) -> list[dict[str, Any]]:
    return [{"event_id": f"e{n}", "user": who, "stars": n} for n, who in enumerate(people)]


@pytest.fixture
def fed(home: Home) -> Home:
    """Three commits: ann has two rows, then three more with bob, then one of cid."""
    home.create_slice(CONTRACT)
    home.create_slice(PLAIN)
    home.slice("plain").append([{"label": 1}])
    for offset, people in enumerate([(ANN, ANN), ("bob", ANN, ANN, ANN), ("cid", None)], start=1):
        home.slice("thumbs").append(rows(*people), source="app", offset=offset)
    return home


def train(home: Home, ref: str, **selection: Any) -> str:
    artifact = home.settings.spool / "model.bin"
    artifact.write_text("weights")
    with home.retraining("ranker", code=home.settings.spool) as run:
        run.read(ref, **selection)
        version = run.register(artifact)
    return version.ref


def remove(home: Home, version: int, *, name: str = "thumbs", fence: int = 1) -> str:
    """Take out the data file that a version brought, as maintenance does."""
    folder = home.lake.slice(name).folder
    entry = [json.loads(line) for line in log_entry(folder, version).read_text().splitlines()]
    path: str = next(action["add"]["path"] for action in entry if "add" in action)
    delta = DeltaTable(str(folder))
    delta.create_write_transaction(
        [RemoveAction(path, True, 0)],
        "append",
        delta.schema(),
        commit_properties=CommitProperties(app_transactions=[Transaction("lake.mutate", fence)]),
    )
    return path


def counts(found: Subject) -> dict[str, int]:
    return {one.name: one.rows for one in found.slices}


def test_rows_are_counted_by_slice_and_snapshot(fed: Home) -> None:
    for version in (1, 3):
        fed.pin(f"thumbs@{version}", reason="audit")
    found = fed.subject(ANN)
    [thumbs] = found.slices
    assert (thumbs.name, thumbs.version, thumbs.rows, thumbs.files) == ("thumbs", 3, 5, 2)
    assert list(thumbs.held) == [(1, None)]
    assert [(one.ref, one.rows, len(one.pins)) for one in thumbs.snapshots] == [
        ("thumbs@1", 2, 1),
        ("thumbs@3", 5, 1),
    ]
    assert (found.unknown, found.interactions, found.versions) == ([], [], [])
    assert counts(fed.subject("cid")) == {"thumbs": 1}
    assert list(fed.subject("cid").slices[0].held) == [(3, None)]
    assert fed.subject("nobody").slices == []


def test_a_pseudonym_is_as_good_as_the_id(fed: Home) -> None:
    hidden = fed.key.pseudonym(ANN)
    assert fed.subject(pseudonym=hidden) == fed.subject(ANN)


@pytest.mark.parametrize(
    ("selection", "rows", "known"),
    [
        ({}, 5, Known.EXACT),
        ({"columns": ["stars"]}, 5, Known.EXACT),
        ({"where": "stars > 1 -- the better ones"}, 2, Known.EXACT),
        ({"where": "stars = 0 or stars = 1"}, 3, Known.EXACT),
        ({"where": "stars > 100"}, 0, Known.EXACT),
        ({"where": "_offset = 2 and stars in (1, 3)"}, 2, Known.EXACT),
    ],
)
def test_what_a_run_read_of_a_person_is_counted_exactly(
    fed: Home, selection: dict[str, Any], rows: int, known: Known
) -> None:
    version = train(fed, "thumbs@3", **selection)
    found = fed.subject(ANN)
    [snapshot] = found.slices[0].snapshots
    [read] = snapshot.reads
    assert (read.rows, read.known, read.filter) == (rows, known, selection.get("where"))
    assert (read.model, read.state, read.role, list(read.versions)) == (
        "ranker",
        "completed",
        "train",
        [version],
    )
    assert [(one.ref, one.known) for one in found.versions] == (
        [(version, Known.EXACT)] if rows else []
    )


def test_where_versions_serve_that_came_of_it(fed: Home) -> None:
    first, second = train(fed, "thumbs@1"), train(fed, "thumbs@1", where="stars > 5")
    fed.deploy(first, to="prod")
    fed.deploy(second, to="test")
    [version] = fed.subject(ANN).versions  # of the second none was read
    assert version.ref == first
    [served] = version.deployments
    assert (served.environment, served.share, served.until_at) == ("prod", 1.0, None)


def test_what_is_only_told_is_an_upper_bound(fed: Home) -> None:
    fed.pin("thumbs@2", reason="audit")
    fed.add_version("ranker@7", trained_on=["thumbs@2"])
    found = fed.subject(ANN)
    [snapshot] = found.slices[0].snapshots
    assert (snapshot.rows, list(snapshot.declared)) == (5, ["ranker@7"])
    assert [(one.ref, one.known) for one in found.versions] == [
        ("ranker@7", Known.SELECTION_UNKNOWN)
    ]


def test_a_person_is_known_after_the_data_the_log_and_the_file_are_gone(fed: Home) -> None:
    exact = train(fed, "thumbs@2", where="stars > 1")
    path = remove(fed, 2)
    folder = fed.lake.slice("thumbs").folder
    before = fed.subject(ANN)
    [thumbs] = before.slices
    assert (thumbs.version, thumbs.rows, list(thumbs.held)) == (4, 2, [(1, None)])
    assert counts(fed.subject("bob")) == {"thumbs": 0}
    assert list(fed.subject("bob").slices[0].held) == [(2, 3)]
    DeltaTable(str(folder)).create_checkpoint()
    (folder / path).unlink()
    for version in range(4):
        log_entry(folder, version).unlink()
    found = fed.subject(ANN)
    [snapshot] = found.slices[0].snapshots
    assert (counts(found), snapshot.rows) == ({"thumbs": 2}, 5)
    [read] = snapshot.reads
    assert (read.rows, read.known) == (5, Known.ROWS_GONE)
    assert [(one.ref, one.known) for one in found.versions] == [(exact, Known.ROWS_GONE)]
    assert found.unknown == []


def test_a_file_that_comes_back_lives_twice(fed: Home) -> None:
    path = remove(fed, 1)
    fed.subject(ANN)
    delta = DeltaTable(str(fed.lake.slice("thumbs").folder))
    size = (fed.lake.slice("thumbs").folder / path).stat().st_size
    delta.create_write_transaction(
        [AddAction(path, size, {}, 0, True, '{"numRecords":2}')],
        "append",
        delta.schema(),
        commit_properties=CommitProperties(app_transactions=[Transaction("lake.mutate", 2)]),
    )
    [thumbs] = fed.subject(ANN).slices
    assert (thumbs.version, thumbs.rows) == (5, 5)
    remove(fed, 2, fence=3)
    assert [one.rows for one in fed.subject(ANN).slices] == [2]


def test_what_was_known_then(fed: Home) -> None:
    before = fed.clock()
    fed.slice("thumbs").append(rows(ANN), source="app", offset=9)
    assert counts(fed.subject(ANN)) == {"thumbs": 6}
    assert counts(fed.subject(ANN, as_of=before)) == {"thumbs": 5}


def forget(home: Home) -> None:
    """What a home of an older Backstory has: no sets, and no record of files."""
    for path in set_files(home.lake.slice("thumbs").folder):
        path.unlink()
    with home.store.engine.begin() as conn:
        conn.exec_driver_sql("DELETE FROM file_change")


def test_an_older_home_is_indexed_when_somebody_asks(fed: Home) -> None:
    train(fed, "thumbs@3", where="stars > 1")
    before = fed.subject(ANN)
    forget(fed)
    assert fed.subject(ANN) == before
    assert len(set_files(fed.lake.slice("thumbs").folder)) == 3
    assert "subjects" in names_of(fed.doctor(), "ok")


def test_doctor_says_what_is_not_indexed_and_mends_it(fed: Home) -> None:
    folder = fed.lake.slice("thumbs").folder
    first, second, _ = set_files(folder)
    first.unlink()
    second.write_bytes(b"nonsense")
    [check] = [check for check in fed.doctor() if check.name == "subjects"]
    assert check.found == "not indexed by subject: 2 data files, 1 damaged set"
    assert [one.done for one in fed.mend() if one.name == "subjects"] == [
        "indexed 2 data files by subject"
    ]
    assert "subjects" in names_of(fed.doctor(), "ok")
    assert second.read_bytes() != b"nonsense"
    assert counts(fed.subject(ANN)) == {"thumbs": 5}
    forget(fed)
    [check] = [check for check in fed.doctor() if check.name == "subjects"]
    assert check.found == "not indexed by subject: 3 commits"
    fed.mend()
    assert "subjects" in names_of(fed.doctor(), "ok")


def test_what_cannot_be_indexed_is_told_and_never_none(fed: Home) -> None:
    folder = fed.lake.slice("thumbs").folder
    for path in set_files(folder):
        path.unlink()
    gone, damaged, _ = sorted(folder.glob("part-*.parquet"))
    gone.unlink()
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    found = fed.subject(ANN)
    assert [(one.slice, one.files, one.why) for one in found.unknown] == [
        ("thumbs", 1, "not indexed, and gone"),
        ("thumbs", 1, "not indexed, and damaged"),
    ]
    log_entry(folder, 1).unlink()
    forget(fed)
    found = fed.subject(ANN)
    assert "the log entries of 1 commits are gone" in [one.why for one in found.unknown]


def test_verify_names_a_set_that_was_changed(fed: Home) -> None:
    first, *_ = set_files(fed.lake.slice("thumbs").folder)
    body = bytearray(first.read_bytes())
    body[len(body) // 2] ^= 1
    first.write_bytes(body)
    [finding] = fed.verify().findings
    assert (finding.problem, Path(finding.path).name) == ("changed", first.name)
    assert finding.where == "subject index of thumbs"


def two_keys(home: Home, *, keep: bool = True) -> None:
    """Give the home a new key, and keep the one before or lose it."""
    path = home.settings.keys / KEY_FILE
    body = json.loads(path.read_text())
    body["keys"] = {**(body["keys"] if keep else {}), "k2": "ab" * 32}
    path.write_text(json.dumps({**body, "current": "k2"}))
    home.__dict__.pop("key", None)


def test_a_person_is_looked_for_under_every_key(fed: Home) -> None:
    two_keys(fed)
    fed.slice("thumbs").append(rows(ANN, "bob"), source="app", offset=9)
    assert [key.key_id for key in load_keys(fed.settings.keys)] == ["k2", "k1"]
    version = train(fed, "thumbs@4", where="stars = 0")
    found = fed.subject(ANN)
    assert [name.partition(":")[0] for name in found.pseudonyms] == ["k2", "k1"]
    assert counts(found) == {"thumbs": 6}
    assert found.slices[0].snapshots[0].reads[0].rows == 2
    assert [one.ref for one in found.versions] == [version]
    assert found.unknown == []
    alone = fed.subject(pseudonym=found.pseudonyms[0])
    assert counts(alone) == {"thumbs": 1}
    [unknown] = alone.unknown
    assert unknown.why == "7 rows are under key k1: a pseudonym is of one key only; ask by the id"


def test_a_lost_key_is_told(fed: Home) -> None:
    hidden = fed.key.pseudonym(ANN)
    two_keys(fed, keep=False)
    found = fed.subject(ANN)
    assert found.slices == []
    [unknown] = found.unknown
    assert (unknown.slice, unknown.files) == ("thumbs", 3)
    assert unknown.why == ("7 rows are under key k1: its secret is lost: restore it from a backup")
    assert counts(fed.subject(pseudonym=hidden)) == {"thumbs": 5}
    (fed.settings.keys / KEY_FILE).unlink()
    assert counts(fed.subject(pseudonym=hidden)) == {"thumbs": 5}
    with pytest.raises(backstory.NotFoundError, match="subject key is missing"):
        fed.subject(ANN)


def test_interactions_of_ours_and_of_others(fed: Home, tmp_path: Path) -> None:
    train(fed, "thumbs@1")
    log = fed.interactions("ranker")
    for minute in (5, 1, 3):
        at = AT + timedelta(minutes=minute)
        log.record(request=1, response=2, version="ranker@1", at=at, subject=ANN)
    log.record(request=1, response=2, version="ranker@1", subject="bob")
    theirs = pa.table(
        {
            "order": ["o1", "o2", "o3"],
            "ts": pa.array([AT, AT + timedelta(hours=1), AT], pa.timestamp("us", "UTC")),
            "user": [ANN, ANN, None],
        }
    )
    write_deltalake(tmp_path / "theirs", theirs)
    columns = {"id": "order", "at": "ts", "subject": "user"}
    fed.link_interactions("ranker", str(tmp_path / "theirs"), columns=columns)
    write_deltalake(tmp_path / "clicks", pa.table({"n": [1]}))
    fed.link_slice("clicks", str(tmp_path / "clicks"))
    found = fed.subject(ANN)
    assert [(one.table, one.rows, one.first, one.last) for one in found.interactions] == [
        ("_interactions/ranker", 3, AT + timedelta(minutes=1), AT + timedelta(minutes=5)),
        ("ranker/interactions", 2, AT, AT + timedelta(hours=1)),
    ]
    for one in found.interactions:
        for ref in one.refs:
            assert fed.state_of(ref).interaction.subject == fed.key.pseudonym(ANN)
    assert counts(found) == {"_interactions/ranker": 3, "ranker/interactions": 2, "thumbs": 5}
    assert [(one.slice, one.why) for one in found.unknown] == [
        ("clicks", "others write it, and no link says which column names people")
    ]
    assert fed.subject(pseudonym=fed.key.pseudonym(ANN)) == found


def test_a_snapshot_of_others_is_read_where_it_is_kept(fed: Home, tmp_path: Path) -> None:
    theirs = {"order": ["o1", "o2"], "ts": pa.array([AT, AT], pa.timestamp("us", "UTC"))}
    write_deltalake(tmp_path / "theirs", pa.table({**theirs, "user": [ANN, "bob"]}))
    train(fed, "thumbs@3")
    columns = {"id": "order", "at": "ts", "subject": "user"}
    fed.link_interactions("ranker", str(tmp_path / "theirs"), columns=columns)
    version = train(fed, "ranker/interactions@0", where="\"order\" = 'o2'")
    fed.pin("ranker/interactions@0", reason="audit", strength="copied")
    write_deltalake(
        tmp_path / "theirs", pa.table({**theirs, "user": ["eve", "eve"]}), mode="overwrite"
    )
    found = {one.name: one for one in fed.subject("bob").slices}
    linked = found["ranker/interactions"]
    assert linked.rows == 0
    assert [(one.ref, one.rows) for one in linked.snapshots] == [("ranker/interactions@0", 1)]
    [read] = linked.snapshots[0].reads
    assert (read.rows, read.known, list(read.versions)) == (1, Known.EXACT, [version])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "named by an id or by a pseudonym"),
        ({"raw": ANN, "pseudonym": "k1:0"}, "named by an id or by a pseudonym"),
        ({"raw": ""}, "no id of a person"),
        ({"raw": 7}, "no id of a person"),
        ({"raw": ANN * 10_000}, "at most 65,536 bytes"),
        ({"raw": "\ud800ann"}, "no valid Unicode"),
        ({"pseudonym": ANN}, "that is no pseudonym"),
        ({"pseudonym": f"k1:{'A' * 64}"}, "that is no pseudonym"),
    ],
)
def test_wrong_questions_are_refused_and_repeat_nothing(
    home: Home, asked: dict[str, Any], said: str
) -> None:
    with pytest.raises(backstory.BackstoryError) as caught:
        home.subject(**asked)
    message = backstory_error(caught)
    assert said in message
    assert "ann" not in message.replace("and", "")


def test_the_id_is_nowhere_after_a_question(
    fed: Home, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    train(fed, "thumbs@3", where="stars > 1")
    with fed.store.reader() as conn:
        leaves = conn.exec_driver_sql("SELECT count(*) FROM audit_leaf").scalar()
    found = fed.subject(ANN)
    assert ANN not in repr(found) + caplog.text
    assert not files_with(tmp_path, ANN)
    with fed.store.reader() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM audit_leaf").scalar() == leaves


def test_a_copied_and_a_restored_home_know_the_person(home: Home, tmp_path: Path) -> None:
    home.create_slice(CONTRACT)
    for offset in range(1, 20):
        home.slice("thumbs").append(rows(ANN, "bob"), source="app", offset=offset)
    path = remove(home, 1)
    expected = home.subject(ANN)
    home.backup(tmp_path / "backup")
    (home.lake.slice("thumbs").folder / path).unlink()
    with backstory.restore(tmp_path / "backup", tmp_path / "restored") as restored:
        assert restored.subject(ANN) == expected
        assert restored.verify().intact
        assert len(set_files(restored.lake.slice("thumbs").folder)) == 4


people = st.sampled_from([None, "ann", "bob", "zoë"])
steps = st.lists(st.one_of(st.lists(people, min_size=1, max_size=4), st.integers(0, 5)), max_size=8)


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=steps)
def test_every_version_holds_what_a_plain_model_says(home: Home, steps: list[Any]) -> None:
    """Batches come and files go; each version's rows are those of the files that it then had."""
    name = f"model{len(home.slices())}"
    home.create_slice(CONTRACT.replace("thumbs", name))
    living: dict[int, list[str | None]] = {}
    versions: list[Counter[str | None]] = [Counter()]
    for step in steps:
        version = len(versions)
        if isinstance(step, list):
            home.slice(name).append(rows(*step), source="app", offset=version)
            living[version] = step
        elif living:
            gone = sorted(living)[step % len(living)]
            remove(home, gone, name=name, fence=version)
            del living[gone]
        else:
            continue
        versions.append(Counter(who for batch in living.values() for who in batch))
    home.subject("ann")
    for version in range(len(versions)):
        home.pin(f"{name}@{version}", reason="look")
    for who in ("ann", "bob", "zoë"):
        mine = next((one for one in home.subject(who).slices if one.name == name), None)
        told = {one.ref: one.rows for one in mine.snapshots} if mine else {}
        assert told == {
            f"{name}@{version}": said[who] for version, said in enumerate(versions) if said[who]
        }
        assert (mine.rows if mine else 0) == versions[-1][who]
