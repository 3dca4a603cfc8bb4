import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from math import isnan
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstory.lake.change_shares import RowCounts
from backstory.lake.disagreements import LabelQuestion
from backstory.lake.errors import GoneError, InvalidError, LimitExceededError
from backstory.lake.linked import link
from backstory.lake.row_diff import CHANGED, EVERY, RowDiff, diff_rows
from backstory.lake.snapshot import open_snapshot
from tests.lake import foreign
from tests.lake.row_files import SCHEMA, Row, snapshot, stored
from tests.lake.thumbs import NOW

NAN = float("nan")


def told(diff: RowDiff, *kinds: str) -> list[tuple[Any, ...]]:
    """Some kinds of changes, or all: kind, columns and values, system columns left out."""
    rows = diff.stream(kinds or EVERY).read_all().to_pylist()
    return [_told(row) for row in rows]


def _told(row: Row) -> tuple[Any, ...]:
    values = [value for name, value in row.items() if not name.startswith("_")]
    return row["_change"], tuple(row["_columns"] or ()), *map(plain, values)


def plain(value: Any) -> Any:
    """A value that can be counted, equal to what SQL takes for the same."""
    if isinstance(value, float):
        return "nan" if isnan(value) else value + 0.0
    if isinstance(value, list):
        return tuple(map(plain, value))
    return tuple(sorted(value.items())) if isinstance(value, dict) else value


def content(row: Row) -> tuple[Any, ...]:
    return tuple(plain(row.get(name)) for name in SCHEMA.names)


class Model:
    """The same comparison in plain Python."""

    def __init__(self, old: Sequence[Row], new: Sequence[Row], *, keyed: bool) -> None:
        went, came = (Counter(map(content, rows)) for rows in (old, new))
        self.went, self.came = went - came, came - went
        keys = [
            Counter(row[0] for row in side.elements() if row[0] is not None)
            for side in (self.went, self.came)
        ]
        self.changed = (keys[0] & keys[1]).total() if keyed else 0
        self.went_by, self.came_by = self._sources(old, new), self._sources(new, old)

    @property
    def counts(self) -> RowCounts:
        return RowCounts(
            added=self.came.total() - self.changed,
            removed=self.went.total() - self.changed,
            changed=self.changed,
        )

    @staticmethod
    def _sources(mine: Sequence[Row], others: Sequence[Row]) -> Counter[str]:
        """Who sent the rows of one side that the other does not have."""
        own, their = (Counter((content(r), r["_source"]) for r in rows) for rows in (mine, others))
        left, right = own - their, Counter(c for c, _ in (their - own).elements())
        found: Counter[str] = Counter()
        for row, source in sorted(left.elements(), key=lambda item: item[1]):
            if right[row]:
                right[row] -= 1
            else:
                found[source] += 1
        return found


KEYS = st.sampled_from(["a", "b", "c", None])
ROWS = st.fixed_dictionaries(
    {
        "id": KEYS,
        "n": st.sampled_from([1, 2, None]),
        "f": st.sampled_from([0.0, -0.0, NAN, None]),
        "tags": st.sampled_from([None, [], ["x", None]]),
        "about": st.sampled_from([None, {"a": None}, {"a": 1}]),
        "more": st.sampled_from([None, [], [("k", 1)]]),
        "_source": st.sampled_from(["app", "web"]),
    }
)
FILES = st.lists(st.lists(ROWS, max_size=4), max_size=3)


@given(kept=FILES, old=FILES, new=FILES, keyed=st.booleans(), many=st.booleans())
@settings(max_examples=25, deadline=None)
def test_it_is_what_multisets_and_keys_say(
    kept: list[list[Row]],
    old: list[list[Row]],
    new: list[list[Row]],
    *,
    keyed: bool,
    many: bool,
) -> None:
    key = "id" if keyed else None
    with tempfile.TemporaryDirectory() as name:
        both = [stored(rows) for rows in kept]
        a = snapshot(Path(name), [*both, *map(stored, old)])
        b = snapshot(Path(name), [*map(stored, new), *both], version=1)
        model = Model([*chain(*old)], [*chain(*new)], keyed=keyed)
        limit = 0 if many else 1000
        with diff_rows(a, b, key=key, many=limit) as diff, diff_rows(b, a, key=key) as back:
            assert diff.counts == model.counts
            check_rows(diff, model)
            check_sources(diff, model)
            assert mirrored(told(back)) == Counter(told(diff))


