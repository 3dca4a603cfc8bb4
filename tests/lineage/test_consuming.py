"""A Kafka topic into a slice, on librdkafka's mock cluster: each message once.

The mock is no evidence of transactions and fencing, and nothing here builds on them: what keeps
messages single is the slice's own log.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

import backstory
from backstory.lake.sources.kafka import Topic
from backstory.lineage.consuming import Consumed, consume, source_of
from backstory.lineage.home import Home
from tests.lineage.homes import CONTRACT, MORNING, backstory_error
from tests.lineage.store.recording import ticking
from tests.lineage.test_kafka import cluster

TOPIC = "thumbs"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """On one kind of database: where a consumer stands is in the lake."""
    with backstory.init(tmp_path / "home", clock=ticking()) as opened:
        yield opened


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with cluster() as address:
        yield address


@pytest.fixture
def topic(request: pytest.FixtureRequest) -> str:
    return "".join(c if c.isalnum() else "-" for c in request.node.name)


def produce(broker: str, topic: str, values: list[bytes]) -> None:
    producer = Producer({"bootstrap.servers": broker, "linger.ms": 1})
    for number, value in enumerate(values):
        producer.produce(topic, value, key=str(number))
    assert producer.flush(60) == 0


def thumb(number: int) -> bytes:
    at = MORNING.isoformat()
    return json.dumps({"event_id": f"e{number}", "at": at, "stars": number}).encode()


def config(broker: str, group: str = "backstory") -> dict[str, Any]:
    return {"bootstrap.servers": broker, "group.id": group, "session.timeout.ms": 6000}


def read(home: Home, broker: str, topic: str, **more: Any) -> Consumed:
    group = more.pop("group", "backstory")
    return consume(
        home, "thumbs/en", topic, config(broker, group), to_end=True, seconds=0.2, **more
    )


def ids(home: Home) -> list[int]:
    found = home.slice("thumbs/en").at().arrow()["event_id"].to_pylist()
    return sorted(int(each[1:]) for each in found)


def test_messages_are_stored_and_the_next_command_goes_on(
    home: Home, broker: str, topic: str
) -> None:
    home.create_slice(CONTRACT)
    produce(broker, topic, [thumb(n) for n in range(300)])
    first = read(home, broker, topic)
    assert (first.rows, first.rejected) == (300, 0)
    assert first.commits <= 4
    again = read(home, broker, topic)
    assert (again.rows, again.commits, again.version) == (0, 0, None)
    produce(broker, topic, [thumb(n) for n in range(300, 320)])
    assert read(home, broker, topic, group="another").rows == 20
    assert ids(home) == list(range(320))
    sources = {use.commit.source for use in home.history("thumbs/en") if use.commit.source}
    assert all(source.startswith("kafka:") and f"/{topic}/" in source for source in sources)


CHILD = """
import sys, json, backstory
from backstory.lineage.consuming import consume
with backstory.open(sys.argv[1]) as home:
    consume(home, "thumbs/en", sys.argv[2], json.loads(sys.argv[3]), to_end=True, seconds=0.1)
"""


def test_killed_before_and_after_a_commit(home: Home, broker: str, topic: str) -> None:
    home.create_slice(CONTRACT)
    produce(broker, topic, [thumb(n) for n in range(200)])
    for crash_at in ("commit.before", "commit.after", "kafka.stored"):
        environment = {**os.environ, "BACKSTORY_CRASH_AT": crash_at}
        settings = json.dumps(config(broker, crash_at))
        child = [sys.executable, "-c", CHILD, str(home.settings.home), topic, settings]
        ended = subprocess.run(child, env=environment, check=False, timeout=200)
        assert ended.returncode == -signal.SIGKILL
    read(home, broker, topic)
    assert ids(home) == list(range(200))
    assert home.verify().findings == ()


def test_a_zombie_stores_nothing_twice(
    home: Home, broker: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has its messages in hand while another one stores them, and more."""
    home.create_slice(CONTRACT)
    produce(broker, topic, [thumb(n) for n in range(100)])
    gather = Topic.gather

    def late(reader: Topic, **how: Any) -> Any:
        found = gather(reader, **how)
        if found:
            monkeypatch.setattr(Topic, "gather", gather)
            produce(broker, topic, [thumb(n) for n in range(100, 140)])
            with backstory.open(home.settings.home) as other:
                assert read(other, broker, topic, group="winner").rows == 140
        return found

    monkeypatch.setattr(Topic, "gather", late)
    assert read(home, broker, topic, group="zombie").rows == 0
    assert ids(home) == list(range(140))


