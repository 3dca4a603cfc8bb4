"""A table's contract changes: rows stay, races lose nothing, and a crash is healed."""

import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from backstory.lake.commits import read_commit
from backstory.lake.contract import Column, Contract
from backstory.lake.contract_change import can_widen
from backstory.lake.contract_commit import FENCE, OPERATION
from backstory.lake.contract_files import contract_file
from backstory.lake.earlier import seen_under
from backstory.lake.errors import (
    IncompatibleContractError,
    IntegrityError,
    OffsetConflict,
    RefusedError,
)
from backstory.lake.evolving import Evolved, evolvable, evolve
from backstory.lake.gate import pass_gate
from backstory.lake.linked import link
from backstory.lake.pinned import Strength, reopen
from backstory.lake.pins import pin
from backstory.lake.receipt import Outcome
from backstory.lake.snapshot import open_snapshot
from backstory.lake.table import SliceTable
from backstory.lake.types import parse_type
from backstory.lake.verify import verify_table
from tests.lake.contracts import SCALARS
from tests.lake.foreign import plain
from tests.lake.thumbs import CONTRACT, KEY, NOW, append, contract, create, new_id, rows
from tests.lake.values import values_of

REPOSITORY = Path(__file__).resolve().parents[2]
WIDER = CONTRACT.replace("age: {type: int32", "age: {type: int64") + "  reason: {type: string}\n"
EVOLVE = """
import sys
from pathlib import Path
from tests.lake.test_evolving import WIDER, change
from backstory.lake.table import SliceTable
change(SliceTable.open(Path(sys.argv[1]), "thumbs/en"), WIDER)
"""


def change(table: SliceTable, text: str) -> Evolved:
    return evolve(table, Contract.from_yaml(text), at=NOW, info={"actor": "ada"})


def gated(table: SliceTable, *given: dict[str, object]) -> pa.Table:
    return pass_gate(list(given), table.contract, KEY)


def test_old_rows_stay_readable_and_old_versions_keep_their_schema(tmp_path: Path) -> None:
    table = create(tmp_path)
    append(table, rows(3))
    before = open_snapshot(table).arrow()
    evolved = change(table, WIDER)
    assert (evolved.version, evolved.contract.version) == (2, 2)
    assert [str(one) for one in evolved.changes] == [
        "column age: type int32 → int64",
        "column reason: new, string",
    ]
    wide = gated(table, {"event_id": "new", "age": 1 << 40, "reason": "too long"})
    append(table, wide, offset=9)

    after = open_snapshot(table)
    assert after.schema == table.contract.schema
    assert after.arrow()["age"].to_pylist() == [20, 21, 22, 1 << 40]
    assert after.arrow()["reason"].to_pylist() == [None, None, None, "too long"]
    assert after.count("age > 4000000000 and reason is not null") == 1
    assert after.count("age = 21 and reason is null") == 1
    assert open_snapshot(table, 1).arrow() == before
    assert pa.table(DeltaTable(table.folder).scan())["age"].to_pylist()[-3:] == [20, 21, 22]
    assert not verify_table(table).findings


def test_the_commit_says_who_changed_what_under_the_fence(tmp_path: Path) -> None:
    table = create(tmp_path)
    change(table, WIDER)
    commit = read_commit(table.folder, 1)
    assert (commit.operation, commit.contract_version, commit.rows) == (OPERATION, 2, 0)
    assert commit.info["actor"] == "ada"
    assert commit.info["contract"] == table.contract.digest
    assert commit.info["changes"][1] == "column reason: new, string"
    assert DeltaTable(table.folder).transaction_version(FENCE) == 1


def test_the_same_contract_again_changes_nothing(tmp_path: Path) -> None:
    table = create(tmp_path)
    change(table, WIDER)
    again = change(table, WIDER)
    assert (again.version, again.changes, again.contract.version) == (None, (), 2)
    assert table.version == 1


def test_what_the_table_cannot_bear_leaves_it_as_it_is(tmp_path: Path) -> None:
    table = create(tmp_path)
    with pytest.raises(IncompatibleContractError, match="label: type int64 → int32"):
        change(table, CONTRACT.replace("int64", "int32"))
    assert (table.version, table.contract.version) == (0, 1)
    assert not contract_file(table.folder, 2).exists()


def test_new_words_only_disturb_no_append(tmp_path: Path) -> None:
    table, other = create(tmp_path), SliceTable.open(tmp_path, "thumbs/en")
    append(other, rows(1))
    change(table, "signals: {up: it helped}" + CONTRACT)
    assert append(other, rows(1, first=1), offset=1).contract_version == 1
    assert other.refresh().version == 2
    assert append(other, rows(1, first=2), offset=2).contract_version == 2
    assert [commit_version(table, n) for n in range(1, 5)] == [1, 2, 1, 2]


