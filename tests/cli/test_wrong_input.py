"""Wrong input of every command: one line, one hint, the documented code, and nothing is changed."""

import os
import resource
import shlex
import shutil
import sqlite3
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from backstory.lineage import home as homes
from backstory.lineage.store.engine import connect
from tests.cli.running import Ran, process, run
from tests.cli.shop import Shop, write_jsonl

# What is typed, the exit code, and what the line says.
TABLE = """
init FILES/file                                  2  is a file
init FILES --lake FILES/file                     2  is a file
init FILES --db mysql://db/lineage               2  the store cannot be kept in
init FILES --db postgresql://u:pw@127.0.0.1:1/x  1  the database cannot be reached
slices create FILES/none.yaml                    3  there is no file
slices create FILES/broken.yaml                  2  contract is no plain YAML at line 1
slices create FILES/binary                       2  is not UTF-8 text
slices create FILES                              2  is a directory
slices create thumbs.yaml                        1  the name 'thumbs/en' is taken by a slice
slices link clicks FILES                         3  there is no Delta table
slices link 'Bad Name' FILES                     2  is no name
slices link clicks s3://u:pw@bucket/x            2  that is no place in an object store
slices link ranker FILES                         1  is taken by a model
ingest thumbs/en FILES/none.jsonl                3  there is no such file
ingest thumbs/en FILES/none                      3  there is no such file
ingest thumbs/en FILES                           2  is a directory
ingest thumbs/en FILES/broken.jsonl              2  row 1: expected one JSON object
ingest thumbs/en FILES/binary                    2  the name does not say what the file is
ingest thumbs/en FILES/binary --format parquet   2  it is damaged or something else
ingest thumbs/en FILES/binary --format jsn       2  unknown format 'jsn'
ingest thumbs/en FILES/wrong.jsonl               2  row 1, column at: expected
ingest thumb FILES/wrong.jsonl                   3  there is no slice thumb
ingest ranker FILES/wrong.jsonl                  2  'ranker' is a model, not a slice
ingest thumbs/en a.jsonl b.jsonl --offset 7      2  an offset belongs to one file
ingest thumbs/en a.jsonl --offset -1             2  -1 is not in the range
ingest thumbs/en                                 2  missing argument
watch thumbs/en FILES/none                       3  there is no folder
watch thumb FILES                                3  there is no slice thumb
consume thumbs/en --topic t --config FILES/none  3  there is no file
consume thumbs/en --topic t --config FILES/file  2  line 1 is no name=value
consume thumb --topic t --brokers 127.0.0.1      3  there is no slice thumb
history thumb                                    3  no slice or model is called 'thumb'
history ranker@1                                 2  'ranker@1' is not a slice
history thumbs/en --limit 0                      2  a history shows 1 to 10000 commits
show thumbs/en@99                                3  has no version 99; its last one is 3
show thumbs/en@99999999999999999999999           3  no number has more than 18 digits
trace ranker@99999999999999999999999             3  no number has more than 18 digits
show thumbs/en@2000-01-01                        3  did not exist at 2000-01-01T00:00:00Z
show thumbs/en@9999-01-01                        2  is in the future
pin thumbs/en@9999-01-01 --reason x              2  is in the future
diff thumbs/en thumbs/en@9999-01-01              2  is in the future
trace thumbs/en@9999-01-01                       2  is in the future
show thumbs/en@2026-11-14T09:41                  2  has no time zone
show thumbs/en@champion                          2  a slice has versions and times, no aliases
show thumbs/en --rows 10001                      2  show gives 0 to 10000 rows, not 10001
show thumbs/en --rows -1                         2  show gives 0 to 10000 rows, not -1
show thumbs/en --columns ratin                   2  there is no column 'ratin'
show thumbs/en --where 'drop table x'            2  is not allowed
show thumbs/en --where "rating > 'a'"            2  Could not convert string 'a'
diff thumbs/en ranker@1                          2  'ranker@1' is not a slice
diff thumbs/en                                   2  missing argument 'B'
pin thumbs/en@99                                 3  has no version 99; its last one is 3
pin --release nothing                            3  no pin nothing holds now
pin thumbs/en@1                                  2  a pin's reason has 1 to 2000 characters
pin thumbs/en@1 --reason ' '                     2  a pin's reason has 1 to 2000 characters
pin thumbs/en@1 --reason x --until soon          2  'soon' is not a time
pin thumbs/en@1 --reason x --until 2020-01-01    2  has ended already
pin thumbs/en@1 --reason x --strength strong     2  'strong' is not one of
pin --release nothing --reason x                 3  no pin nothing holds now
retain ranker@1 --class audits --reason x        3  no retention class is called 'audits'
retain ranker@1 --class standard                 2  a class's reason has 1 to 2000 characters
retain ranker@9 --class standard --reason x      3  ranker has no version 9
retain pin:nothing --class standard --reason x   3  no pin:nothing holds now
retain ranker --class standard --reason x        2  is neither a model version nor a snapshot
retain ranker@1 --reason x                       2  missing option '--class'
run --model m --artifact a --retention x -- y     3  no retention class is called 'x'
show run:zzz                                     2  expected an id or the first 6
show run:019a8f --rows 3                         2  is a run, which has no rows
runs show zzz                                    2  expected an id or the first 6
runs show 01a1d9                                 2  begins the ids of several runs
runs show aaaaaaaa                               3  no run's id begins with 'aaaaaaaa'
runs --model thumbs/en                           2  'thumbs/en' is not a model
models thumbs/en                                 2  'thumbs/en' is not a model
models alias ranker@1 7                          2  '7' is no alias
models alias ranker champion                     2  names a model, not a version
models alias ranker@1 champion --at 2020-01-01   6  has moved at 2026-11-14T
deploy ranker --to x                             2  names a model, not a version
deploy ranker@9 --to x                           3  ranker has no version 9
deploy ranker@1 --to 'X Y'                       2  is no name
deploy ranker@1 --to prod-eu --at 9999-01-01     2  lies more than 366 days ahead
deploy ranker@1 --to prod-eu --at 0001-01-01     2  lies before 2000
deploy ranker@1                                  2  missing option '--to'
deploy ranker@3 --to prod-eu --share 0.5         6  does not fit; the split is
undeploy ranker@3                                3  ranker@3 serves nowhere now
undeploy env:prod-eu#9                           3  has no deployment 9
undeploy thumbs/en                               2  is neither a deployment nor
undeploy env:prod-eu                             2  is neither a deployment nor
undeploy prod-eu                                 3  no slice or model is called 'prod-eu'
amend env:prod-eu#1 --reason x                   2  an amendment says what was so instead
amend env:prod-eu#1 --never                      2  missing option '--reason'
amend env:prod-eu#1 --never --reason ' '         2  an amendment's reason has 1 to 2000
amend env:prod-eu#1 --never --share 1 --reason x  2  what did not happen has no --share
amend env:prod-eu#1 --share much --reason x      2  'much' is not a valid float
amend env:prod-eu#1 --share 1 --reason x         6  the shares would be 110 %
amend env:prod-eu#1 --from soon --reason x       2  'soon' is not a time
amend env:prod-eu#1 --from 1999-01-01 --reason x  2  lies before 2000
amend env:prod-eu#1 --share 1 --at 2020-01-01 --reason x  3  does not serve at 2020-01-01
amend env:prod-eu#9 --never --reason x           3  has no deployment 9
amend env:prod-eu --never --reason x             2  is no record of its own
amend thumbs/en@1 --never --reason x             2  was observed, and is not amended
amend run:aaaaaaaa --never --reason x            3  no run's id begins with
amend ext:zendesk:8812 --never --reason x        2  names an interaction
amend ranker@champion --share 1 --reason x       2  an alias has no --share to be amended
amend ranker@champion --version ranker@9 --reason x  3  ranker has no version 9
amend ranker@nobody --never --reason x           3  ranker@nobody named nothing then
amend rankr@champion --never --reason x          3  no model is called 'rankr'
amend ranker@1 --digest abc --reason x           2  what was observed is not amended
amend ranker@9 --digest abc --reason x           3  ranker has no version 9
amend ranker --never --reason x                  2  a model is no record of its own
amendments run:aaaaaaaa                          3  no run's id begins with
amendments --limit 0                             2  1 to 1000 amendments are given at a time
deployments prod                                 3  nothing was ever deployed to 'prod'
deployments --at noon                            2  'noon' is not a time
trace int:019a8f3c                               2  names an interaction
trace thumbs/en@0                                3  is in no lineage yet
trace env:prod-eu                                2  is an environment, not one deployment
trace ranker@1 --depth 0                         2  depth goes from 1 to 200
impact a@b@c                                     2  after '@' comes a version
path thumbs/en@1 nope                            3  no slice or model is called 'nope'
state ranker@1                                   2  is not an interaction
state int:00000000                               3  no interaction is called int:00000000
state ext:zendesk:0                              3  no interaction is called
verify run:aaaaaaaa                              3  no run's id begins with
verify env:prod-eu                               2  has no bytes of its own
query FILES/none.graphql                         3  there is no file
query FILES/binary                               2  is not UTF-8 text
query FILES/empty --var x                        2  'x' is no variable
serve --port 99999                               2  99999 is not in the range
completion tcsh                                  2  'tcsh' is not one of
help nonsense                                    3  no topic or command is called
db downgrade                                     2  no such command 'downgrade'
"""
CASES = [
    (typed, code, fragment)
    for typed, code, fragment in (line.rsplit("  ", 2) for line in TABLE.strip().splitlines())
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    (folder / "file").write_text("a file")
    (folder / "empty").touch()
    (folder / "broken.yaml").write_text("slice: [1")
    (folder / "binary").write_bytes(b"\xff\xfe\x00")
    (folder / "broken.jsonl").write_text('{"event_id": 1')
    (folder / "wrong.jsonl").write_text('{"event_id": "1", "at": "soon", "user": "u"}\n')
    return folder


def fingerprint(shop: Shop) -> tuple[list[str], int]:
    """Every file of the home, and how much the audit log says."""
    names = sorted(str(path) for path in shop.home.rglob("*") if not path.name.endswith("-shm"))
    with sqlite3.connect(f"file:{shop.home}/lineage.db?mode=ro", uri=True) as store:
        (leaves,) = store.execute("SELECT count(*) FROM audit_leaf").fetchone()
    store.close()
    return [name for name in names if not name.endswith("-wal")], leaves


def check_told(said: Ran, code: int, fragment: str) -> None:
    assert fragment in said.err
    assert said.code == code
    assert "Traceback" not in said.out + said.err
    error, hint = said.err.splitlines()
    assert error.startswith("error: ")
    assert hint.startswith("hint: ")
    assert len(hint) > len("hint: ")


@pytest.mark.parametrize("case", CASES, ids=[case[0].strip() for case in CASES])
def test_wrong_input_is_told_and_changes_nothing(
    case: tuple[str, str, str], shop: Shop, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed, code, fragment = case
    monkeypatch.chdir(shop.folder)
    before = fingerprint(shop)
    args = shlex.split(typed.replace("FILES", str(files)))
    said = run(*args, home=None if args[0] == "init" else shop.home)
    check_told(said, int(code), fragment)
    assert "pw" not in said.err
    assert fingerprint(shop) == before


def test_a_folder_that_is_no_home(tmp_path: Path) -> None:
    check_told(run("slices", home=tmp_path), 3, "is not a Backstory home")


def test_no_home_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_told(run("slices"), 3, "no Backstory home")


def write_settings(text: str, shop: Shop) -> None:
    (shop.home / "backstory.toml").write_text(text)


def change_store(statement: str, shop: Shop) -> None:
    store = sqlite3.connect(shop.home / "lineage.db")
    with store:
        store.execute(statement)
    store.close()


def overwrite(start: int, length: int, shop: Shop) -> None:
    for path in shop.home.glob("lineage.db-*"):
        path.unlink()
    content = bytearray((shop.home / "lineage.db").read_bytes())
    content[start : start + length] = bytes(length)
    (shop.home / "lineage.db").write_bytes(content)


def remove(pattern: str, shop: Shop) -> None:
    for path in shop.home.glob(pattern):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def break_key(shop: Shop) -> None:
    next((shop.home / "keys").iterdir()).write_text("no key")


def break_log(entry: int, shop: Shop) -> None:
    (shop.home / f"lake/thumbs__en/_delta_log/{entry:020d}.json").write_text("{")


def break_contract(shop: Shop) -> None:
    (shop.home / "lake/thumbs__en/_contract/v1.json").write_text("{")


Damage = Callable[[Shop], None]
INGEST = "ingest thumbs/en a.jsonl"
NEWER = "UPDATE alembic_version SET version_num = '9999'"
DAMAGED: dict[str, tuple[Damage, str, int, str]] = {
    "settings broken": (partial(write_settings, "x = ["), "slices", 2, "not valid TOML"),
    "settings broken, verified": (partial(write_settings, "x = y"), "verify", 2, "at line 1"),
    "settings unknown": (partial(write_settings, "a = 1"), "slices", 2, "unknown setting 'a'"),
    "settings newer": (partial(write_settings, "format = 9"), "slices", 6, "settings format 9"),
    "store newer": (partial(change_store, NEWER), "slices", 6, "newer than this Backstory"),
    "store newer, asked": (partial(change_store, NEWER), "db check", 6, "newer than this"),
    "store damaged": (partial(overwrite, 0, 100), "slices", 5, "the database is damaged"),
    "store missing": (partial(remove, "lineage.db*"), "slices", 3, "the store is not there"),
    "key missing": (partial(remove, "keys"), INGEST, 3, "the subject key is missing"),
    "key damaged": (break_key, INGEST, 5, "the subject key does not parse"),
    "log damaged": (partial(break_log, 3), INGEST, 5, ".json does not parse"),
    "log damaged, read": (partial(break_log, 0), "show thumbs/en@0", 5, ".json does not parse"),
    "log damaged, pinned": (
        partial(break_log, 0),
        "pin thumbs/en@0 --reason x",
        5,
        ".json does not parse",
    ),
    "contract damaged": (break_contract, "show thumbs/en", 5, "is not what was written"),
    "data missing": (partial(remove, "lake/*/part-*"), "show thumbs/en", 3, "no longer there"),
    "log missing": (partial(remove, "lake/*/_delta_log"), INGEST, 3, "its Delta log is gone"),
    "log missing, read": (
        partial(remove, "lake/*/_delta_log"),
        "show thumbs/en@0",
        3,
        "thumbs/en: its Delta log is gone",
    ),
    "folder missing": (partial(remove, "lake/thumbs__en"), INGEST, 3, "its table is gone"),
    "lake missing": (partial(remove, "lake"), "show thumbs/en", 3, "thumbs/en: its table is gone"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_home_is_told(name: str, own_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    damage, typed, code, fragment = DAMAGED[name]
    write_jsonl(own_shop.folder / "a.jsonl", 9)
    damage(own_shop)
    monkeypatch.chdir(own_shop.folder)
    check_told(run(*typed.split(), home=own_shop.home), code, fragment)


def test_a_pinned_version_is_shown_without_the_log(own_shop: Shop) -> None:
    remove("lake/*/_delta_log", own_shop)
    assert run("show", "thumbs/en@1", home=own_shop.home).code == 0


def test_a_locked_store_is_told(own_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(homes, "connect", partial(connect, wait=0.2))  # not half a minute
    other = sqlite3.connect(own_shop.home / "lineage.db")
    other.execute("BEGIN IMMEDIATE")
    said = run("pin", "thumbs/en@1", "--reason", "audit", home=own_shop.home)
    check_told(said, 1, "the store is locked by another writer")
    assert run("models", home=own_shop.home).code == 0
    other.rollback()
    other.close()
    assert run("pin", "thumbs/en@1", "--reason", "audit", home=own_shop.home).code == 0


def no_file_beyond(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize(
    "typed",
    [
        "ingest thumbs/en a.jsonl",
        "pin thumbs/en@1 --reason audit",
        "deploy ranker@3 --to prod-us",
        "models alias ranker@3 champion",
        "slices create new.yaml",
        "init elsewhere",
    ],
)
def test_a_full_disk_is_told_and_loses_nothing(typed: str, own_shop: Shop) -> None:
    """No file may grow: what a full disk is to a program."""
    write_jsonl(own_shop.folder / "a.jsonl", 9, rows=3000)
    contract = (own_shop.folder / "thumbs.yaml").read_text()
    (own_shop.folder / "new.yaml").write_text(contract.replace("thumbs/en", "new"))
    full = partial(no_file_beyond, 4096)
    said = process(*typed.split(), folder=own_shop.folder, preexec_fn=full)
    check_told(said, 1, "")
    assert run("verify", home=own_shop.home).code == 0
    assert process(*typed.split(), folder=own_shop.folder).code == 0
    assert run("verify", home=own_shop.home).code == 0


UNPRIVILEGED = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


def bound(*args: str | Path, folder: Path) -> Ran:
    """Run a command as somebody whom permissions stop, as they do not stop root."""
    return process(*args, folder=folder, before=UNPRIVILEGED if os.geteuid() == 0 else [])


DENIED = {
    "home": ("slices", ".backstory", "Permission denied"),
    "store": ("models", ".backstory/lineage.db", "not yours to use"),
    "key": (INGEST, ".backstory/keys/subject.json", "Permission denied"),
    "log": (
        "show thumbs/en@0",
        ".backstory/lake/thumbs__en/_delta_log/00000000000000000000.json",
        "Permission denied",
    ),
    "table": (INGEST, ".backstory/lake/thumbs__en", "Permission denied"),
    "input": (INGEST, "a.jsonl", "Permission denied"),
    "contract": ("slices create thumbs.yaml", "thumbs.yaml", "Permission denied"),
    "document": ("query thumbs.yaml", "thumbs.yaml", "Permission denied"),
    "folder": ("init new", ".", "Permission denied"),
}


def test_data_that_may_not_be_read_is_not_called_damaged(own_shop: Shop) -> None:
    path = max((own_shop.home / "lake/thumbs__en").glob("part-*"))
    path.chmod(0)
    shown = bound("show", "thumbs/en", folder=own_shop.folder)
    verified = bound("verify", "thumbs/en", folder=own_shop.folder)
    path.chmod(0o600)
    check_told(shown, 4, f"Permission denied ({path.resolve()})")
    assert verified.code == 5
    assert "Permission denied" in verified.out
    assert "nothing" not in verified.out


@pytest.mark.parametrize("denied", ["", "_delta_log"])
def test_doctor_tells_a_table_that_cannot_be_written(denied: str, own_shop: Shop) -> None:
    path = own_shop.home / "lake/thumbs__en" / denied
    path.chmod(0o500)
    said = bound("doctor", folder=own_shop.folder)
    path.chmod(0o700)
    assert said.code == 1
    assert f"no permission to read and write {path}\t" in said.out


@pytest.mark.parametrize("name", DENIED)
def test_what_is_not_permitted_is_told(name: str, own_shop: Shop) -> None:
    typed, denied, fragment = DENIED[name]
    write_jsonl(own_shop.folder / "a.jsonl", 9)
    path = own_shop.folder / denied
    before = stat.S_IMODE(path.stat().st_mode)
    path.chmod(0o500 if name in {"table", "folder"} else 0)
    said = bound(*typed.split(), folder=own_shop.folder)
    path.chmod(before)
    check_told(said, 4, fragment)
    assert run("verify", home=own_shop.home).code == 0
