"""Where something came from and what it led to: trace, impact, path, state, verify, query."""

import json
import re
from pathlib import Path

import pytest

import backstory
from tests.cli.running import draw, process, run
from tests.cli.shop import Shop


def shortened(lines: list[str]) -> list[str]:
    """A drawing without what differs from run to run: ids, digests and times."""
    text = re.sub(r"run:[0-9a-f-]{13}", "run:ID", "\n".join(lines))
    text = re.sub(r"\b[0-9a-f]{12}\b", "DIGEST", text)
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text).split("\n")


def test_a_trace_is_a_tree(shop: Shop) -> None:
    drawn = shortened(draw("trace", "ranker@3", home=shop.home, width=160))
    assert [re.sub(r"(threshold:|where|inferred) .*", r"\1 …", line) for line in drawn] == [
        "ranker@3  file 5.0 kB · DIGEST",
        "├── made by run:ID  ✓ completed · TIME · manual: after complaints",
        "│   └── read thumbs/en@3  all 1,540 rows · 3 files · DIGEST · ✓ held",
        "│       └── feedback on ranker@1  2.6 % of the rows read (40) · inferred …",
        "│           ├── made by run:ID  ✓ completed · TIME · threshold: …",
        "│           │   └── read and triggered by thumbs/en@1  872 of 1,200 rows where …",
        "│           └── composed with component:prompt:greeting@1  DIGEST",
        "└── composed with component:prompt:greeting@3  DIGEST",
    ]


def test_a_trace_in_a_pipe_is_exact(shop: Shop) -> None:
    traced = run("trace", "ranker@3", home=shop.home)
    assert traced.out.splitlines()[0] == (
        "depth\trelation\tref\tkind\tevidence\trows\tshare\tdigest\trepeated\tamended\tanswers\tmore"
        "\tdetail"
    )
    depths = [row[0] for row in traced.rows]
    assert depths == ["0", "1", "2", "3", "4", "5", "4", "1"]
    loop = traced.rows[3]
    assert loop[1:3] == ["feedback on", "ranker@1"]
    assert loop[5:7] == ["40", str(40 / 1540)]
    assert traced.err == "no records before 2026-11-14T09:00:01Z\n"


def test_a_pipe_gets_every_fact_of_a_drawing(shop: Shop) -> None:
    first, *_ = traced = run("trace", "ranker@3", "--depth", "2", home=shop.home).rows
    assert first[-1] == "file 5.0 kB"
    made, read, component = (row[-1] for row in traced[1:])
    assert re.fullmatch(r"completed; 2026-11-14T\d\d:\d\d:\d\dZ; manual: after complaints", made)
    assert read == "all 1,540 rows; 3 files; held"
    assert component == ""
    assert [row[-2] for row in traced] == ["", "", "yes", ""]
    by_ref = {row[2]: row for row in run("impact", "thumbs/en@1", home=shop.home).rows}
    assert by_ref["ranker@1"][-3] == "1"
    deployed = by_ref["env:prod-eu#1"][-1]
    assert re.fullmatch(r"live 90 %; since 2026-11-14T\d\d:\d\d:\d\dZ", deployed)


def test_a_trace_as_json_names_nodes_by_key(shop: Shop) -> None:
    found = run("trace", "ranker@3", "--json", home=shop.home).data
    keys = {node["key"] for node in found["nodes"]}
    assert found["root"] == "ranker@3"
    assert {edge["from"] for edge in found["edges"]} | {e["to"] for e in found["edges"]} <= keys
    (loop,) = [edge for edge in found["edges"] if edge["kind"] == "feedback_on"]
    assert (loop["from"], loop["to"], loop["rows"]) == ("ranker@1", "thumbs/en@3", 40)
    assert found["truncated"] is False


def test_a_bound_that_was_met_is_said(shop: Shop) -> None:
    args = ("trace", "ranker@3", "--depth", "1")
    assert "there is more: a bound was met" in run(*args, home=shop.home).err
    assert run(*args, "--json", home=shop.home).data["truncated"]
    assert "more behind it" in "".join(draw(*args, home=shop.home, width=140))


def test_a_trace_for_graphviz(shop: Shop) -> None:
    text = run("trace", "ranker@1", "--dot", home=shop.home).out
    assert text.startswith("digraph backstory {\n")
    assert '"component:prompt:greeting@1" -> "ranker@1" [label="component of"];' in text


def test_an_impact_counts_answers(shop: Shop) -> None:
    drawn = shortened(draw("impact", "thumbs/en@1", home=shop.home, width=140))
    made = next(line for line in drawn if "made ranker@1" in line)
    assert made.endswith("· 1 answer")
    assert any("deployed as env:prod-eu#1" in line for line in drawn)
    found = run("impact", "thumbs/en@1", "--json", home=shop.home).data
    assert {n["key"]: n["answers"] for n in found["nodes"]}["ranker@1"] == 1


