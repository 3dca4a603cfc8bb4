from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

import backstory
from backstory.lineage.comparing_rows import MASK, count_rows
from backstory.lineage.home import Home
from tests.lineage.homes import MORNING, feed, link, train

CONTRACT = """
slice: reasons
purpose: improve the ranker
signals: [wrong, slow]
columns:
  id:     {type: string, role: event_id, nullable: false}
  user:   {type: string, role: subject, personal: direct}
  answer: {type: string, role: interaction_id}
  signal: {type: string}
  stars:  {type: int64}
"""


def reasons(home: Home, source: str, *rows: tuple[str, str | None, int | None]) -> None:
    """One more commit: of answer a, a signal and stars by one source."""
    if "reasons" not in {summary.slice.name for summary in home.slices()}:
        home.create_slice(CONTRACT)
    table = home.slice("reasons")
    offset = home.slices()[-1].slice.last_version + 1
    table.append(
        [
            {
                "id": f"{offset}-{n}",
                "user": "ann",
                "answer": answer,
                "signal": signal,
                "stars": stars,
            }
            for n, (answer, signal, stars) in enumerate(rows)
        ],
        source=source,
        offset=offset,
    )


def test_rows_come_as_arrow_with_their_counts(home: Home) -> None:
    feed(home, 3)
    with home.diff_rows("thumbs/en@1", "thumbs/en") as diff:
        assert (diff.base.version, diff.head.version) == (1, 3)
        assert (diff.counts.added, diff.counts.removed, diff.counts.changed) == (8, 0, 0)
        table = diff.added.read_all()
        assert table.column_names[:3] == ["_change", "_columns", "event_id"]
        assert (table.num_rows, diff.removed.read_all().num_rows) == (8, 0)
        assert diff.changed.read_all().num_rows == 0
        assert diff.by_signal() is None
        assert [(s.value, s.added) for s in diff.by("source").groups] == [("app", 8)]
        assert [(lease.version, lease.slice) for lease in home.leases("thumbs/en")] == [
            (1, "thumbs/en"),
            (3, "thumbs/en"),
        ]
    with home.diff_rows("thumbs/en", "thumbs/en@1") as back:
        assert (back.counts.added, back.counts.removed) == (0, 8)


def test_a_pinned_version_whose_log_is_gone_is_compared(home: Home) -> None:
    feed(home, 3)
    home.pin("thumbs/en@1", reason="audit")
    log = home.lake.folder("thumbs/en") / "_delta_log"
    home.pin("thumbs/en@3", reason="audit")
    for entry in log.iterdir():
        entry.unlink()
    with home.diff_rows("thumbs/en@1", "thumbs/en@3") as diff:
        assert diff.counts.added == 8
        assert diff.rows.files.rows == 8


def test_signals_and_other_sources(home: Home) -> None:
    reasons(home, "app", ("a1", "wrong", 1), ("a2", "slow", 2))
    reasons(home, "web", ("a1", "wrong", 5), ("a2", None, 2), ("a3", "ann@example.org", 1))
    with home.diff_rows("reasons@1", "reasons@2", label="stars") as diff:
        found = diff.by_signal()
        assert found is not None
        assert [(s.value, s.added) for s in found.groups] == [
            ("ann@example.org", 1),
            ("wrong", 1),
            (None, 1),
        ]
        [group] = diff.rows.disagreements().groups
        assert (group.source, group.label, group.other_source, group.other_label) == (
            "web",
            5,
            "app",
            1,
        )
    counted = count_rows(home, "reasons@1", "reasons@2")
    assert counted.by_signal is not None
    assert [share.value for share in counted.by_signal.groups] == ["wrong"]


def test_what_cannot_be_asked(home: Home, tmp_path: Path) -> None:
    feed(home, 2)
    link(home, tmp_path)
    with pytest.raises(backstory.InvalidError, match="different slices"):
        home.diff_rows("thumbs/en", "clicks")
    with pytest.raises(backstory.InvalidError, match="no column says who sent"):
        home.diff_rows("clicks", "clicks", label="n", about=["n"])
    with pytest.raises(backstory.InvalidError, match="which interaction a row is about"):
        home.diff_rows("clicks", "clicks", label="n")
    with (
        home.diff_rows("clicks", "clicks") as diff,
        pytest.raises(backstory.InvalidError, match="no column of clicks tells the source"),
    ):
        diff.by("source")


def test_people_of_others_are_told_by_pseudonym(home: Home, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    for number in range(2):
        write_deltalake(theirs, orders(number), mode="append")
    train(home)
    home.link_interactions(
        "ranker", str(theirs), columns={"id": "order", "at": "ts", "subject": "user"}
    )
    [name] = [s.slice.name for s in home.slices(interactions=True) if s.slice.flavour == "linked"]
    pseudonym = home.key.pseudonym("ann")
    with home.diff_rows(f"{name}@0", f"{name}@1", key="order") as diff:
        assert [row["user"] for row in diff.sample(3)] == [pseudonym]
        assert diff.write(tmp_path / "rows.parquet") == 1
        assert pq.read_table(tmp_path / "rows.parquet")["user"].to_pylist() == [pseudonym]
        assert diff.added.read_all()["user"].to_pylist() == ["ann"]  # Python reads what lies there
        with pytest.raises(backstory.InvalidError, match="no column 'user'"):
            diff.by("user")


def orders(number: int) -> pa.Table:
    rows: dict[str, Any] = {"order": [f"o-{number}"], "ts": [MORNING], "user": ["ann"]}
    schema = pa.schema(
        [("order", pa.string()), ("ts", pa.timestamp("us", "UTC")), ("user", pa.string())]
    )
    return pa.table(rows, schema)


def test_own_people_are_masked_in_samples(home: Home) -> None:
    reasons(home, "app", ("a1", "wrong", 1))
    with home.diff_rows("reasons@0", "reasons@1") as diff:
        [row] = diff.sample()
        assert (row["user"], row["stars"]) == (MASK, 1)
        [row] = diff.sample(1, ["user"])
        assert row["user"] == home.key.pseudonym("ann")
