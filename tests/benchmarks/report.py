"""What a benchmark found, told as ratios: to people as a small table, to programs as JSON.

A ratio compares two things that were measured in turn in one run, by the median of each. Times
stand beside it to be looked at; they promise nothing: other machines and other hours differ.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Work = Callable[[int], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One figure and its goal.

    Attributes:
        what: what was compared.
        value: the figure.
        unit: what it counts; a ratio where nothing is said.
        at_most, at_least: the goal; a figure without one is told for comparison.
        times: medians in milliseconds, by what took them.
    """

    what: str
    value: float
    unit: str = "x"
    at_most: float | None = None
    at_least: float | None = None
    times: Mapping[str, float] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none."""
        if self.at_most is not None:
            return self.value <= self.at_most
        return None if self.at_least is None else self.value >= self.at_least

    @property
    def goal(self) -> str:
        """`<= 3`, or nothing."""
        if self.at_most is not None:
            return f"<= {self.at_most:g}"
        return "" if self.at_least is None else f">= {self.at_least:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """The figures of one topic.

    Attributes:
        notes: lines to read beside them.
    """

    name: str
    measures: Sequence[Measure]
    notes: Sequence[str] = ()


def interleaved(works: Mapping[str, Work], rounds: int, warm: int = 5) -> dict[str, float]:
    """Do each work once a round, in turn; gives the medians in milliseconds.

    Args:
        works: by name; each is told the number of the round, to take another thing each time.
        rounds: how many count.
        warm: how many rounds go before them.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    for at in range(warm + rounds):
        for name, work in works.items():
            started = time.perf_counter()
            work(at)
            if at >= warm:
                times[name].append((time.perf_counter() - started) * 1_000)
    return {name: statistics.median(taken) for name, taken in times.items()}


def ratio(
    what: str,
    times: Mapping[str, float],
    of: str,
    to: str,
    *,
    at_most: float | None = None,
    at_least: float | None = None,
) -> Measure:
    """How many times as long one work took as another."""
    return Measure(
        what=what,
        value=times[of] / times[to],
        at_most=at_most,
        at_least=at_least,
        times={of: times[of], to: times[to]},
    )


def as_text(topic: Topic) -> str:
    """The topic as a table."""
    width = max(len(measure.what) for measure in topic.measures)
    rows = [_row(measure, width) for measure in topic.measures]
    return "\n".join([topic.name, *rows, *(f"  {note}" for note in topic.notes)])


def as_json(topics: Sequence[Topic]) -> dict[str, Any]:
    """All topics for a program."""
    return {
        "schemaVersion": 1,
        "topics": [
            {
                "topic": topic.name,
                "measures": [_document(measure) for measure in topic.measures],
                "notes": list(topic.notes),
            }
            for topic in topics
        ],
    }


def _row(measure: Measure, width: int) -> str:
    told = {True: "met", False: "missed", None: ""}[measure.met]
    times = ", ".join(f"{what} {ms:,.2f} ms" for what, ms in measure.times.items())
    figure = f"{measure.value:9,.2f} {measure.unit}"
    return f"  {measure.what:{width}}  {figure}  {measure.goal:8} {told:6}  {times}".rstrip()


def _document(measure: Measure) -> dict[str, Any]:
    return {
        "what": measure.what,
        "value": measure.value,
        "unit": measure.unit,
        "atMost": measure.at_most,
        "atLeast": measure.at_least,
        "met": measure.met,
        "milliseconds": dict(measure.times),
    }
