"""Events to a Kafka topic: sent once a broker has confirmed them, never merely enqueued.

Topic, configuration and message key are those of OpenLineage's own transport. Its own waiting has
no end and does not tell a delivered message from a failed one; ours has an end, and a message that
is not confirmed by then is taken back.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from backstory.lake.errors import InvalidError, RefusedError, UnavailableError

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Producer
    from openlineage.client.event_v2 import RunEvent

CONFIRM_SECONDS = 10.0


def open_topic(
    config: Mapping[str, Any], seconds: float = CONFIRM_SECONDS
) -> Callable[["RunEvent"], None]:
    """What sends events to a topic.

    Args:
        config: of OpenLineage's Kafka transport.
        seconds: how long a message may take to be confirmed.

    Raises:
        InvalidError: Kafka's client is not installed.
        Exception: the client does not take the configuration.
    """
    try:
        from confluent_kafka import KafkaException
    except ImportError as exc:
        raise InvalidError(
            "the OpenLineage kafka transport needs confluent-kafka",
            hint="pip install 'backstory[kafka]'",
        ) from exc
    from openlineage.client.transport.kafka import KafkaConfig, KafkaTransport

    troubles = Troubles()
    # The client's own log goes to stderr; what matters of it is told as an error here.
    client = {"log_level": 0, **config["config"], "error_cb": troubles.note}
    made = KafkaConfig.from_dict({**config, "config": client, "flush": False})
    transport: Any = KafkaTransport(made)
    confirming = transport.producer = ConfirmingProducer(transport.producer)

    def send(event: "RunEvent") -> None:
        troubles.last = ""
        try:
            transport.emit(event)
        except KafkaException as exc:
            raise _failure(exc.args[0], troubles) from exc
        confirming.confirm(seconds, troubles)

    return send


class Troubles:
    """What the client last said of its connections."""

    def __init__(self) -> None:
        self.last = ""

    def note(self, error: "KafkaError") -> None:
        """Remember it, as the client calls back."""
        self.last = f": {error.str()}"


class ConfirmingProducer:
    """A producer of one message at a time, which knows what became of it."""

    def __init__(self, producer: "Producer") -> None:
        self._producer = producer
        self._outcome: list[KafkaError | None] = []

    def produce(self, **message: Any) -> None:
        """Enqueue a message, as the transport does."""
        outcome = self._outcome = []  # of its own: what comes late is of an earlier message
        self._producer.produce(**message | {"on_delivery": lambda error, _: outcome.append(error)})

    def confirm(self, seconds: float, troubles: Troubles) -> None:
        """Wait until a broker has it.

        Raises:
            RefusedError: no broker will ever take it.
            UnavailableError: none has taken it in time.
        """
        self._producer.flush(seconds)
        if not self._outcome:
            self._producer.purge()
            self._producer.poll(0)
            raise UnavailableError(f"not confirmed within {seconds:g} s{troubles.last}")
        if (error := self._outcome[0]) is not None:
            raise _failure(error, troubles)


def _failure(error: "KafkaError", troubles: Troubles) -> RefusedError | UnavailableError:
    from confluent_kafka import KafkaError

    about_the_event = {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
    }
    kind = RefusedError if error.code() in about_the_event else UnavailableError
    return kind(f"{error.name()}: {error.str()}{troubles.last}")
