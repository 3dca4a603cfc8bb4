"""Events to Kafka: librdkafka's own cluster of one broker, in this process."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Message, Producer

from backstory.lake.errors import UnavailableError
from backstory.lineage.home import Home
from backstory.lineage.openlineage.kafka import open_topic
from backstory.lineage.openlineage.transport import rebuilt
from tests.lineage.receiver import receiving
from tests.lineage.test_forwarding import counts, stored, telling, to_http, train

TOPIC = "lineage"


@contextmanager
def cluster() -> Iterator[str]:
    """The address of a broker, as long as it is there."""
    brokers = Producer({"test.mock.num.brokers": 1})
    try:
        [broker] = brokers.list_topics(timeout=30).brokers.values()
        yield f"{broker.host}:{broker.port}"
    finally:
        brokers.close()


@pytest.fixture
def broker() -> Iterator[str]:
    with cluster() as address:
        yield address


def to_kafka(broker: str, **more: str) -> dict[str, object]:
    config = {"bootstrap.servers": broker, **more}
    return {"type": "kafka", "topic": TOPIC, "config": config}


def read(broker: str, count: int) -> list[Message]:
    consumer = Consumer(
        {"bootstrap.servers": broker, "group.id": "test", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([TOPIC])
    messages: list[Message] = []
    while len(messages) < count:  # pytest's timeout ends a vain wait
        if (message := consumer.poll(1)) is not None and message.error() is None:
            messages.append(message)
    assert consumer.poll(0.2) is None
    consumer.close()
    return messages


def test_events_arrive_in_order_under_the_key_of_their_job(
    home: Home, broker: str, tmp_path: Path
) -> None:
    home = telling(home, to_kafka(broker))
    train(home, tmp_path)
    done = home.flush()
    assert (done.sent, done.waiting, done.error) == (2, 0, None)
    messages = read(broker, 2)
    bodies = [home_event(message) for message in messages]
    assert bodies == stored(home)
    assert {message.key() for message in messages} == {b"run:backstory/retrain.ranker"}


def home_event(message: Message) -> object:
    value = message.value()
    assert value is not None
    return json.loads(value)


def test_a_cluster_that_is_down_holds_up_no_other_and_gets_all_when_it_is_back(
    home: Home, tmp_path: Path
) -> None:
    down = to_kafka("127.0.0.1:1", **{"message.timeout.ms": "300"})
    with receiving() as receiver, cluster() as address:
        transports = {"marquez": to_http(receiver), "bus": down}
        away = telling(home, {"type": "composite", "transports": transports})
        train(away, tmp_path)
        done = away.flush()
        assert counts(done) == {"marquez": (2, 0, 0), "bus": (0, 2, 0)}
        assert "_MSG_TIMED_OUT" in (done.error or "")
        assert "127.0.0.1:1" in (done.error or "")
        transports = {"bus": to_kafka(address), "marquez": to_http(receiver)}
        back = telling(home, {"type": "composite", "transports": transports})
        assert counts(back.flush()) == {"bus": (2, 0, 0), "marquez": (0, 0, 0)}
        assert [home_event(message) for message in read(address, 2)] == stored(home)


def test_what_is_too_large_is_refused_and_holds_nothing_up(
    home: Home, broker: str, tmp_path: Path
) -> None:
    home = telling(home, to_kafka(broker, **{"message.max.bytes": "1000"}))
    train(home, tmp_path)
    done = home.flush()
    assert (done.sent, done.waiting, done.refused) == (0, 0, 2)
    assert "MSG_SIZE_TOO_LARGE" in (done.error or "")


def test_a_message_that_is_not_confirmed_is_taken_back(home: Home, tmp_path: Path) -> None:
    home = telling(home, to_kafka("127.0.0.1:1"))
    train(home, tmp_path)
    send = open_topic(to_kafka("127.0.0.1:1"), seconds=0.2)
    for body in stored(home):
        with pytest.raises(UnavailableError, match=r"not confirmed within 0\.2 s"):
            send(rebuilt(body))
