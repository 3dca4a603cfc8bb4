"""`diff --rows`: what is told, written and refused."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.cli.running import draw, run
from tests.cli.shop import Shop

DIFF = ("diff", "thumbs/en@1", "thumbs/en@3", "--rows")


def test_rows_are_counted_by_source(shop: Shop) -> None:
    found = run(*DIFF, "--json", home=shop.home).data
    assert (found["added"], found["removed"], found["changed"]) == (340, 0, 0)
    assert (found["key"], found["rowsRead"]) == ("event_id", 340)
    sources = {s["value"]: s["added"] for s in found["bySource"]["groups"]}
    assert sources == {"web": 300, "app": 40}
    drawn = draw(*DIFF, "--sample", "2", home=shop.home)
    assert drawn[0] == "thumbs/en@1 → thumbs/en@3"
    assert "added    340" in drawn
    assert "read     340 rows in 2 files" in drawn


def test_people_are_masked_unless_their_column_is_named(shop: Shop) -> None:
    sample = run(*DIFF, "--json", home=shop.home).data["sample"]
    assert {row["user"] for row in sample} == {"•••"}
    assert "_source" not in sample[0]
    named = run(*DIFF, "--columns", "event_id,user,_source", "--json", home=shop.home).data
    assert all(row["user"].startswith("k") and row["_source"] for row in named["sample"])
    assert set(named["sample"][0]) == {"_change", "_columns", "event_id", "user", "_source"}


def test_groups_by_an_expression(shop: Shop) -> None:
    found = run(*DIFF, "--by", "rating > 2", "--json", home=shop.home).data["by"]
    assert found["what"] == "rating > 2"
    assert sum(group["added"] for group in found["groups"]) == 340
    rows = run(*DIFF, "--by", "source", "--sample", "0", home=shop.home).out
    assert "web\t300\t0\t0\t0" in rows


def test_labels_that_differ_between_sources(shop: Shop) -> None:
    found = run(*DIFF, "--label", "rating", "--about", "user", "--json", home=shop.home).data
    told = found["disagreements"]
    assert told["rows"] > 0
    group = told["groups"][0]
    assert group["source"] != group["otherSource"]
    assert group["label"] != group["otherLabel"]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_all_rows_are_written_and_nothing_is_written_over(
    suffix: str, shop: Shop, tmp_path: Path
) -> None:
    path = tmp_path / f"changes.{suffix}"
    done = run(*DIFF, "--out", path, "--json", home=shop.home)
    assert (done.code, done.data["written"]) == (0, 340)
    if suffix == "parquet":
        table = pq.read_table(path)
        assert (table.num_rows, table.column_names[:2]) == (340, ["_change", "_columns"])
    else:
        assert len(path.read_text().splitlines()) == 340 + (suffix == "csv")
    if suffix == "jsonl":
        first = json.loads(path.read_text().partition("\n")[0])
        assert first["user"].startswith("k")  # as it is stored
    again = run(*DIFF, "--out", path, home=shop.home)
    assert (again.code, again.out) == (1, "")
    assert "is there already" in again.err


@pytest.mark.parametrize(
    ("args", "code", "problem"),
    [
        (["--by", "read_text('/etc/hostname')"], 2, "by: \"READ_TEXT('/etc/hostname')\" is not"),
        (["--by", "no_such"], 2, "there is no column 'no_such'"),
        (["--by", "signal"], 2, "no column of thumbs/en tells the signal"),
        (["--key", "ratng"], 2, "there is no column 'ratng'"),
        (["--label", "stars"], 2, "there is no column 'stars'"),
        (["--columns", "rating,ussr"], 2, "there is no column 'ussr'"),
        (["--about", "user"], 2, "--about is for --label"),
        (["--out", "x.xlsx"], 2, "does not say how"),
        (["--sample", "-1"], 2, "0 to 10000 rows"),
    ],
)
def test_what_cannot_be_told(args: list[str], code: int, problem: str, shop: Shop) -> None:
    ran = run(*DIFF, *args, home=shop.home)
    assert (ran.code, ran.out) == (code, "")
    assert problem in ran.err
    assert len(ran.err.splitlines()) == 2


def test_options_of_rows_need_rows(shop: Shop) -> None:
    ran = run("diff", "thumbs/en@1", "thumbs/en@3", "--by", "source", home=shop.home)
    assert (ran.code, "--by is for --rows" in ran.err) == (2, True)


@pytest.mark.parametrize(("args", "code"), [(["--exit-code"], 10), ([], 0)])
def test_the_code_tells_whether_rows_differ(args: list[str], code: int, shop: Shop) -> None:
    assert run(*DIFF, *args, home=shop.home).code == code
    same = ("diff", "thumbs/en@2", "thumbs/en@2", "--rows")
    assert run(*same, "--exit-code", home=shop.home).code == 0