def check_rows(diff: RowDiff, model: Model) -> None:
    rows = told(diff)
    went = Counter(row[2:] for row in rows if row[0] in {"removed", "before"})
    came = Counter(row[2:] for row in rows if row[0] in {"added", "after"})
    assert (went, came) == (model.went, model.came)
    pairs = told(diff, *CHANGED)
    for before, after in zip(pairs[::2], pairs[1::2], strict=True):
        assert (before[0], after[0], before[2]) == ("before", "after", after[2])
        names = [n for n in diff.schema.names if not n.startswith("_")]
        values = zip(names, before[2:], after[2:], strict=True)
        assert before[1] == after[1] == tuple(n for n, one, two in values if one != two)


def check_sources(diff: RowDiff, model: Model) -> None:
    shares = diff.by_source()
    assert shares is not None
    went = {s.value: s.removed + s.changed_from for s in shares.groups}
    came = {s.value: s.added + s.changed_to for s in shares.groups}
    assert (+Counter(went), +Counter(came)) == (model.went_by, model.came_by)


def mirrored(rows: Sequence[tuple[Any, ...]]) -> Counter[tuple[Any, ...]]:
    turned = {"added": "removed", "removed": "added", "before": "after", "after": "before"}
    return Counter((turned[row[0]], *row[1:]) for row in rows)


def test_columns_that_changed_are_counted(tmp_path: Path) -> None:
    old = stored([{"id": "a", "n": 1, "f": NAN}, {"id": "b", "n": 1}, {"id": "c"}])
    new = stored([{"id": "a", "n": 2, "f": NAN}, {"id": "b", "n": 2, "f": 0.5}, {"id": "c"}])
    with diff_rows(snapshot(tmp_path, [old]), snapshot(tmp_path, [new]), key="id") as diff:
        assert diff.counts == RowCounts(added=0, removed=0, changed=2)
        assert [(c.column, c.changed) for c in diff.by_column()] == [("n", 2), ("f", 1)]
        shares = diff.by_expression("n > 1")
        assert [(s.value, s.changed_from, s.changed_to) for s in shares.groups] == [
            (False, 2, 0),
            (True, 0, 2),
        ]


def test_who_sent_a_row_is_no_change_of_it(tmp_path: Path) -> None:
    old = stored([{"id": "a", "_source": "app"}])
    new = stored([{"id": "a", "_source": "web", "_offset": 9}])
    with diff_rows(snapshot(tmp_path, [old]), snapshot(tmp_path, [new]), key="id") as diff:
        assert not diff.counts
        assert told(diff) == []


def test_columns_come_widen_go_and_turn_into_others(tmp_path: Path) -> None:
    old = pa.table({"id": ["a", "b"], "n": pa.array([1, 2], pa.int32()), "x": [1, 2], "y": [7, 8]})
    new = pa.table({"id": ["a", "b"], "n": [1, 2], "new": [None, 1], "y": ["7", "9"]})
    a, b = (snapshot(tmp_path, [table], ours=False) for table in (old, new))
    with diff_rows(a, b, key="id") as diff:
        assert diff.schema.names == ["id", "n", "new", "y", "x"]
        assert [(c.column, c.changed) for c in diff.by_column()] == [("x", 2), ("new", 1), ("y", 1)]
        assert told(diff, "after") == [
            ("after", ("x",), "a", 1, None, "7", None),
            ("after", ("new", "y", "x"), "b", 2, 1, "9", None),
        ]


def test_files_of_both_are_not_opened(tmp_path: Path) -> None:
    kept, new = stored([{"id": "a"}]), stored([{"id": "b"}])
    a, b = snapshot(tmp_path, [kept]), snapshot(tmp_path, [kept, new], version=1)
    (tmp_path / a.manifest.files[0].path).unlink()
    with diff_rows(a, b, key="id") as diff:
        assert diff.counts == RowCounts(added=1, removed=0, changed=0)
        assert diff.files.rows == 1


