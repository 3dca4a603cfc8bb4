"""A Kafka topic, read from where its reader's own log says that it stands.

Keeps true: positions come from `position`, which asks the log that the rows go to, whenever a
partition is assigned or taken back; what the group has committed is a hint for monitors and never
read. Messages of a partition come in order, without one left out; those of a partition that was
taken away meanwhile are dropped. It decides nothing about rows.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from backstory.lake.errors import (
    ConflictError,
    InvalidError,
    LimitExceededError,
    NotFoundError,
    UnavailableError,
)
from backstory.lake.sources.lines import MAX_LINE_BYTES

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

CONNECT_SECONDS = 15.0
POLL_SECONDS = 0.2
_OURS = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,
    "auto.offset.reset": "error",  # what is gone is told, never jumped over
    "isolation.level": "read_committed",
    "log_level": 0,  # the client's own log would go to stderr
}


@dataclass(slots=True, kw_only=True)
class Messages:
    """Messages of one partition that follow one another.

    Attributes:
        partition: its number.
        after: the position that they begin at; -1 for the first ones ever.
        end: the position behind them.
        offsets: where each stands.
        values: what each says.
    """

    partition: int
    after: int
    end: int
    offsets: list[int] = field(default_factory=list)
    values: list[bytes] = field(default_factory=list)


class Topic:
    """A consumer of one topic.

    Args:
        config: of librdkafka, `bootstrap.servers` and `group.id` among it.
        topic: its name.
        position: where a partition stands in the log that its rows go to; -1 before its first.

    Raises:
        InvalidError: Kafka's client is not installed, or does not take the configuration.
        UnavailableError: no broker answers.
        NotFoundError: there is no such topic.
    """

    def __init__(
        self, config: Mapping[str, Any], topic: str, position: Callable[[str, int], int]
    ) -> None:
        self._topic = topic
        self._position = position
        self._trouble = ""
        self._consumer = self._opened(config)
        self.cluster = self._cluster()
        self._next: dict[int, int] = {}
        self._gathered: dict[int, Messages] = {}
        self._at_end: set[int] = set()
        self._consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._consumer.close()

    @property
    def is_read(self) -> bool:
        """Whether all partitions that we have are read to their ends; false where we have none."""
        return bool(self._next) and self._at_end >= self._next.keys()

    def gather(
        self, *, rows: int, size: int, seconds: float, over: Callable[[], bool]
    ) -> list[Messages]:
        """What comes until there are so many rows or bytes, the time is over, or all is read.

        Args:
            rows: enough messages.
            size: enough bytes.
            seconds: how long to wait for more, once there is one.
            over: asked several times a second; when true, what is there is given.

        Raises:
            ConflictError: messages that come next are no longer in the topic.
            LimitExceededError: a message is larger than a line of text may be.
            UnavailableError: no broker answers any more.
        """
        self._gathered = {}
        until: float | None = None
        found = found_bytes = 0
        while found < rows and found_bytes < size and not over():
            if until is not None and time.monotonic() >= until:
                break
            message = self._consumer.poll(POLL_SECONDS)
            if message is not None and self._taken(message):
                found += 1
                found_bytes += len(message.value() or b"")
                until = until or time.monotonic() + seconds
            elif self.is_read and (found or over()):
                break
        return list(self._gathered.values())

    def rewind(self, partition: int) -> None:
        """Go on where the log says that a partition stands, because somebody else was there."""
        if partition in self._next:
            self._at_end.discard(partition)
            self._consumer.seek(self._start(partition))

    def stored(self, messages: Messages) -> None:
        """Tell monitors of the group how far a partition is stored; it matters to nothing else."""
        from confluent_kafka import KafkaException, TopicPartition

        at = TopicPartition(self._topic, messages.partition, messages.end)
        try:
            self._consumer.commit(offsets=[at], asynchronous=True)
        except KafkaException:
            return

    def _opened(self, config: Mapping[str, Any]) -> "Consumer":
        try:
            from confluent_kafka import Consumer, KafkaException
        except ImportError as exc:
            raise InvalidError(
                "reading a Kafka topic needs confluent-kafka", hint="pip install 'backstory[kafka]'"
            ) from exc
        try:
            return Consumer({**config, **_OURS, "error_cb": self._note})
        except (KafkaException, TypeError, ValueError) as exc:
            raise InvalidError(
                f"Kafka's client does not take the configuration: {exc}",
                hint="see librdkafka's list of properties",
            ) from exc

    def _note(self, error: "KafkaError") -> None:
        self._trouble = f": {error.str()}"

    def _cluster(self) -> str:
        from confluent_kafka import KafkaException

        try:
            found = self._consumer.list_topics(self._topic, timeout=CONNECT_SECONDS)
        except KafkaException as exc:
            self._consumer.close()
            raise UnavailableError(
                f"no Kafka broker answers{self._trouble}", hint="check the address, or try later"
            ) from exc
        error = found.topics[self._topic].error
        if error is not None:
            self._consumer.close()
            raise NotFoundError(f"topic {self._topic}: {error.str()}", hint="check its name")
        return str(found.cluster_id)

    def _start(self, partition: int) -> "TopicPartition":
        from confluent_kafka import OFFSET_BEGINNING, TopicPartition

        at = self._next[partition] = self._position(self.cluster, partition)
        return TopicPartition(self._topic, partition, at if at >= 0 else OFFSET_BEGINNING)

    def _assigned(self, consumer: "Consumer", partitions: "list[TopicPartition]") -> None:
        self._next, self._gathered = {}, {}
        self._at_end.clear()
        consumer.assign([self._start(found.partition) for found in partitions])

    def _revoked(self, _consumer: "Consumer", _partitions: "list[TopicPartition]") -> None:
        self._next, self._gathered = {}, {}
        self._at_end.clear()

    def _taken(self, message: "Message") -> bool:
        """Take a message, or note that a partition is at its end; whether it was a message."""
        partition, offset = message.partition(), message.offset()
        error = message.error()
        if error is not None:
            self._heed(error, partition)
            return False
        if partition not in self._next or offset is None or offset < self._next[partition]:
            return False
        value = message.value()
        if value is not None and len(value) > MAX_LINE_BYTES:
            raise LimitExceededError(
                f"{self._topic}/{partition}@{offset} is larger than {MAX_LINE_BYTES} bytes",
                hint="send rows that large in files",
            )
        group = self._gathered.get(partition)
        if group is None:
            after = self._next[partition]
            group = Messages(partition=partition, after=after, end=after)
            self._gathered[partition] = group
        if value is not None:  # a tombstone says nothing
            group.offsets.append(offset)
            group.values.append(value)
        group.end = self._next[partition] = offset + 1
        self._at_end.discard(partition)
        return True

    def _heed(self, error: "KafkaError", partition: int | None) -> None:
        from confluent_kafka import KafkaError

        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the client's public names
            if partition is not None:
                self._at_end.add(partition)
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 - likewise
            at = self._next.get(partition or 0)
            raise ConflictError(
                f"{self._topic}/{partition}: what follows position {at} is not in the topic",
                hint="its messages were removed before they were read, or it was made anew under "
                "its old name: give the new one a name of its own",
            )
        elif error.fatal():
            raise UnavailableError(f"{self._topic}: {error.str()}", hint="start it again")
