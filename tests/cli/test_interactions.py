"""Interactions that others keep, on the command line."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from tests.cli.running import draw, run
from tests.cli.shop import Shop

AT = datetime(2026, 11, 20, 8, tzinfo=UTC)
MAPPED = ("--id", "order", "--at", "ts", "--subject", "user", "--version", "v")


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """Three answers of others."""
    numbers = range(3)
    times = [AT + timedelta(minutes=n) for n in numbers]
    columns = {
        "order": [f"o-{n}" for n in numbers],
        "ts": pa.array(times, pa.timestamp("us", "UTC")),
        "user": [f"ann-{n}" for n in numbers],
        "v": pa.array([1, 2, 1], pa.int32()),
    }
    write_deltalake(tmp_path / "theirs", pa.table(columns))
    return tmp_path / "theirs"


def test_a_table_is_linked_listed_and_unlinked(own_shop: Shop, theirs: Path) -> None:
    home = own_shop.home
    made = run("interactions", "link", "ranker", theirs, *MAPPED, "--json", home=home).data
    assert made["slice"] == "ranker/interactions@0"
    assert made["columns"] == {"id": "order", "at": "ts", "subject": "user", "version": "v"}
    listed = run("interactions", "--json", home=home).data
    assert [(t["model"], t["kind"], t["rows"]) for t in listed] == [
        ("ranker", "recorded", 1),
        ("ranker", "linked", 3),
    ]
    assert run("interactions", "list", home=home).rows[1][1] == "ranker/interactions"
    state = run("state", "ext:shop:o-1", "--json", home=home).data
    assert state["version"] == "ranker@2"
    assert state["linked"]["evidence"] == "imported"
    assert "parts" in state["linked"]["unmapped"]
    assert "ann" not in str(state)
    drawn = "\n".join(draw("state", "ext:shop:o-1", home=home, width=200))
    assert f"ranker/interactions@0, imported, at {theirs}; it does not say environment" in drawn
    ended = run("interactions", "unlink", "ranker", "--reason", "moved", home=home)
    assert "no longer read from" in ended.out + ended.err
    assert run("state", "ext:shop:o-1", home=home).code == 3
    again = run("interactions", "unlink", "ranker", home=home)
    assert (again.code, again.err.count("\n")) == (3, 2)


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("--id", "nothing", "--at", "ts"), 2, "there is no column 'nothing' for id"),
        (("--id", "order", "--at", "user"), 2, "at is timestamp"),
        (("--id", "order"), 2, "--at"),
        ((*MAPPED, "--versions", "ranker@1"), 2, "the version is named twice"),
        (("--id", "order", "--at", "ts", "--versions", "ranker@9"), 3, "no version 9"),
        ((*MAPPED, "--environments", "A B"), 2, "is no name"),
    ],
)
def test_a_wrong_mapping_is_one_line(
    own_shop: Shop, theirs: Path, args: tuple[str, ...], code: int, said: str
) -> None:
    ran = run("interactions", "link", "ranker", theirs, *args, home=own_shop.home)
    assert ran.code == code
    assert said in ran.err


def test_the_nearest_interaction_is_told(shop: Shop) -> None:
    home = shop.home
    near = run("state", "--near", "ranker", "prod-eu", "2026-11-14T09:00Z", "--json", home=home)
    assert near.data["interaction"]["ref"] == shop.interaction
    for args in ((), ("int:019a8f3c", "--near", "ranker", "prod-eu", "2026-11-14")):
        wrong = run("state", *args, home=home)
        assert (wrong.code, "name an interaction" in wrong.err) == (2, True)
    nowhere = run("state", "--near", "ranker", "mars", "2026-11-14", home=home)
    assert (nowhere.code, "in mars is known" in nowhere.err) == (3, True)


def test_one_interaction_is_recorded(own_shop: Shop) -> None:
    home = own_shop.home
    [made] = run(
        *("interactions", "record", "ranker", "--version", "ranker@2", "--request", '{"q": 1}'),
        *("--response", "[8]", "--subject", "ann", "--external-id", "zendesk:9"),
        *(
            "--at",
            "2026-11-14T10:00Z",
            "--environment",
            "prod-eu",
            "--part",
            "chunk:faq#3",
            "--json",
        ),
        home=home,
    ).data
    assert made["at"] == "2026-11-14T10:00:00Z"
    state = run("state", made["ref"], "--json", home=home).data
    assert state["version"] == "ranker@2"
    assert state["interaction"]["request"] == '{"q":1}'
    assert state["interaction"]["subject"].startswith("k1:")
    assert {"chunk"} == {p["kind"] for p in state["parts"] if p["section"] == "part"}


def test_a_file_of_interactions_is_recorded_once(own_shop: Shop, tmp_path: Path) -> None:
    home, file = own_shop.home, tmp_path / "answers.jsonl"
    lines = [
        {"request": n, "response": n, "external_id": f"f:{n}", "at": "2026-11-14T10:00Z"}
        for n in range(3)
    ]
    lines[1] |= {"version": "ranker@1", "parts": [{"kind": "item", "ref": "i", "detail": {"p": 1}}]}
    file.write_text("\n".join(json.dumps(line) for line in lines) + "\n\n")
    args = ("interactions", "record", "ranker")
    first = run(*args, file, "--version", "ranker@2", "--json", home=home).data
    again = run(
        *(*args, "-", "--version", "ranker@2", "--json"), home=home, stdin=file.read_text()
    ).data
    assert first == again
    assert len(first) == 3
    for n, version in enumerate(("ranker@2", "ranker@1", "ranker@2")):
        assert run("state", f"ext:f:{n}", "--json", home=home).data["version"] == version


def test_a_time_ahead_of_the_clock_is_flagged(own_shop: Shop) -> None:
    home = own_shop.home
    ahead = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    args = ("interactions", "record", "ranker", "--request", "1", "--response", "2", "--at", ahead)
    made = run(*args, "--json", home=home)
    assert made.data[0]["aheadSeconds"]
    assert "1 time ahead of the clock" in made.err
    state = run("state", made.data[0]["ref"], "--json", home=home).data
    assert state["interaction"]["aheadSeconds"]
    assert "ahead of the clock" in "\n".join(draw("state", made.data[0]["ref"], home=home))
    checks = {c["name"]: c for c in run("doctor", "--json", home=home).data}
    assert "interactions of ranker are ahead of the clock" in checks["clock"]["found"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2: it is not JSON"),
        ("3", "line 2: it is no JSON object"),
        ('{"request": 1}', "line 2: it has no response"),
        ('{"request": 1, "response": 2, "colour": 3}', "is called 'colour'"),
        ('{"request": 1, "response": 2, "turn": "x"}', "turn is 'x', not int"),
        ('{"request": 1, "response": 2, "at": "soon"}', "line 2: 'soon' is not a time"),
        ('{"request": 1, "response": 2, "parts": [{}]}', "a part has no kind"),
        ('{"request": 1, "response": 2, "parts": [{"kind": "a", "ref": "b", "status": "x"}]}', "x"),
        ('{"request": 1, "response": 2, "version": "ranker@77"}', "no version 77"),
    ],
)
def test_a_line_at_fault_is_named_and_nothing_is_recorded(
    own_shop: Shop, line: str, said: str
) -> None:
    text = '{"request": 1, "response": 2}\n' + line + "\n"
    before = run("interactions", "--json", home=own_shop.home).data
    ran = run("interactions", "record", "ranker", "-", home=own_shop.home, stdin=text)
    assert ran.code in {2, 3}
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert run("interactions", "--json", home=own_shop.home).data == before


def test_what_is_recorded_is_named(own_shop: Shop) -> None:
    for args in ((), ("--request", "1"), ("f.jsonl", "--request", "1", "--response", "2")):
        ran = run("interactions", "record", "ranker", *args, home=own_shop.home)
        assert (ran.code, "name a request and its response" in ran.err) == (2, True)
    wrong = run(
        *("interactions", "record", "ranker", "--request", "hello", "--response", "2"),
        home=own_shop.home,
    )
    assert (wrong.code, "the request is not JSON" in wrong.err) == (2, True)
    part = ("--request", "1", "--response", "2", "--part", "faq")
    ran = run("interactions", "record", "ranker", *part, home=own_shop.home)
    assert (ran.code, "'faq' is no part" in ran.err) == (2, True)


def test_too_many_lines_are_refused(own_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backstory.lineage.answer_text.MAX_ANSWERS", 1)
    text = '{"request": 1, "response": 2}\n' * 2
    ran = run("interactions", "record", "ranker", "-", home=own_shop.home, stdin=text)
    assert (ran.code, "more than 1 lines" in ran.err) == (2, True)
