"""A Kafka topic into a slice: every message once, whoever dies, comes back late or is not alone.

A partition is a source, `kafka:CLUSTER/TOPIC/PARTITION`, and its offset is the position behind the
last message that is stored, in the transaction of its commit. A consumer begins where the slice
stands, never where the group does. A commit is made only if the slice still stands where its
messages begin; else somebody else has stored some of them, and the partition is read again from
where the slice stands now.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backstory.lake.crash import crashpoint
from backstory.lake.errors import (
    BatchRejectedError,
    InvalidError,
    LimitExceededError,
    NotFoundError,
    OffsetConflict,
)
from backstory.lake.gate import judge
from backstory.lake.location import translate_os_error
from backstory.lake.receipt import Receipt
from backstory.lake.sources.kafka import Messages, Topic
from backstory.lake.sources.rejections import Rejections
from backstory.lake.sources.text import read_messages
from backstory.lake.table import SliceTable
from backstory.lineage.catch_up import register_commits
from backstory.lineage.ingest import own_table, with_actor
from backstory.lineage.matching import match_commits
from backstory.lineage.parts import Parts

GROUP_MESSAGES = 50_000
GROUP_BYTES = 128 << 20
GROUP_SECONDS = 5.0
MAX_PROPERTIES_BYTES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumed:
    """What has come of a topic so far.

    Attributes:
        topic: its name.
        rows: rows that were stored.
        rejected: messages that went to quarantine.
        commits: how many.
        version: the newest commit; None where there was none.
    """

    topic: str
    rows: int = 0
    rejected: int = 0
    commits: int = 0
    version: int | None = None

    def and_one_more(self, receipt: Receipt) -> "Consumed":
        """The same with one more commit."""
        return replace(
            self,
            rows=self.rows + receipt.accepted,
            rejected=self.rejected + receipt.rejected,
            commits=self.commits + 1,
            version=receipt.version,
        )


def consume(
    parts: Parts,
    slice_name: str,
    topic: str,
    config: Mapping[str, Any],
    *,
    strict: bool = False,
    to_end: bool = False,
    over: Callable[[], bool] = lambda: False,
    seconds: float = GROUP_SECONDS,
    told: Callable[[Consumed], None] = lambda _so_far: None,
) -> Consumed:
    """Store a topic's messages, each a JSON object, as they come.

    Args:
        slice_name: where they go.
        topic: the topic.
        config: of librdkafka: at least `bootstrap.servers` and `group.id`.
        strict: whether a message that does not fit ends the consuming; else it goes to quarantine,
            with its position, however many there are: they hold back no other.
        to_end: end when all that is there is stored.
        over: asked several times a second; true ends the consuming after what is under way.
        seconds: how long messages wait for others of their commit.
        told: called after each commit.

    Raises:
        BatchRejectedError: a message does not fit and may end the consuming.
        UnavailableError: no broker answers, or the disk is full.
    """
    table = own_table(parts, slice_name)

    def position(cluster: str, partition: int) -> int:
        return table.last_offset(source_of(cluster, topic, partition))

    so_far = Consumed(topic=topic)
    with Topic(config, topic, position) as reader:

        def ended() -> bool:
            return over() or (to_end and reader.is_read)

        while not ended():
            found = reader.gather(
                rows=GROUP_MESSAGES, size=GROUP_BYTES, seconds=seconds, over=ended
            )
            for messages in found:
                source = source_of(reader.cluster, topic, messages.partition)
                try:
                    receipt = _store(parts, table, messages, source, strict=strict)
                except OffsetConflict:
                    reader.rewind(messages.partition)
                else:
                    crashpoint("kafka.stored")
                    reader.stored(messages)
                    so_far = so_far.and_one_more(receipt)
                    told(so_far)
    return so_far


def read_properties(path: Path) -> dict[str, str]:
    """The `name=value` lines of a file, as librdkafka's other programs read them too.

    Raises:
        NotFoundError: there is no such file.
        InvalidError: a line is of another kind.
        LimitExceededError: it is larger than `MAX_PROPERTIES_BYTES`.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(_text_of(path).splitlines(), start=1):
        name, equals, value = line.strip().partition("=")
        if not name or name.startswith("#"):
            continue
        if not equals:
            raise InvalidError(
                f"{path.name}: line {number} is no name=value",
                hint="one property of librdkafka a line",
            )
        found[name.strip()] = value.strip()
    return found


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_PROPERTIES_BYTES + 1)
        if len(data) > MAX_PROPERTIES_BYTES:
            raise LimitExceededError(
                f"{path.name} is larger than {MAX_PROPERTIES_BYTES} bytes",
                hint="keep properties alone in it",
            )
        return data.decode()
    except FileNotFoundError as exc:
        raise NotFoundError(f"there is no file {path}", hint="check its path") from exc
    except UnicodeDecodeError as exc:
        raise InvalidError(f"{path.name} is not UTF-8 text", hint="write it as such") from exc
    except OSError as exc:
        raise translate_os_error(exc, f"reading {path.name}") from exc


def source_of(cluster: str, topic: str, partition: int) -> str:
    """What a partition is called as a source."""
    return f"kafka:{cluster}/{topic}/{partition}"


def _store(
    parts: Parts, table: SliceTable, messages: Messages, source: str, *, strict: bool
) -> Receipt:
    at, rejections = parts.clock(), Rejections(table.contract, strict=strict)
    try:
        typed = read_messages(messages.values, messages.offsets, table.contract, rejections)
        batch = judge(typed, table.contract, parts.key, rejections, at=at, most=1.0)
    except BatchRejectedError as exc:
        bad = [rejection.row for rejection in exc.rejections if rejection.row is not None]
        exc.name(f"{source}@{min(bad)}" if bad else source)
        raise
    receipt = table.append(
        batch,
        source=source,
        offset=messages.end,
        after=messages.after,
        at=at,
        info=with_actor(parts, {}),
        new_id=parts.new_id,
    )
    register_commits(parts, table.name)
    match_commits(parts, table.name)
    return receipt
