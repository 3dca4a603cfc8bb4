"""Feedback in, looked at, compared, pinned: init, slices, ingest, history, show, diff, pin."""

import gzip
import json
import shutil
from pathlib import Path

import pytest

from tests.cli.running import draw, process, run
from tests.cli.shop import CONTRACT, Shop, write_jsonl

DIGEST_DIGITS = 64


def test_a_home_is_made_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = run("init", "--json")
    assert made.code == 0
    assert made.data["home"] == str(tmp_path / ".backstory")
    assert "backstory slices create CONTRACT.yaml" in made.err
    assert (tmp_path / ".backstory/.gitignore").read_text() == "*\n"
    assert run("slices", "--json").data == []


def test_a_home_is_made_where_it_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKSTORY_HOME", str(tmp_path / "c"))
    assert run("init", tmp_path / "a").code == 0
    assert run("init", home=tmp_path / "b").code == 0
    assert run("init").code == 0
    assert [run("slices", home=tmp_path / name).code for name in "abc"] == [0, 0, 0]
    assert (tmp_path / "a/.backstory/backstory.toml").exists()
    assert (tmp_path / "b/backstory.toml").exists()


def test_a_home_with_its_lake_and_store_elsewhere(tmp_path: Path) -> None:
    lake, store = tmp_path / "tables", tmp_path / "store.db"
    made = run("init", tmp_path, "--lake", lake, "--db", f"sqlite:///{store}", "--json")
    assert (made.data["lake"], made.data["store"]) == (str(lake), str(store))
    assert store.exists()


def test_a_second_home_is_refused(shop: Shop) -> None:
    again = run("init", shop.folder)
    assert again.code == 1
    assert again.err.startswith("error: ")
    assert "hint: use it as it is" in again.err


def test_slices_are_listed(shop: Shop) -> None:
    listed = run("slices", home=shop.home)
    assert listed.out.splitlines()[0] == "slice\tversion\trows\tlast commit\tpinned\tkind"
    (row,) = listed.rows
    assert row[:3] == ["thumbs/en", "3", "1540"]
    names = [
        found["name"] for found in run("slices", "--interactions", "--json", home=shop.home).data
    ]
    assert names == ["_interactions/ranker", "thumbs/en"]


def test_a_slice_is_made_from_a_contract(own_shop: Shop, tmp_path: Path) -> None:
    contract = tmp_path / "clicks.yaml"
    contract.write_text(CONTRACT.replace("thumbs/en", "clicks"))
    made = run("slices", "create", contract, "--json", home=own_shop.home)
    assert made.data["name"] == "clicks"
    again = run("slices", "create", contract, home=own_shop.home)
    assert (again.code, again.out) == (1, "")


def test_a_table_of_others_is_linked(own_shop: Shop) -> None:
    theirs = shutil.copytree(own_shop.home / "lake/thumbs__en", own_shop.folder / "theirs")
    linked = run("slices", "link", "theirs", theirs, "--json", home=own_shop.home)
    assert linked.data == {"name": "theirs", "version": 3, "uri": str(theirs)}
    assert run("show", "theirs", "--json", home=own_shop.home).data["rows"] == 1540
    refused = run(
        "ingest", "theirs", write_jsonl(own_shop.folder / "a.jsonl", 9), home=own_shop.home
    )
    assert refused.code == 2
    assert "others write it" in refused.err


def test_files_are_ingested_once(own_shop: Shop) -> None:
    monday, tuesday = (write_jsonl(own_shop.folder / f"{d}.jsonl", d) for d in (10, 11))
    first = run("ingest", "thumbs/en", monday, tuesday, "--json", home=own_shop.home)
    assert [(r["file"], r["outcome"], r["accepted"], r["version"]) for r in first.data] == [
        ("10.jsonl", "accepted", 20, 4),
        ("11.jsonl", "accepted", 20, 5),
    ]
    again = run("ingest", "thumbs/en", monday, home=own_shop.home)
    assert again.rows == [["10.jsonl", "duplicate", "20", "", "", "thumbs/en@4", "file:10", "20"]]


