"""Runs, versions, aliases and what serves: runs, models, deploy, undeploy, deployments."""

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import backstory
from tests.cli.running import draw, run
from tests.cli.shop import Shop


def test_runs_are_listed_newest_first(shop: Shop) -> None:
    found = run("runs", "--json", home=shop.home).data
    assert [r["state"] for r in found] == ["failed", "completed", "completed", "completed"]
    assert found[0]["message"] == "ZeroDivisionError: division by zero"
    assert found[-1]["trigger"]["kind"] == "threshold"
    drawn = draw("runs", home=shop.home, width=160)
    assert drawn[0].split() == ["run", "model", "state", "started", "took", "trigger"]
    assert "✗ failed" in drawn[1]
    assert "thumbs/en@1, +1,200 rows" in drawn[4]


def test_runs_of_a_model(shop: Shop) -> None:
    assert len(run("runs", "--model", "ranker", home=shop.home).rows) == 4
    unknown = run("runs", "--model", "rankr", home=shop.home)
    assert unknown.code == 3
    assert "did you mean 'ranker'?" in unknown.err


def test_a_run_is_shown_whole(shop: Shop) -> None:
    first = run("runs", "--json", home=shop.home).data[-1]["ref"]
    found = run("runs", "show", first[:17], "--json", home=shop.home).data
    assert found["ref"] == first
    assert [v["ref"] for v in found["versions"]] == ["ranker@1"]
    (read,) = found["reads"]
    assert (read["filter"], read["snapshot"]["ref"]) == ("rating >= 1", "thumbs/en@1")
    drawn = draw("runs", "show", first, home=shop.home)
    assert "made     ranker@1" in drawn
    assert "ndcg     0.41" in drawn


def test_versions_are_listed(shop: Shop) -> None:
    found = run("models", "ranker", "--json", home=shop.home).data
    assert [(v["ref"], v["aliases"]) for v in found] == [
        ("ranker@3", []),
        ("ranker@2", ["champion"]),
        ("ranker@1", []),
    ]
    assert found[0]["artifact"]["bytes"] == 5000


def test_an_alias_moves(own_shop: Shop) -> None:
    moved = run("models", "alias", "ranker@3", "champion", "--json", home=own_shop.home).data
    assert (moved["version"], moved["before"]) == ("ranker@3", "ranker@2")
    assert run("models", "ranker@champion", home=own_shop.home).rows[0][0] == "ranker@3"


def test_deployments_have_intervals(shop: Shop) -> None:
    found = run("deployments", "prod-eu", "--json", home=shop.home).data
    assert [(d["ref"], d["version"], d["mode"], d["share"]) for d in found] == [
        ("env:prod-eu#1", "ranker@1", "live", 1.0),
        ("env:prod-eu#1", "ranker@1", "live", 0.9),
        ("env:prod-eu#2", "ranker@2", "canary", 0.1),
    ]
    assert found[0]["until"] == found[2]["from"]


def test_what_served_at_a_time(shop: Shop) -> None:
    found = run("deployments", "prod-eu", "--json", home=shop.home).data
    then = run("deployments", "prod-eu", "--at", found[0]["from"], home=shop.home)
    assert [row[1] for row in then.rows] == ["ranker@1"]
    before = run("deployments", "prod-eu", "--at", "2020-01-01", "--json", home=shop.home)
    assert before.data == []
    assert before.err == "nothing served then\n"


def test_deploying_and_undeploying_record(own_shop: Shop) -> None:
    made = run("deploy", "ranker@3", "--to", "prod-us", "--reason", "new", home=own_shop.home)
    assert made.rows[0][:4] == ["env:prod-us#1", "ranker@3", "live", "1.0"]
    assert "rolls nothing out" in made.err
    ended = run("undeploy", "env:prod-us#1", "--json", home=own_shop.home).data
    assert [d["ref"] for d in ended] == ["env:prod-us#1"]
    assert run("undeploy", "env:prod-us#1", home=own_shop.home).code == 3


def test_what_is_undeployed_is_told_with_its_end(own_shop: Shop) -> None:
    at = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT00:00:00Z}"
    ended = run("undeploy", "ranker@2", "--at", at, "--json", home=own_shop.home).data
    assert [d["until"] for d in ended] == [at]


def test_shares_that_do_not_fit_are_refused_with_the_split(own_shop: Shop) -> None:
    args = ("deploy", "ranker@3", "--to", "prod-eu", "--share", "0.5")
    refused = run(*args, home=own_shop.home)
    assert refused.code == 6
    assert "ranker@1 90 % (live), ranker@2 10 % (canary)" in refused.err


@pytest.mark.parametrize("share", ["0", "1.5", "nan", "half"])
def test_a_share_is_above_0_and_at_most_1(share: str, shop: Shop) -> None:
    assert run("deploy", "ranker@3", "--to", "x", "--share", share, home=shop.home).code == 2


