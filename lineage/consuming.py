"""A Kafka topic into a slice: every message once, whoever dies, comes back late or is not alone.

A partition is a source, `kafka:CLUSTER/TOPIC/PARTITION`, and its offset is the position behind the
last message that is stored, in the transaction of its commit. A consumer begins where the slice
stands, never where the group does. A commit is made only if the slice still stands where its
messages begin; else somebody else has stored some of them, and the partition is read again from
where the slice stands now.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
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
from backstory.lake.gate import pass_gate
from backstory.lake.location import translate_os_error
from backstory.lake.sources.kafka import Messages, Topic
from backstory.lake.sources.text import read_messages
from backstory.lake.table import Receipt, SliceTable
from backstory.lineage.catch_up import register_commits
from backstory.lineage.ingest import own_table
from backstory.lineage.parts import Parts

GROUP_MESSAGES = 50_000
GROUP_BYTES = 128 << 20
GROUP_SECONDS = 5.0
MAX_PROPERTIES_BYTES = 1 << 16


class Poison(StrEnum):
    """What becomes of a message that is no row of the slice."""

    REFUSE = "refuse"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumed:
    """What has come of a topic so far.

    Attributes:
        topic: its name.
        rows: rows that were stored.
        skipped: messages that were no rows.
        commits: how many.
        version: the newest commit; None where there was none.
    """

    topic: str
    rows: int = 0
    skipped: int = 0
    commits: int = 0
    version: int | None = None

    def and_one_more(self, receipt: Receipt, skipped: int) -> "Consumed":
        """The same with one more commit."""
        return replace(
            self,
            rows=self.rows + receipt.accepted,
            skipped=self.skipped + skipped,
            commits=self.commits + 1,
            version=receipt.version,
        )


def consume(
    parts: Parts,
    slice_name: str,
    topic: str,
    config: Mapping[str, Any],
    *,
    poison: Poison = Poison.REFUSE,
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
        poison: whether a message that does not fit ends the consuming, or is skipped; the commit
            then says where it stands in the topic.
        to_end: end when all that is there is stored.
        over: asked several times a second; true ends the consuming after what is under way.
        seconds: how long messages wait for others of their commit.
        told: called after each commit.

    Raises:
        BatchRejectedError: a message does not fit, and such are not skipped.
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
                    receipt, skipped = _store(parts, table, messages, source, poison)
                except OffsetConflict:
                    reader.rewind(messages.partition)
                else:
                    crashpoint("kafka.stored")
                    reader.stored(messages)
                    so_far = so_far.and_one_more(receipt, skipped)
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
    parts: Parts,
    table: SliceTable,
    messages: Messages,
    source: str,
    poison: Poison,
) -> tuple[Receipt, int]:
    rows, skipped = _rows_of(parts, table, messages, source, poison)
    receipt = table.append(
        rows,
        source=source,
        offset=messages.end,
        after=messages.after,
        at=parts.clock(),
        info={
            **({"skipped": skipped} if skipped else {}),
            "actor": parts.actor.name,
            "known_by": parts.actor.known_by,
        },
        new_id=parts.new_id,
    )
    register_commits(parts, table.name)
    return receipt, len(skipped)


def _rows_of(
    parts: Parts, table: SliceTable, messages: Messages, source: str, poison: Poison
) -> tuple[Any, list[int]]:
    """The rows behind the gate, and the offsets of messages that are none."""
    left = dict(zip(messages.offsets, messages.values, strict=True))
    skipped: list[int] = []
    while True:
        try:
            read = read_messages(left.values(), table.contract)
            return pass_gate(read, table.contract, parts.key), skipped
        except BatchRejectedError as exc:
            offsets = list(left)
            bad = sorted({offsets[r.row - 1] for r in exc.rejections if r.row is not None})
            if poison is Poison.REFUSE or not bad:
                exc.name(f"{source}@{bad[0]}" if bad else source)
                raise
            skipped += bad
            for offset in bad:
                del left[offset]
