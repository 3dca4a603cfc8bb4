"""The home itself: doctor, db, completion, help, serve."""

import json
import os
import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from backstory.lineage.home import open_home
from backstory.lineage.store import upgrade
from tests.cli.running import PROGRAM, draw, environment, run
from tests.cli.shop import Shop
from tests.cli.test_documents import check_shape
from tests.lineage.test_forwarding import telling, train


def test_a_home_that_is_well(shop: Shop) -> None:
    found = run("doctor", home=shop.home)
    assert found.code == 0
    assert {row[1] for row in found.rows} <= {"ok", "warning"}
    assert draw("doctor", home=shop.home)[0].split()[:2] == ["check", "health"]


def test_events_are_sent_where_there_is_somewhere_to_send_them(own_shop: Shop) -> None:
    assert run("flush", home=own_shop.home).code == 2
    events = own_shop.home / "events.ndjson"
    with (own_shop.home / "backstory.toml").open("a") as settings:
        settings.write(f'\n[openlineage.transport]\ntype = "file"\nlog_file_path = "{events}"\n')
    found = run("flush", "--json", home=own_shop.home)
    assert found.code == 0
    counts = {"sent": 0, "waiting": 0, "refused": 0, "error": None}
    assert found.data == {**counts, "receivers": [{"receiver": "file", **counts}]}
    check_shape("flush", found.data)


def test_what_waits_for_nobody_is_dropped(own_shop: Shop, tmp_path: Path) -> None:
    with open_home(own_shop.home) as home:
        train(telling(home, {"type": "http", "url": "http://127.0.0.1:1", "name": "old"}), tmp_path)
    doctor = run("doctor", home=own_shop.home)
    assert "2 events for old, which is no longer configured" in doctor.out
    found = run("flush", "--forget", "old", "--json", home=own_shop.home)
    assert (found.code, found.data) == (0, {"receiver": "old", "forgotten": 2})
    check_shape("flush --forget", found.data)
    assert run("flush", "--forget", "old", home=own_shop.home).code == 3


def test_a_home_that_is_not(own_shop: Shop) -> None:
    for path in (own_shop.home / "keys").iterdir():
        path.chmod(0o644)
    found = run("doctor", "--json", home=own_shop.home)
    assert found.code == 1
    (problem,) = [check for check in found.data if check["health"] == "problem"]
    assert problem["name"] == "keys"
    assert problem["remedy"].startswith("chmod 600 ")


def test_a_home_is_mended(own_shop: Shop) -> None:
    for path in (own_shop.home / "keys").iterdir():
        path.chmod(0o644)
    mended = run("doctor", "--fix", "--json", home=own_shop.home)
    assert mended.code == 0
    assert [one["name"] for one in mended.data["mended"]] == ["keys"]
    assert {check["health"] for check in mended.data["checks"]} <= {"ok", "warning"}
    assert draw("doctor", "--fix", home=own_shop.home)[0] == "there was nothing to mend"
    (own_shop.home / "keys").chmod(0o755)
    again = draw("doctor", "--fix", home=own_shop.home)
    assert again[0].split() == ["check", "mended", "what", "was", "done"]


def test_what_is_pinned_and_how_much(own_shop: Shop) -> None:
    sizes = run("pins", "--json", home=own_shop.home).data
    listed = run("pin", "--list", "--json", home=own_shop.home).data
    assert [one["id"] for one in sizes] == [one["id"] for one in listed]
    assert all(one["bytes"] >= one["bytesAlone"] for one in sizes)
    assert len(run("pins", home=own_shop.home).rows) == len(sizes)


def test_pins_tell_who_reads_and_of_what(own_shop: Shop) -> None:
    with open_home(own_shop.home) as home:
        home.slice("thumbs/en").at(1).arrow()
        [lease] = home.leases()
    pins = run("pin", "--list", "--json", home=own_shop.home).data
    *kept, last = run("pins", "thumbs/en", "--json", home=own_shop.home).data
    assert [one["id"] for one in kept] == [one["id"] for one in pins]
    assert (last["id"], last["holder"]) == (lease.lease_id, lease.holder)
    assert (last["strength"], last["reason"]) == ("lease", "reading")
    assert (last["bytes"], last["bytesAlone"]) == (lease.size, None)
    assert (last["snapshot"]["ref"], bool(last["until"])) == ("thumbs/en@1", True)
    assert set(kept[0]) == set(last)
    assert set(kept[0]["snapshot"]) == set(last["snapshot"])
    assert run("pins", home=own_shop.home).rows[-1][:4] == [
        lease.lease_id,
        "thumbs/en@1",
        "lease",
        lease.holder,
    ]


def test_the_store_is_at_the_revision_that_is_needed(shop: Shop) -> None:
    current = run("db", "current", "--json", home=shop.home).data
    assert current["current"] == current["needed"] == upgrade.HEAD
    check = run("db", "check", home=shop.home)
    assert (check.code, check.err) == (0, f"{current['store']} is up to date\n")
    assert run("db", "upgrade", home=shop.home).code == 0


def test_the_verbs_of_a_family_without_a_default_are_listed(shop: Shop) -> None:
    assert "upgrade  Bring the store" in run("db", home=shop.home).out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    assert "_BACKSTORY_COMPLETE" in run("completion", shell).out


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("backstory dep", ["deploy", "deployments"]),
        ("backstory runs s", ["show"]),
        ("backstory trace --d", ["--depth", "--dot"]),
        ("backstory trace rank", ["ranker", "ranker@1", "ranker@2", "ranker@3", "ranker@champion"]),
        ("backstory history th", ["thumbs/en"]),
        ("backstory undeploy env:", ["env:prod-eu"]),
    ],
)
def test_words_are_completed(words: str, completed: list[str], shop: Shop, tmp_path: Path) -> None:
    typed = words.split()
    done = subprocess.run(
        PROGRAM,
        cwd=shop.folder,
        env=environment(
            _BACKSTORY_COMPLETE="bash_complete",
            COMP_WORDS=words,
            COMP_CWORD=str(len(typed) - 1),
        ),
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.partition(",")[2] for line in done.stdout.splitlines()] == completed


@pytest.mark.parametrize("topic", ["refs", "environment", "exit-codes", "json", "trace"])
def test_topics(topic: str) -> None:
    lines = run("help", topic).out.splitlines()
    assert lines
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("word", ["port", "offset", "serve", "query", "doctor", "(diff"])
def test_what_a_command_may_end_with_is_explained(word: str) -> None:
    assert word in run("help", "exit-codes").out.split()


def test_help_alone_is_the_help_of_the_program() -> None:
    assert run("help").out == run("--help").out == run().out


def test_every_variable_that_is_read_is_explained() -> None:
    assert {"BACKSTORY_HOME", "BACKSTORY_PAGER", "NO_COLOR"} <= set(
        run("help", "environment").out.split()
    )


def test_serving_until_interrupted(shop: Shop) -> None:
    with subprocess.Popen(
        [*PROGRAM, "serve", "--port", "0", "--json"],
        cwd=shop.folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout
        body = "".join(server.stdout.readline() for _ in range(7))
        url = json.loads(body)["data"]["url"]
        answer = httpx.post(url, json={"query": "{ models { name } }"}, timeout=60)
        assert answer.json()["data"] == {"models": [{"name": "ranker"}]}
        os.kill(server.pid, signal.SIGINT)
        assert server.wait(60) == 0


def test_others_are_never_served(shop: Shop) -> None:
    refused = run("serve", "--host", "0.0.0.0", home=shop.home)  # noqa: S104 - what is refused
    assert refused.code == 6