def commit_version(table: SliceTable, version: int) -> int | None:
    return read_commit(table.folder, version).contract_version


def test_an_appender_of_before_goes_on_under_the_new_contract(tmp_path: Path) -> None:
    table, other = create(tmp_path), SliceTable.open(tmp_path, "thumbs/en")
    append(other, rows(2))
    change(table, WIDER)
    passed = rows(2, first=2)  # by the gate of the contract that `other` still knows
    assert append(other, passed, offset=2).contract_version == 1
    assert other.refresh().version == 2
    assert open_snapshot(table).rows == 4


def test_a_batch_of_before_is_known_again(tmp_path: Path) -> None:
    table = create(tmp_path)
    given = {"event_id": "a", "age": 30}
    first = gated(table, given)
    append(table, first, offset=5)
    change(table, WIDER)
    again = gated(table, given)
    assert again.schema != first.schema
    assert append(table, again, offset=5).outcome is Outcome.DUPLICATE
    assert first is not None
    assert set(table.digests(first)) == set(table.digests(again))
    with pytest.raises(OffsetConflict):
        append(table, gated(table, {**given, "reason": "new"}), offset=5)
    with pytest.raises(OffsetConflict):
        append(table, gated(table, {**given, "age": 1 << 40}), offset=5)


def test_a_batch_of_after_is_known_to_who_has_not_noticed(tmp_path: Path) -> None:
    table, other = create(tmp_path), SliceTable.open(tmp_path, "thumbs/en")
    old = gated(other, {"event_id": "a"})
    change(table, WIDER)
    append(table, gated(table, {"event_id": "a"}), offset=5)
    assert append(other, old, offset=5).outcome is Outcome.DUPLICATE


def test_pins_of_before_and_after_reopen_alike(tmp_path: Path) -> None:
    table = create(tmp_path)
    append(table, rows(3))
    snapshots = [open_snapshot(table)]
    change(table, WIDER)
    append(table, gated(table, {"event_id": "new", "reason": "x"}), offset=9)
    snapshots.append(open_snapshot(table))
    for number, snapshot in enumerate(snapshots):
        pin(
            table,
            snapshot,
            pin_id=f"p{number}",
            holder="ada",
            reason="",
            strength=Strength.HELD,
            at=NOW,
        )
    for path in (table.folder / "_delta_log").iterdir():
        path.unlink()
    for snapshot in snapshots:
        assert reopen(table, snapshot.digest).arrow() == snapshot.arrow()


@pytest.mark.parametrize("place", ["contract.written", "contract.committed"])
@pytest.mark.parametrize("heal", ["settle", "append", "evolve"])
def test_a_crash_is_healed_by_who_comes_next(place: str, heal: str, tmp_path: Path) -> None:
    append(create(tmp_path), rows(2))
    died = subprocess.run(
        [sys.executable, "-c", EVOLVE, str(tmp_path)],
        cwd=REPOSITORY,
        env={**os.environ, "BACKSTORY_CRASH_AT": place},
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    table = SliceTable.open(tmp_path, "thumbs/en")
    assert table.contract.version == 2
    assert open_snapshot(table).rows == 2
    if heal == "settle":
        table.settle(at=NOW)
    elif heal == "append":
        append(table, gated(table, {"event_id": "new", "reason": "x"}), offset=9)
    else:
        assert change(table, WIDER).changes == ()
    assert open_snapshot(table).schema == table.contract.schema
    assert table.settle(at=NOW) is None
    assert [commit_version(table, 2), table.contract.version] == [2, 2]
    assert not verify_table(table).findings


def test_of_two_rivals_each_gets_a_version(tmp_path: Path) -> None:
    table, other = create(tmp_path), SliceTable.open(tmp_path, "thumbs/en")
    change(table, CONTRACT + "  reason: {type: string}\n")
    with pytest.raises(IncompatibleContractError, match="column reason: removed"):
        change(other, CONTRACT + "  place: {type: string}\n")
    both = CONTRACT + "  reason: {type: string}\n  place: {type: string}\n"
    assert change(other, both).contract.version == 3
    assert table.refresh().version == 3


def test_appends_that_race_with_changes_lose_nothing(tmp_path: Path) -> None:
    table = create(tmp_path)
    batches, text = 10, CONTRACT
    writers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.lake.writing", str(tmp_path), f"s{n}", ""]
            + [str(offset) for offset in range(batches)],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(3)
    ]
    changed = 0
    while changed == 0 or any(writer.poll() is None for writer in writers):
        changed += 1
        text += f"  extra{changed}: {{type: string}}\n"
        assert change(table, text).version is not None
    outcomes = [writer.communicate()[0].split() for writer in writers]
    assert outcomes == [[w for o in range(batches) for w in (str(o), "accepted")]] * 3
    seen = Counter(open_snapshot(table).arrow(["event_id"])["event_id"].to_pylist())
    assert len(seen) == 3 * batches * 5
    assert set(seen.values()) == {1}
    assert table.contract.version == changed + 1
    assert not verify_table(table).findings