def test_a_path_is_found_in_either_order(shop: Shop) -> None:
    ways = [
        run("path", *ends, home=shop.home).rows
        for ends in (("thumbs/en@1", "ranker@3"), ("ranker@3", "thumbs/en@1"))
    ]
    assert ways[0] == ways[1]
    assert ways[0][0][2] == "ranker@3"
    assert ways[0][-1][2] == "thumbs/en@1"


def test_where_no_path_is_that_is_said(shop: Shop) -> None:
    none = run("path", "thumbs/en@2", "ranker@1", "--json", home=shop.home)
    assert (none.code, none.data) == (0, None)
    assert none.err == "no way leads from one to the other: thumbs/en@2, ranker@1\n"


@pytest.mark.parametrize("form", ["id", "prefix", "external"])
def test_the_state_behind_an_answer(form: str, shop: Shop) -> None:
    ref = {"id": shop.interaction, "prefix": shop.interaction[:20], "external": "ext:zendesk:8812"}
    found = run("state", ref[form], "--json", home=shop.home).data
    assert found["version"] == "ranker@1"
    assert found["interaction"]["request"] == '{"q":"cheap flights"}'
    by_section = {part["section"]: part for part in found["parts"]}
    assert by_section["training"]["ref"] == "thumbs/en@1"
    assert by_section["part"]["ref"] == "doc-3"
    assert {part["problem"] for part in found["missing"]} == {"not captured"}


def test_the_state_is_told_part_by_part(shop: Shop) -> None:
    drawn = draw("state", "ext:zendesk:8812", home=shop.home, width=140)
    assert drawn[0] == shop.interaction
    assert "answered by  ranker@1" in drawn
    assert any(line.startswith("code") and "✗ missing" in line for line in drawn)


def test_the_state_says_that_its_run_failed(own_shop: Shop) -> None:
    failed = run("runs", "--json", home=own_shop.home).data[0]["ref"]
    added = ["models", "add", "ranker@9", "--artifact", "s3://rescued/9", "--run", failed]
    assert run(*added, home=own_shop.home).code == 0
    with backstory.open(own_shop.home) as home:
        log = home.interactions("ranker")
        log.record(request=1, response=2, version="ranker@9", external_id="a:9")
    said = f"{failed}, which made ranker@9, failed at 2026"
    drawn = draw("state", "ext:a:9", home=own_shop.home, width=200)
    assert any(said in line for line in drawn), drawn
    [remark] = run("state", "ext:a:9", "--json", home=own_shop.home).data["remarks"]
    assert remark.startswith(said)


def test_the_state_is_verified_on_request(own_shop: Shop) -> None:
    args = ("state", "ext:zendesk:8812", "--verify", "--json")
    sound = run(*args, home=own_shop.home)
    assert sound.code == 0
    assert {part["status"] for part in sound.data["parts"] if part["digest"]} == {"verified"}
    flip(min((own_shop.home / "lake/thumbs__en").glob("part-*.parquet")))
    broken = run(*args, home=own_shop.home)
    assert broken.code == 5
    assert any(part["section"] == "training" for part in broken.data["missing"])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_sound_home_is_said_to_be_so(own_shop: Shop) -> None:
    found = run("verify", home=own_shop.home)
    assert found.code == 0
    assert found.err.startswith("intact: ")
    assert run("verify", "ranker@1", "--json", home=own_shop.home).data["intact"] is True


def test_a_flipped_byte_is_named(own_shop: Shop) -> None:
    data = min((own_shop.home / "lake/thumbs__en").glob("part-*.parquet"))
    flip(data)
    found = run("verify", home=own_shop.home)
    assert found.code == 5
    assert any(data.name in row[2] for row in found.rows)
    as_json = run("verify", "thumbs/en@1", "--json", home=own_shop.home)
    assert as_json.code == 5
    assert any(data.name in finding["path"] for finding in as_json.data["findings"])


def test_a_document_is_answered_in_process(shop: Shop) -> None:
    document = "query One($m: String!) { models { name } model(name: $m) { name } }"
    args = ("query", "-", "--var", "m=ranker", "--operation", "One")
    answer = process("--home", shop.home, *args, folder=shop.folder, input=document)
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["data"]["model"] == {"name": "ranker"}


def test_errors_in_an_answer_are_a_failure(shop: Shop, tmp_path: Path) -> None:
    document = tmp_path / "wrong.graphql"
    document.write_text("{ nothing }")
    answer = run("query", document, home=shop.home)
    assert answer.code == 1
    assert "nothing" in json.loads(answer.out)["errors"][0]["message"]
