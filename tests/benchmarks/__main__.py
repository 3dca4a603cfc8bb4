"""All benchmarks: `make bench`, and with `--peers` those beside MLflow: `make bench-peers`.

    python -m tests.benchmarks [TOPIC…] [--json] [--strict] [--peers]

Each topic prints its figures with their goals as soon as it has them. A missed goal is said and
changes nothing, because a loaded machine misses what a quiet one meets; with `--strict` it ends the
program with 1. A benchmark that cannot run, for want of a peer or anything else, always does.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Iterator

from tests.benchmarks import (
    append,
    emitting,
    first_read,
    ingesting,
    maintaining,
    over_http,
    peers,
    pinning,
    prepared,
    row_diff,
    starting,
    subjects,
    trace,
)
from tests.benchmarks.report import Measure, Topic, as_json, as_text


def _append() -> Iterator[Topic]:
    found = append.measure()
    measure = Measure(
        what="append of 100,000 rows: how much of pyarrow's speed is left",
        value=found.ratio,
        at_least=append.FLOOR,
        times={"append": found.append, "pyarrow": found.raw},
    )
    yield Topic(name="append", measures=[measure], notes=str(found).splitlines()[1:])


TOPICS: dict[str, Callable[[], Iterable[Topic]]] = {
    "append": _append,
    "ingest": lambda: [ingesting.measure()],
    "trace": trace.measure,
    "prepared": prepared.measure,
    "http": lambda: [over_http.measure()],
    "pin": lambda: [pinning.measure()],
    "maintain": lambda: [maintaining.measure()],
    "emission": lambda: [emitting.measure()],
    "read": lambda: [first_read.measure()],
    "subject": lambda: [subjects.measure()],
    "diff": row_diff.measure,
    "start": lambda: [starting.measure()],
}


def main() -> int:
    """Run the topics that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("topics", nargs="*", choices=[[], *TOPICS], help="all without any")
    parser.add_argument("--peers", action="store_true", help="beside MLflow instead")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--strict", action="store_true", help="end with 1 when a goal is missed")
    asked = parser.parse_args()
    chosen = [peers.measure] if asked.peers else [TOPICS[t] for t in asked.topics or TOPICS]
    found = []
    for topic in (topic for measure in chosen for topic in measure()):
        found.append(topic)
        if not asked.json:
            print(as_text(topic), end="\n\n", flush=True)
    if asked.json:
        print(json.dumps(as_json(found), indent=2))
    missed = any(measure.met is False for topic in found for measure in topic.measures)
    return 1 if missed and asked.strict else 0


if __name__ == "__main__":
    raise SystemExit(main())