def test_tables_of_others_and_of_interactions_are_refused(tmp_path: Path) -> None:
    plain(tmp_path / "theirs")
    with pytest.raises(RefusedError, match="is a linked table"):
        evolvable(link(tmp_path / "lake", "theirs", str(tmp_path / "theirs"), at=NOW))
    interactions = replace(contract(), slice="_interactions/ranker")
    with pytest.raises(RefusedError, match="holds interactions"):
        evolvable(SliceTable.create(tmp_path, interactions, at=NOW))


def test_a_table_that_began_with_another_version_goes_on_from_there(tmp_path: Path) -> None:
    table = SliceTable.create(tmp_path, replace(contract(), version=4), at=NOW)
    append(table, rows(1))
    assert table.settle(at=NOW) is None
    assert change(table, WIDER).contract.version == 5
    assert append(table, rows(1, first=1), offset=1).contract_version == 4


def test_a_setting_that_somebody_changed_is_still_noticed(tmp_path: Path) -> None:
    table = create(tmp_path)
    change(table, WIDER)
    DeltaTable(table.folder).alter.set_table_properties({"delta.checkpointInterval": "500"})
    with pytest.raises(IntegrityError, match="checkpointInterval"):
        append(SliceTable.open(tmp_path, "thumbs/en"), rows(1))


def _wider() -> st.SearchStrategy[tuple[pa.DataType, pa.DataType]]:
    scalars = [parse_type(text) for text in (*SCALARS, "decimal(18,6)", "decimal(5,0)")]
    pairs = [(old, new) for old in scalars for new in scalars if can_widen(old, new)]
    flat = st.sampled_from(pairs)
    nested = st.one_of(
        flat.map(lambda pair: (pa.list_(pair[0]), pa.list_(pair[1]))),
        flat.map(lambda pair: (pa.struct([("x", pair[0])]), pa.struct([("x", pair[1])]))),
        flat.map(lambda pair: (pa.map_(pa.string(), pair[0]), pa.map_(pa.string(), pair[1]))),
    )
    return flat | nested


@st.composite
def _columns(draw: st.DrawFn) -> tuple[pa.DataType, pa.DataType, list[object]]:
    old, new = draw(_wider())
    return old, new, draw(st.lists(values_of(old), min_size=1, max_size=4))


@settings(max_examples=40)
@given(drawn=_columns())
def test_a_widened_column_reads_as_the_values_that_were_stored(
    drawn: tuple[pa.DataType, pa.DataType, list[object]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    old, new, values = drawn
    first = Contract(slice="s", purpose="p", columns=(Column(name="v", type=old),))
    table = SliceTable.create(tmp_path_factory.mktemp("lake"), first, at=NOW)
    stored = pa.table({"v": pa.array(values, old)}, schema=first.schema)
    table.append(stored, source="app", offset=1, at=NOW, new_id=new_id)
    wider = replace(first, columns=(Column(name="v", type=new), Column(name="w", type=old)))
    evolve(table, wider, at=NOW, info={})
    read = open_snapshot(table).arrow()
    assert read.schema == wider.schema
    assert read["w"].null_count == len(values)
    assert read["v"].to_pylist() == stored["v"].cast(new).to_pylist()
    back = seen_under(read, first)
    assert back is not None
    assert back["v"].to_pylist() == stored["v"].to_pylist()
    assert (
        table.append(
            seen_under(stored, table.contract), source="app", offset=1, at=NOW, new_id=new_id
        ).outcome
        is Outcome.DUPLICATE
    )


def test_rows_that_do_not_fit_are_not_seen_under_a_contract() -> None:
    narrow = Contract(slice="s", purpose="p", columns=(Column(name="f", type=pa.float32()),))
    assert seen_under(pa.table({"f": [0.5]}), narrow) is not None
    assert seen_under(pa.table({"f": [0.1]}), narrow) is None
    strict = replace(narrow, columns=(Column(name="f", type=pa.float32(), nullable=False),))
    assert seen_under(pa.table({"f": pa.nulls(1, pa.float32())}), strict) is None
    assert seen_under(pa.table({"g": pa.nulls(1)}), strict) is None
