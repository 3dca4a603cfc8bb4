import json
from pathlib import Path

import pytest
import yaml

from backstory.lake.contract import Contract
from backstory.lake.odcs import from_odcs
from tests.cli.running import run
from tests.cli.shop import CONTRACT, Shop, write_jsonl

WIDER = CONTRACT + "  reason: {type: string}\n"
SIGNALS = "signals: {up: it helped, copied: {since: 2026-01-01, until: 2026-11-20}}\n"


def written(folder: Path, text: str) -> str:
    path = folder / "wider.yaml"
    path.write_text(text)
    return str(path)


def test_a_contract_is_shown_edited_checked_and_applied(own_shop: Shop) -> None:
    home = own_shop.home
    shown = run("contract", "thumbs/en", home=home).out
    assert Contract.from_yaml(shown) == Contract.from_yaml(CONTRACT)
    path = written(own_shop.folder, SIGNALS + shown + "  reason: {type: string}\n")
    checked = run("contract", "check", path, home=home)
    assert "column reason\tnew, string\tcompatible" in checked.out
    assert run("contract", "history", "thumbs/en", "--json", home=home).data[0]["version"] == 1
    applied = run("contract", "apply", path, home=home)
    assert "thumbs/en is under contract 2 from thumbs/en@4" in applied.err
    again = run("contract", "apply", path, home=home)
    assert "has this contract already" in again.err
    assert "has this contract already" in run("contract", "check", path, home=home).err
    second, first = run("contract", "history", "thumbs/en", "--json", home=home).data
    assert (first["begins"], second["begins"], second["version"]) == (0, 4, 2)
    old = run("contract", "show", "thumbs/en@3", "--json", home=home).data
    assert (old["version"], old["contract"].get("signals")) == (1, None)
    file = write_jsonl(own_shop.folder / "more.jsonl", 9)
    assert (
        run("ingest", "thumbs/en", str(file), "--json", home=home).data[0]["contractVersion"] == 2
    )


def test_what_would_break_is_told_and_refused(own_shop: Shop) -> None:
    path = written(
        own_shop.folder, CONTRACT.replace("rating: {type: int64}", "note: {type: string}")
    )
    checked = run("contract", "check", path, home=own_shop.home)
    assert checked.code == 6
    assert "column rating\tremoved\tbreaking\tstored rows have it" in checked.out
    told = run("contract", "check", path, "--json", home=own_shop.home).data
    assert told["compatible"] is False
    refused = run("contract", "apply", path, home=own_shop.home)
    assert refused.code == 6
    assert "error: thumbs/en: column rating: removed (stored rows have it)" in refused.err
    assert "hint: take these changes back" in refused.err


def test_odcs_goes_out_and_comes_in(own_shop: Shop) -> None:
    home = own_shop.home
    text = run("contract", "show", "thumbs/en", "--odcs", home=home).out
    assert from_odcs(text).contract == Contract.from_yaml(CONTRACT)
    document = yaml.safe_load(text)
    document["team"] = {"name": "ranking"}
    document["schema"][0]["properties"].append({"name": "reason", "logicalType": "string"})
    applied = run("contract", "apply", written(own_shop.folder, json.dumps(document)), home=home)
    assert "not taken, as a slice has no place for it: team" in applied.err
    document["name"] = document["schema"][0]["name"] = "other"
    made = run("slices", "create", written(own_shop.folder, json.dumps(document)), home=home)
    assert "made the slice other" in made.err


def test_interactions_show_their_contract_in_the_same_commands(shop: Shop) -> None:
    shown = run("contract", "_interactions/ranker", home=shop.home).out
    assert "purpose: what ranker answered" in shown
    [only] = run("contract", "history", "_interactions/ranker", "--json", home=shop.home).data
    assert (only["version"], only["begins"]) == (1, 0)
    odcs = run("contract", "show", "_interactions/ranker", "--odcs", home=shop.home).out
    assert "name: _interactions/ranker" in odcs


def test_which_reasons_could_a_user_give_then(own_shop: Shop) -> None:
    home = own_shop.home
    empty = run("contract", "signals", "thumbs/en", home=home)
    assert "the contract names no signals" in empty.err
    run("contract", "apply", written(own_shop.folder, SIGNALS + WIDER), home=home)

    def names(*at: str) -> list[str]:
        data = run("contract", "signals", "thumbs/en", *at, "--json", home=home).data
        return [signal["name"] for signal in data]

    assert names() == ["up", "copied"]
    assert names("--at", "2026-11-01") == ["copied"]
    assert names("--at", "2025-01-01") == []
    assert names("--at", "2099-01-01") == ["up"]


def test_a_contract_is_inferred_and_used(tmp_path: Path) -> None:
    run("init", home=tmp_path / ".backstory")
    file = write_jsonl(tmp_path / "monday.jsonl", 9)
    options = ("--slice", "thumbs/en", "--purpose", "improve the ranker")
    text = run("contract", "infer", str(file), *options).out
    assert "# user: is it a person?" in text
    made = run("slices", "create", written(tmp_path, text), home=tmp_path / ".backstory")
    assert "made the slice" in made.err
    run("ingest", "thumbs/en", str(file), home=tmp_path / ".backstory")
    schema = tmp_path / "row.json"
    schema.write_text('{"type": "object", "properties": {"stars": {"type": "integer"}}}')
    odcs = run("contract", "infer", str(schema), "--json-schema", "--odcs", *options).out
    assert from_odcs(odcs).contract.columns[0].name == "stars"


@pytest.mark.parametrize(
    ("args", "code", "said"),
    {
        "no file": (["check", "absent.yaml"], 3, "there is no file"),
        "no slice": (["show", "thumbs/e"], 3, "thumbs/en"),
        "interactions stay": (["apply", "INTERACTIONS"], 2, "is no name"),
    }.values(),
    ids=str,
)
def test_wrong_input_gets_one_line(
    args: list[str], code: int, said: str, shop: Shop, tmp_path: Path
) -> None:
    text = CONTRACT.replace("thumbs/en", "_interactions/ranker")
    given = [written(tmp_path, text) if word == "INTERACTIONS" else word for word in args]
    answer = run("contract", *given, home=shop.home)
    assert answer.code == code
    assert said in answer.err
    assert answer.err.count("error:") == 1