def test_partitions_that_move_are_taken_up_where_they_stand(
    home: Home, broker: str, topic: str
) -> None:
    home.create_slice(CONTRACT)
    produce(broker, topic, [thumb(n) for n in range(50)])
    stop, counts = threading.Event(), {"one": 0, "two": 0}
    first_has_some = threading.Event()

    def work(name: str) -> None:
        def told(so_far: Consumed) -> None:
            counts[name] = so_far.rows
            first_has_some.set()

        with backstory.open(home.settings.home) as own:
            settings = config(broker)
            consume(own, "thumbs/en", topic, settings, over=stop.is_set, seconds=0.1, told=told)

    with ThreadPoolExecutor(2) as workers:
        done = [workers.submit(work, "one")]
        try:
            assert first_has_some.wait(120)
            done.append(workers.submit(work, "two"))
            number = 50
            while not counts["two"] and not any(each.done() for each in done):
                produce(broker, topic, [thumb(n) for n in range(number, number + 20)])
                number += 20
            while sum(counts.values()) < number and not any(each.done() for each in done):
                threading.Event().wait(0.1)
        finally:
            stop.set()
        for each in done:
            each.result()
    assert ids(home) == list(range(number))


def test_a_message_that_is_no_row(home: Home, broker: str, topic: str) -> None:
    home.create_slice(CONTRACT)
    values = [thumb(n) for n in range(40)]
    values[7], values[9], values[11] = b"{", b'{"event_id": null}', b'{"stars": "x"}'
    produce(broker, topic, values)
    with pytest.raises(backstory.BatchRejectedError) as caught:
        read(home, broker, topic, strict=True)
    assert f"/{topic}/" in backstory_error(caught)
    done = read(home, broker, topic)
    assert done.rejected == 3
    assert set(ids(home)) == set(range(40)) - {7, 9, 11}
    batches = home.quarantined("thumbs/en")
    assert sum(batch.waiting for batch in batches) == 3


def test_a_message_alone_that_is_no_row_holds_nothing_back(
    home: Home, broker: str, topic: str
) -> None:
    home.create_slice(CONTRACT)
    produce(broker, topic, [b"{"])
    assert read(home, broker, topic).rejected == 1
    produce(broker, topic, [thumb(1)])
    assert read(home, broker, topic).rows == 1


def test_what_is_gone_from_a_topic_is_told(home: Home, broker: str, topic: str) -> None:
    home.create_slice(CONTRACT)
    produce(broker, topic, [thumb(n) for n in range(10)])
    with Topic(config(broker), topic, lambda _cluster, _partition: -1) as reader:
        cluster_id = reader.cluster
    table: Any = home.lake.table("thumbs/en")
    for partition in range(4):
        home.slice("thumbs/en").append(
            [], source=source_of(cluster_id, topic, partition), offset=1_000
        )
    assert table.version == 4
    with pytest.raises(backstory.ConflictError, match="what follows position 1000 is not in"):
        read(home, broker, topic)


def test_no_broker_is_told(home: Home) -> None:
    home.create_slice(CONTRACT)
    with pytest.raises(backstory.BackstoryError) as caught:
        consume(home, "thumbs/en", TOPIC, {"bootstrap.servers": "127.0.0.1:1", "group.id": "x"})
    assert "no Kafka broker answers" in backstory_error(caught)
    with pytest.raises(backstory.InvalidError, match="does not take the configuration"):
        consume(home, "thumbs/en", TOPIC, {"nonsense": "1", "group.id": "x"})


def test_it_needs_its_client(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.create_slice(CONTRACT)
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(backstory.InvalidError, match="needs confluent-kafka"):
        consume(home, "thumbs/en", TOPIC, {})
    assert Path(home.settings.home).exists()
