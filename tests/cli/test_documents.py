"""The JSON of every command keeps its shape: who reads it can rely on it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from backstory.cli.documents import document
from backstory.lineage.home import open_home
from tests.cli.running import run
from tests.cli.shop import CONTRACT, Shop, write_jsonl

GOLDEN = Path(__file__).parent / "golden"
# Keys below these come from others: producers of facets, triggers' own conditions, users' columns.
OPEN = {"facets", "condition", "sample", "partition", "attributes", "columns"}
ASKED = {
    "db current": ["db", "current"],
    "deployments": ["deployments"],
    "diff": ["diff", "thumbs/en@1", "thumbs/en@2"],
    "diff --rows": [
        *("diff", "thumbs/en@1", "thumbs/en@3", "--rows", "--by", "rating"),
        *("--label", "rating", "--about", "user"),
    ],
    "doctor": ["doctor"],
    "drift": ["drift", "thumbs/en@1", "thumbs/en@2"],
    "history": ["history", "thumbs/en"],
    "interactions": ["interactions"],
    "impact": ["impact", "thumbs/en@1"],
    "matches": ["matches", "thumbs/en"],
    "models": ["models"],
    "models aliases": ["models", "aliases", "ranker"],
    "models show": ["models", "show", "ranker@1"],
    "path": ["path", "thumbs/en@1", "ranker@3"],
    "pin --list": ["pin", "--list"],
    "pins": ["pins"],
    "profile": ["profile", "thumbs/en@2"],
    "runs": ["runs"],
    "runs show": ["runs", "show", "RUN"],
    "show": ["show", "thumbs/en@1"],
    "show --files": ["show", "thumbs/en@1", "--files"],
    "slices": ["slices"],
    "state": ["state", "ext:zendesk:8812"],
    "trace": ["trace", "ranker@3"],
    "verify": ["verify", "thumbs/en@1"],
}
DONE = {
    "amend": ["amend", "env:prod-eu#2", "--share", "0.05", "--reason", "half"],
    "deploy": ["deploy", "ranker@3", "--to", "prod-us"],
    "ingest": ["ingest", "thumbs/en", "FILE"],
    "interactions record": [
        "interactions",
        "record",
        "ranker",
        "--request",
        "1",
        "--response",
        "2",
    ],
    "load": ["load", "ranker@1"],
    "maintain": ["maintain", "thumbs/en"],
    "models add": ["models", "add", "ranker@9", "--trained-on", "thumbs/en@1", "--run", "r"],
    "models alias": ["models", "alias", "ranker@3", "champion"],
    "pin": ["pin", "thumbs/en@1", "--reason", "audit"],
    "retain": ["retain", "ranker@1", "--class", "standard", "--reason", "audit"],
    "version-of": ["version-of", "WEIGHTS"],
    "undeploy": ["undeploy", "ranker@2"],
}


def shape(value: Any) -> Any:
    """The names and kinds in a JSON value; what a list holds is one shape, null is any kind."""
    if isinstance(value, dict):
        return {
            name: "open" if name in OPEN else shape(inner) for name, inner in sorted(value.items())
        }
    if isinstance(value, list):
        merged: Any = None
        for inner in value:
            merged = merge(merged, shape(inner))
        return [] if merged is None else [merged]
    return None if value is None else type(value).__name__


def merge(one: Any, other: Any) -> Any:
    """What two values of one place have in common: a kind, or both sets of names."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {n: merge(one.get(n), other.get(n)) for n in sorted({*one, *other})}
    return one or other


def check_shape(name: str, data: Any) -> None:
    path = GOLDEN / "json_shapes.json"
    golden = json.loads(path.read_text())
    assert shape(data) == golden[name]


@pytest.mark.parametrize("name", ASKED)
def test_what_is_asked_has_its_shape(name: str, shop: Shop) -> None:
    args = list(ASKED[name])
    if "RUN" in args:
        args[args.index("RUN")] = run("runs", "--json", home=shop.home).data[-1]["ref"]
    check_shape(name, run(*args, "--json", home=shop.home).data)