def test_an_empty_file_is_nothing_to_ingest(own_shop: Shop) -> None:
    (own_shop.folder / "empty.jsonl").touch()
    done = run("ingest", "thumbs/en", own_shop.folder / "empty.jsonl", home=own_shop.home)
    assert done.rows == [["empty.jsonl", "empty", "0", "", "", "", "file:empty", "0"]]
    assert (done.code, done.err) == (0, "empty.jsonl has no rows: nothing to ingest\n")
    assert run("slices", "--json", home=own_shop.home).data[0]["version"] == 3


def test_packed_files_and_named_sources(own_shop: Shop) -> None:
    packed = own_shop.folder / "events.csv.gz"
    packed.write_bytes(
        gzip.compress(b"event_id,at,user,interaction,rating\na,2026-11-20T00:00:00Z,u,,3\n")
    )
    done = run(
        *("ingest", "thumbs/en", packed, "--source", "app", "--offset", "2000", "--json"),
        home=own_shop.home,
    )
    assert (done.data[0]["source"], done.data[0]["offset"]) == ("app", 2000)
    behind = run(
        "ingest", "thumbs/en", packed, "--source", "app", "--offset", "7", home=own_shop.home
    )
    assert behind.code == 1
    assert "offset 7 is not after its last offset 2000" in behind.err


def test_standard_input_is_ingested_without_touching_the_disk(own_shop: Shop) -> None:
    line = json.dumps({"event_id": "x", "at": "2026-11-20T00:00:00Z", "user": "Mary Plainly"})
    args = ("ingest", "thumbs/en", "-", "--format", "jsonl", "--source", "pipe", "--json")
    done = process(*args, folder=own_shop.folder, input=line + "\n")
    assert done.code == 0, done.err
    assert done.data[0]["accepted"] == 1
    for path in own_shop.home.rglob("*"):
        assert path.is_dir() or b"Mary Plainly" not in path.read_bytes()
    nameless = process("ingest", "thumbs/en", "-", folder=own_shop.folder, input=line)
    assert nameless.code == 2
    assert "--format" in nameless.err


def test_a_contract_makes_the_slice_on_the_way(own_shop: Shop) -> None:
    contract = own_shop.folder / "clicks.yaml"
    contract.write_text(CONTRACT.replace("thumbs/en", "clicks"))
    file = write_jsonl(own_shop.folder / "a.jsonl", 9)
    args = ("ingest", "clicks", file, "--contract", contract, "--json")
    assert [run(*args, home=own_shop.home).data[0]["outcome"] for _ in range(2)] == [
        "accepted",
        "duplicate",
    ]


def test_a_contract_of_another_slice_makes_none(own_shop: Shop) -> None:
    file = write_jsonl(own_shop.folder / "a.jsonl", 9)
    contract = own_shop.folder / "thumbs.yaml"
    refused = run("ingest", "clicks", file, "--contract", contract, home=own_shop.home)
    assert refused.code == 2
    assert "that is the contract of thumbs/en, not of clicks" in refused.err


def test_a_file_that_is_refused_does_not_hide_the_ones_before(own_shop: Shop) -> None:
    good = write_jsonl(own_shop.folder / "good.jsonl", 10)
    bad = own_shop.folder / "bad.jsonl"
    bad.write_text('{"event_id": "1", "at": "soon", "user": "u"}\n')
    done = run("ingest", "thumbs/en", good, bad, "--json", home=own_shop.home)
    assert done.code == 2
    assert [receipt["file"] for receipt in done.data] == ["good.jsonl"]
    assert json.loads(done.err)["error"]["code"] == "INVALID"
    message = json.loads(done.err)["error"]["message"]
    assert message.startswith("bad.jsonl: thumbs/en: row 1, column at")