def test_what_does_not_fit_in_memory_goes_through_the_disk(tmp_path: Path) -> None:
    rows, memory = 500_000, 144 << 20
    ids = pa.array(f"event-{n:032}" for n in range(rows))
    old = pa.table({"id": ids, "text": ids, "n": pa.array(range(rows))})
    new = old.set_column(2, "n", pa.array(-n if n % 2 else n for n in range(rows)))
    a, b = (snapshot(tmp_path, [table], ours=False) for table in (old, new.slice(10)))
    with diff_rows(a, b, key="id", memory=memory) as diff:
        assert diff.counts == RowCounts(added=0, removed=10, changed=rows // 2 - 5)
        assert any(Path(diff.folder).iterdir())
        streamed = sum(batch.num_rows for batch in diff.stream())
    assert streamed == 10 + 2 * (rows // 2 - 5)
    assert not Path(diff.folder).exists()


def test_tables_that_hide_rows_are_read_by_their_own_engine(tmp_path: Path) -> None:
    folder = foreign.with_deletion_vector(tmp_path / "theirs", deleted=(3, 7))
    table = link(tmp_path / "lake", "clicks", str(folder), at=NOW)
    with diff_rows(open_snapshot(table, 0), open_snapshot(table, 1), key="n") as diff:
        assert diff.counts == RowCounts(added=0, removed=2, changed=0)
        assert sorted(told(diff)) == [("removed", (), 3, "w3"), ("removed", (), 7, "w7")]
        assert diff.by_source() is None


def test_partitions_are_columns_too(tmp_path: Path) -> None:
    table = link(tmp_path / "lake", "t", str(foreign.partitioned(tmp_path / "theirs")), at=NOW)
    now = open_snapshot(table)
    none = replace(now, manifest=replace(now.manifest, version=0, files=()))
    with diff_rows(none, now) as diff:
        assert diff.counts.added == 12
        assert {s.value: s.added for s in diff.by_expression("place").groups} == {
            "a b": 4,
            "50%": 4,
            None: 4,
        }


def labelled(source: str, label: int | None, number: int, about: int = 1) -> Row:
    return {"id": f"{source}{number}", "n": label, "f": float(about), "_source": source}


def test_other_sources_that_say_another_label(tmp_path: Path) -> None:
    kept = stored([labelled("app", 1, 0), labelled("app", 1, 1, about=2), labelled("bot", None, 2)])
    new = stored(
        [
            labelled("web", 0, 3),  # app says 1
            labelled("web", 1, 4),  # as app does
            labelled("web", 0, 5, about=2),  # app says 1
            labelled("web", None, 6),
            labelled("web", 0, 7, about=9),  # nobody else speaks of it
            labelled("bot", 5, 8, about=2),  # app says 1, web says 0
        ]
    )
    a, b = snapshot(tmp_path, [kept]), snapshot(tmp_path, [kept, new], version=1)
    question = LabelQuestion(label="n", about=("f",))
    with diff_rows(a, b, key="id", label=question) as diff:
        found = diff.disagreements()
    assert found.rows == 3
    assert [(g.source, g.label, g.other_source, g.other_label, g.rows) for g in found.groups] == [
        ("web", 0, "app", 1, 2),
        ("bot", 5, "app", 1, 1),
        ("bot", 5, "web", 0, 1),
        ("web", 0, "bot", 5, 1),
    ]


def test_a_sample_has_the_first_of_each_kind(tmp_path: Path) -> None:
    old = stored([{"id": f"{n:02}", "n": 1} for n in range(30)])
    new = stored([{"id": f"{n:02}", "n": 1 + (n < 20)} for n in range(10, 50)])
    with diff_rows(snapshot(tmp_path, [old]), snapshot(tmp_path, [new]), key="id") as diff:
        rows = [(row["_change"], row["id"]) for row in diff.sample(2)]
        assert rows == [
            *(("added", "30"), ("added", "31"), ("removed", "00"), ("removed", "01")),
            *(("before", "10"), ("after", "10"), ("before", "11"), ("after", "11")),
        ]
        assert diff.sample(0) == []
        with pytest.raises(LimitExceededError, match="0 to 10000 rows"):
            diff.sample(10_001)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("read_text('/etc/passwd')", "is not allowed"),
        ("(select 1)", "is not allowed"),
        ("n; drop table changes", "not exactly one expression"),
        ("no_such", "there is no column"),
        ("sum(n)", "is not allowed"),
        ("cast(id as integer)", "by: "),
        ("", "by: "),
    ],
)
def test_expressions_are_caged(tmp_path: Path, text: str, problem: str) -> None:
    none, some = snapshot(tmp_path, []), snapshot(tmp_path, [stored([{"id": "a"}])])
    with diff_rows(none, some) as diff, pytest.raises(InvalidError, match=problem):
        diff.by_expression(text)


def test_columns_must_be_there(tmp_path: Path) -> None:
    a = snapshot(tmp_path, [stored([{"id": "a"}])])
    with pytest.raises(InvalidError, match="no column 'ids'"):
        diff_rows(a, a, key="ids")
    with pytest.raises(InvalidError, match="no column 'stars'"):
        diff_rows(a, a, label=LabelQuestion(label="stars", about=("id",)))
    with diff_rows(a, a) as diff, pytest.raises(InvalidError, match="no label is named"):
        diff.disagreements()
    theirs = snapshot(tmp_path, [pa.table({"_change": [1]})], ours=False)
    with pytest.raises(InvalidError, match="'_change'"):
        diff_rows(theirs, theirs)


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    none, some = snapshot(tmp_path, []), snapshot(tmp_path, [stored([{"id": "a"}])])
    (tmp_path / some.manifest.files[0].path).unlink()
    with pytest.raises(GoneError, match="part-"):
        diff_rows(none, some)
