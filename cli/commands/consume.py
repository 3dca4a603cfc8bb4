"""`backstory consume`: store the messages of a Kafka topic as they come."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from backstory.cli.command import verb
from backstory.cli.ending import asked_to_end
from backstory.cli.figures import NUMBER, REF, TEXT
from backstory.cli.parameters import FILE, REF_TEXT
from backstory.cli.session import Session
from backstory.cli.views import Facts

if TYPE_CHECKING:
    from backstory.lineage.consuming import Consumed

DEFAULT_SECONDS = 5.0


@verb(
    "consume",
    examples=(
        "backstory consume thumbs/en --brokers kafka:9092 --topic thumbs",
        "backstory consume thumbs/en --topic thumbs --config client.properties --once",
    ),
    interrupted="repeat the command: it goes on where the slice stands",
)
@click.argument("slice_name", type=REF_TEXT, metavar="SLICE")
@click.option("--topic", metavar="TOPIC", required=True, help="The topic.")
@click.option("--brokers", metavar="HOST:PORT,…", help="Where the cluster is.")
@click.option(
    "--group", metavar="NAME", default="backstory", show_default=True, help="The consumer group."
)
@click.option(
    "--config",
    metavar="FILE",
    type=FILE,
    help="More properties of librdkafka, as name=value lines; passwords belong there.",
)
@click.option(
    "--within",
    "seconds",
    metavar="SECONDS",
    type=click.FloatRange(0.1, 3600),
    default=DEFAULT_SECONDS,
    show_default=True,
    help="How long a message waits for others of its commit.",
)
@click.option("--once", is_flag=True, help="End when all that is there is stored.")
@click.option("--strict", is_flag=True, help="End at a message that does not fit.")
@click.option(
    "--contract",
    metavar="FILE",
    type=FILE,
    help="Make the slice from this contract if there is none.",
)
def command(
    session: Session,
    *,
    slice_name: str,
    topic: str,
    brokers: str | None,
    group: str,
    config: Path | None,
    seconds: float,
    once: bool,
    strict: bool,
    contract: Path | None,
) -> None:
    """Store the messages of a Kafka topic, each once, until Ctrl-C.

    A message is one JSON object, a row of the slice. The slice itself knows how far it has read
    each partition, so a crash, a rebalance or a consumer that comes back late stores nothing twice
    and leaves nothing out; what the group has committed is only told to monitors. A message that
    does not fit goes to the quarantine of the slice, with its position; with --strict it ends the
    command.
    """
    from backstory.lineage.consuming import Consumed, consume, read_properties
    from backstory.lineage.ingest import ensure_slice

    properties = {"group.id": group, **(read_properties(config) if config else {})}
    if brokers:
        properties["bootstrap.servers"] = brokers
    with session.home() as home, asked_to_end() as asked:
        if contract is not None:
            ensure_slice(home, slice_name, contract)
        with session.output.working(f"consuming {topic}") as step:
            before = Consumed(topic=topic)

            def told(so_far: Consumed) -> None:
                nonlocal before
                step("", so_far.rows - before.rows)
                before = so_far

            done = consume(
                home,
                slice_name,
                topic,
                properties,
                strict=strict,
                to_end=once,
                over=asked.is_set,
                seconds=seconds,
                told=told,
            )
    _tell(session, slice_name, done)


def _tell(session: Session, slice_name: str, done: "Consumed") -> None:
    from backstory.cli.documents import document

    newest = f"{slice_name}@{done.version}" if done.version is not None else None
    lines = [
        ("topic", done.topic, TEXT),
        ("rows", done.rows, NUMBER),
        ("rejected", done.rejected, NUMBER),
        ("commits", done.commits, NUMBER),
        ("version", newest, REF),
    ]
    session.output.result(document(done), Facts(heading="", lines=lines))