@pytest.mark.parametrize("name", DONE)
def test_what_is_done_has_its_shape(name: str, own_shop: Shop) -> None:
    file = write_jsonl(own_shop.folder / "a.jsonl", 9)
    files = {"FILE": str(file), "WEIGHTS": str(own_shop.folder / "weights.bin")}
    args = [files.get(word, word) for word in DONE[name]]
    check_shape(name, run(*args, "--json", home=own_shop.home).data)


def test_amendments_and_their_marks_have_their_shape(own_shop: Shop) -> None:
    run("amend", "env:prod-eu#2", "--share", "0.05", "--reason", "half", home=own_shop.home)
    champion = ("amend", "ranker@champion", "--version", "ranker@3", "--reason", "a slip")
    run(*champion, home=own_shop.home)
    commands = ("amendments", "deployments", "trace env:prod-eu#2", "models aliases")
    for asked in map(str.split, commands):
        data = run(*asked, "--json", home=own_shop.home).data
        check_shape(" ".join(["amended:", *asked]), data)


def test_what_is_linked_has_its_shape(own_shop: Shop) -> None:
    table = own_shop.folder / "theirs"
    times = pa.array([datetime(2026, 11, 20, tzinfo=UTC)], pa.timestamp("us", "UTC"))
    write_deltalake(table, pa.table({"order": ["o-1"], "ts": times}))
    asked = {
        "interactions link": ["link", "ranker", str(table), "--id", "order", "--at", "ts"],
        "interactions of others": ["list"],
        "interactions unlink": ["unlink", "ranker"],
    }
    for name, args in asked.items():
        found = run("interactions", *args, "--json", home=own_shop.home).data
        if name == "interactions link":
            state = run("state", "ext:shop:o-1", "--json", home=own_shop.home).data
            check_shape("state of others", state)
        check_shape(name, found)


def test_contracts_have_their_shape(own_shop: Shop) -> None:
    file = own_shop.folder / "wider.yaml"
    file.write_text("signals: {up: {meaning: it helped, until: 2030-01-01}}\n" + CONTRACT)
    sample = write_jsonl(own_shop.folder / "a.jsonl", 9)
    asked = {
        "contract check": ["check", str(file)],
        "contract apply": ["apply", str(file)],
        "contract show": ["thumbs/en"],
        "contract history": ["history", "thumbs/en"],
        "contract signals": ["signals", "thumbs/en"],
        "contract infer": ["infer", str(sample), "--slice", "s", "--purpose", "p"],
    }
    for name, args in asked.items():
        check_shape(name, run("contract", *args, "--json", home=own_shop.home).data)


def test_triggers_have_their_shape(own_shop: Shop) -> None:
    with (own_shop.home / "backstory.toml").open("a") as settings:
        settings.write('[triggers.many]\nmodel = "ranker"\nwhen = "threshold:thumbs/en:rows=9"\n')
    check_shape("triggers", run("triggers", "--json", home=own_shop.home).data)


def test_a_person_has_a_shape(own_shop: Shop) -> None:
    write_deltalake(own_shop.folder / "theirs", pa.table({"n": [1]}))
    with open_home(own_shop.home) as home:
        home.link_slice("clicks", str(own_shop.folder / "theirs"))
        home.add_version("ranker@9", trained_on=["thumbs/en@1"])
    found = run("subject", "-", "--json", home=own_shop.home, stdin="user-1").data
    check_shape("subject", found)


def test_loads_have_their_shape(own_shop: Shop) -> None:
    run("load", "ranker@1", "--environment", "prod-eu", home=own_shop.home)
    check_shape("loads", run("loads", "--json", home=own_shop.home).data)


def test_names_are_camel_case() -> None:
    text = (GOLDEN / "json_shapes.json").read_text()
    commands = json.loads(text)

    def names(value: Any) -> set[str]:
        if isinstance(value, list):
            return {name for inner in value for name in names(inner)}
        if isinstance(value, dict):
            return {*value, *(name for inner in value.values() for name in names(inner))}
        return set()

    found = {name for value in commands.values() for name in names(value)}
    assert [name for name in sorted(found) if not name[:1].islower() or not name.isalnum()] == []


def test_an_unknown_record_is_no_document() -> None:
    with pytest.raises(TypeError, match="int has no JSON form"):
        document(3)
