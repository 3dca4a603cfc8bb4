"""Feedback as it comes: watch and consume as commands."""

import signal
import subprocess
from pathlib import Path

from backstory.lineage.home import open_home
from tests.cli.running import PROGRAM, environment, run
from tests.cli.shop import Shop, write_jsonl
from tests.lineage.test_consuming import produce
from tests.lineage.test_kafka import cluster


def test_a_folder_is_watched_until_interrupted(own_shop: Shop) -> None:
    incoming = own_shop.folder / "incoming"
    incoming.mkdir()
    (incoming / "bad.jsonl").write_text("{\n")
    write_jsonl(incoming / "good.jsonl", 9)
    with subprocess.Popen(
        [*PROGRAM, "watch", "thumbs/en", incoming, "--every", "0.1"],
        cwd=own_shop.folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stderr is not None
        refused, taken = child.stderr.readline(), child.stderr.readline()
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate(timeout=120)
    assert refused.startswith("refused: bad.jsonl: thumbs/en: row 1: expected one JSON object")
    assert taken == "good.jsonl: accepted\n"
    assert dict(line.split("\t") for line in out.splitlines()) == {
        "slice": "thumbs/en",
        "files": "2",
        "rows": "20",
        "duplicates": "0",
        "refused": "1",
    }
    assert child.returncode == 1


def test_a_topic_is_consumed_to_its_end(own_shop: Shop, tmp_path: Path) -> None:
    rows = write_jsonl(tmp_path / "rows.jsonl", 9).read_bytes().splitlines()
    properties = tmp_path / "client.properties"
    with cluster() as broker:
        produce(broker, "thumbs", [*rows, b"{"])
        said = (
            f"bootstrap.servers = {broker}",
            "",
            "client.id=backstory",
            "session.timeout.ms=6000",
        )
        properties.write_text("\n".join(["# where", *said, ""]))
        args = ("consume", "thumbs/en", "--topic", "thumbs", "--config", properties, "--once")
        done = run(*args, "--within", "0.2", "--json", home=own_shop.home)
        assert done.code == 0, done.err
        assert (done.data["topic"], done.data["rows"], done.data["rejected"]) == ("thumbs", 20, 1)
        again = run(*args, "--brokers", broker, home=own_shop.home)
        assert dict(line.split("\t") for line in again.out.splitlines())["rows"] == "0"
    with open_home(own_shop.home) as home:
        assert home.slice("thumbs/en").at().rows == 1560