def test_history_names_who_used_a_commit(shop: Shop) -> None:
    commits = run("history", "thumbs/en", "--json", home=shop.home).data
    assert [commit["version"] for commit in commits] == [3, 2, 1, 0]
    assert [len(commit["runs"]) for commit in commits] == [2, 1, 1, 0]
    assert commits[0]["runs"][0].startswith("run:")
    assert len(commits[0]["digest"]) == DIGEST_DIGITS
    part = run("history", "thumbs/en@2", "--limit", "1", home=shop.home)
    assert [row[0] for row in part.rows] == ["2"]
    assert "there may be more" in part.err


def test_show_gives_the_snapshot_and_a_sample(shop: Shop) -> None:
    shown = run("show", "thumbs/en@2", "--json", home=shop.home).data
    assert (shown["ref"], shown["rows"], len(shown["sample"])) == ("thumbs/en@2", 1500, 10)
    assert [len(file["sha256"]) for file in shown["files"]] == [DIGEST_DIGITS] * 2
    assert shown["pins"][0]["strength"] == "held"
    drawn = draw("show", "thumbs/en@2", home=shop.home)
    assert drawn[0] == "thumbs/en@2"
    assert "rows       1,500" in drawn


def test_show_at_a_time(shop: Shop) -> None:
    commits = run("history", "thumbs/en", "--json", home=shop.home).data
    at = commits[1]["at"]
    assert run("show", f"thumbs/en@{at}", "--json", home=shop.home).data["ref"] == "thumbs/en@2"


def test_show_selects(shop: Shop) -> None:
    args = ("show", "thumbs/en", "--where", "rating > 2", "--columns", "event_id, rating")
    some = run(*args, "--rows", "3", home=shop.home)
    assert some.out.splitlines()[0] == "event_id\trating"
    assert [row[1] for row in some.rows] == ["3", "4", "3"]
    assert some.err == "3 of 561 rows that match; see --rows\n"


@pytest.mark.parametrize(
    ("ref", "options", "said"),
    [
        ("thumbs/en", "--rows 0", "0 of 1,540 rows; see --rows\n"),
        ("thumbs/en", "--rows 1", "1 of 1,540 rows; see --rows\n"),
        ("thumbs/en", "--rows 0 --where rating>2", "0 of 561 rows that match; see --rows\n"),
        ("thumbs/en", "--rows 2 --where rating>9", "no row of thumbs/en@3 matches\n"),
        ("thumbs/en@0", "--rows 2", "thumbs/en@0 has no rows\n"),
        ("thumbs/en@1", "--rows 1200", ""),
    ],
)
def test_show_says_how_many_rows_there_are(ref: str, options: str, said: str, shop: Shop) -> None:
    shown = run("show", ref, *options.split(), "--json", home=shop.home)
    assert shown.err == said
    drawn = run("show", ref, *options.split(), "--color", "always", home=shop.home)
    assert (drawn.out == "", drawn.err) == (not shown.data, said)


def test_show_gives_the_contract_as_it_was_written(shop: Shop, own_shop: Shop) -> None:
    text = run("show", "thumbs/en", "--schema", home=shop.home).out
    contract = own_shop.folder / "again.yaml"
    contract.write_text(text.replace("slice: thumbs/en", "slice: again"))
    assert run("slices", "create", contract, home=own_shop.home).code == 0
    as_json = run("show", "thumbs/en", "--schema", "--json", home=shop.home)
    assert as_json.data["slice"] == "thumbs/en"
    assert "every row also has _source, _offset, _ingested_at" in as_json.err
    system = run("show", "thumbs/en", "--columns", "_source,_offset", "--rows", "1", home=shop.home)
    assert system.rows == [["app", "1200"]]


def test_show_gives_the_files(shop: Shop) -> None:
    files = run("show", "thumbs/en@1", "--files", home=shop.home).rows
    ((path, rows, _, digest),) = files
    assert digest in path
    assert rows == "1200"