def test_a_version_is_loaded_and_known_again(own_shop: Shop, tmp_path: Path) -> None:
    home = own_shop.home
    loaded = run("load", "ranker@1", "--to", tmp_path / "out", home=home)
    path = Path(loaded.out.strip())
    assert path == tmp_path / "out" / "weights.bin"
    assert run("version-of", path, home=home).rows[0][0] == "ranker@1"
    (tmp_path / "other").write_text("other")
    unknown = run("version-of", tmp_path / "other", home=home)
    assert (unknown.code, "no model version" in unknown.err) == (3, True)
    assert Path(run("load", "ranker@2", "--json", home=home).data["path"]).exists()


def test_a_load_of_something_else_is_a_warning(own_shop: Shop) -> None:
    home = own_shop.home
    loaded = run("load", "ranker@3", "--environment", "prod-eu", home=home)
    assert loaded.code == 0
    assert "warning: prod-eu: declared ranker@1 and ranker@2, host" in loaded.err
    run("load", "ranker@2", "--environment", "prod-eu", home=home)
    shown = run("deployments", "prod-eu", home=home)
    assert socket.gethostname() in shown.rows[-1][-2]
    run("load", "ranker@3", "--environment", "prod-eu", home=home)
    shown = run("deployments", "prod-eu", home=home)
    assert "loaded ranker@3" in shown.err
    assert "loaded ranker@3" in "\n".join(
        run("deployments", "prod-eu", "--json", home=home).data[-1]["disagreements"]
    )


def test_a_state_shows_what_was_loaded(own_shop: Shop) -> None:
    with backstory.open(own_shop.home) as home:
        home.load("ranker@3", environment="prod-eu")
        given = home.interactions("ranker").record(
            request={}, response={}, version="ranker@1", environment="prod-eu"
        )
    drawn = "\n".join(draw("state", f"int:{given}", home=own_shop.home, width=200))
    assert "had loaded" in drawn
    assert "ranker@1 is said to have answered" in drawn


def test_a_version_with_a_past_is_added(own_shop: Shop, tmp_path: Path) -> None:
    home = own_shop.home
    (tmp_path / "model.bin").write_text("old weights")
    said: list[str | Path] = [
        "models", "add", "ranker@9", "--trained-on", "thumbs/en@1", "--at", "2025-03-01",
        "--artifact", tmp_path / "model.bin", "--metric", "ndcg=0.41", "--param", "depth=4",
        "--run", "mlflow-77", "--reason", "from the old registry",
    ]  # fmt: skip
    added = run(*said, "--json", home=home)
    assert added.code == 0, added.err
    assert run(*said, "--json", home=home).data == added.data
    assert run("models", "show", "ranker@9", "--json", home=home).data["trainingUnknownBefore"]
    drawn = "\n".join(draw("models", "show", "ranker@9", home=home))
    for words in ("declared", "thumbs/en@1", "not recorded before 2026", "mlflow-77", "0.41"):
        assert words in drawn
    tree = draw("trace", "ranker@9", home=home)
    assert "training not recorded before 2026-11-14" in tree[0]
    assert "trained on thumbs/en@1  declared" in tree[1]
    taken = run(*said, "--evidence", "imported", home=home)
    assert (taken.code, "is recorded already" in taken.err) == (1, True)


def test_a_version_elsewhere_has_no_size(own_shop: Shop) -> None:
    added = run("models", "add", "ranker@9", "--artifact", "s3://a/b", home=own_shop.home)
    assert added.code == 0, added.err
    assert "s3://a/b" in draw("trace", "ranker@9", home=own_shop.home)[0]
    row = run("models", "ranker@9", home=own_shop.home).rows[0]
    assert (row[3], row[-1]) == ("s3://a/b", "declared")
    assert "loaded" not in run("models", "show", "ranker@9", home=own_shop.home).out


@pytest.mark.parametrize("pair", ["ndcg", "=1", "ndcg=much"])
def test_a_wrong_metric_is_said(own_shop: Shop, pair: str) -> None:
    wrong = run("models", "add", "ranker@9", "--metric", pair, home=own_shop.home)
    assert wrong.code == 2
    assert "hint: " in wrong.err


def test_what_was_known_of_a_time(own_shop: Shop) -> None:
    known = run("deployments", "prod-eu", "--json", home=own_shop.home).data
    back = ("--to", "prod-eu", "--at", "2001-01-01", "--mode", "shadow")
    run("deploy", "ranker@3", *back, home=own_shop.home)
    assert len(run("deployments", "prod-eu", "--json", home=own_shop.home).data) > len(known)
    early = run("deployments", "prod-eu", "--as-of", "2001-01-02", home=own_shop.home)
    assert early.code == 3
    assert "recording began at" in early.err
    for command in (
        ("trace", "ranker@2"),
        ("impact", "ranker@2"),
        ("path", "thumbs/en", "ranker@2"),
        ("slices",),
        ("history", "thumbs/en"),
        ("show", "thumbs/en"),
        ("diff", "thumbs/en@1", "thumbs/en"),
        ("models",),
        ("models", "show", "ranker@2"),
        ("runs",),
        ("runs", "show", "019a8f"),
        ("pins",),
        ("state", "int:019a8f3c"),
    ):
        ahead = run(*command, "--as-of", "2999-01-01", home=own_shop.home)
        assert ahead.code == 2
        assert "in the future" in ahead.err