def test_diff_says_who_sent_what(shop: Shop) -> None:
    found = run("diff", "thumbs/en@1", "thumbs/en@3", "--json", home=shop.home).data
    assert (found["rowsAdded"], found["rowsRemoved"], found["filesKept"]) == (340, 0, 1)
    assert {s["source"]: s["rows"] for s in found["sources"]} == {"web": 300, "app": 40}
    drawn = draw("diff", "thumbs/en@1", "thumbs/en@3", home=shop.home)
    assert drawn[0] == "thumbs/en@1 → thumbs/en@3"
    assert "added    340 rows in 2 files" in drawn


def test_profile_tells_each_column(shop: Shop) -> None:
    found = run("profile", "thumbs/en@1..1", "--json", home=shop.home).data
    assert (found["ref"], found["rows"], found["filesRead"]) == ("thumbs/en@1..1", 1200, 0)
    drawn = draw("profile", "thumbs/en@1", home=shop.home)
    assert drawn[0] == "thumbs/en@1"
    assert any(line.startswith("_source") and "(1,200)" in line for line in drawn)


def test_drift_tells_how_far_each_column_moved(shop: Shop) -> None:
    args = ("drift", "thumbs/en@1", "thumbs/en@2..2")
    found = run(*args, "--json", home=shop.home).data
    source = {one["column"]: one for one in found["drift"]}["_source"]
    assert (source["psi"] > 1, source["ks"]) == (True, None)
    [one] = run(*args, "--column", "_source", "--json", home=shop.home).data["drift"]
    assert one == source
    wrong = run(*args, "--column", "nothing", home=shop.home)
    assert (wrong.code, "can be compared by" in wrong.err) == (2, True)


@pytest.mark.parametrize(
    ("args", "code"), [(["--exit-code"], 10), ([], 0)], ids=["asked", "not asked"]
)
def test_diff_tells_by_its_code_when_asked(args: list[str], code: int, shop: Shop) -> None:
    assert run("diff", "thumbs/en@1", "thumbs/en@2", *args, home=shop.home).code == code
    assert run("diff", "thumbs/en@2", "thumbs/en@2", *args, home=shop.home).code == 0


def test_pins_are_made_listed_and_released(own_shop: Shop) -> None:
    kept = run(
        *("pin", "thumbs/en@0", "--reason", "audit", "--holder", "mary", "--until", "2030-01-01"),
        "--json",
        home=own_shop.home,
    ).data
    assert (kept["holder"], kept["strength"]) == ("mary", "held")
    assert kept["until"] == "2030-01-01T00:00:00Z"
    listed = run("pin", "--list", "thumbs/en", home=own_shop.home)
    assert listed.rows[0][:4] == [kept["id"], "thumbs/en@0", "held", "mary"]
    released = run("pin", "--release", kept["id"], "--reason", "done", home=own_shop.home)
    assert released.err == f"released the pin {kept['id']}\n"
    again = run("pin", "--release", kept["id"], "--reason", "done", home=own_shop.home)
    assert again.code == 3


def test_a_pin_without_anything_is_told_what_it_takes(shop: Shop) -> None:
    said = run("pin", home=shop.home)
    assert said.code == 2
    assert said.err.splitlines()[1] == "hint: see `backstory pin --help`"


@pytest.mark.parametrize("args", ["thumbs/en@1", "--release ID"])
def test_a_pin_without_a_reason_is_told_when_it_could_have_one(args: str, own_shop: Shop) -> None:
    kept = run("pin", "thumbs/en@0", "--reason", "audit", "--json", home=own_shop.home).data
    said = run("pin", *args.replace("ID", kept["id"]).split(), home=own_shop.home)
    assert said.code == 2
    assert "--reason" in said.err.splitlines()[1]
    assert kept["id"] in run("pin", "--list", home=own_shop.home).out
