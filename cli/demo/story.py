"""The story: one parcel went to the wrong town, and Backstory finds out why.

Everything that a chapter says is measured when its turn comes, once, with the same verbs as any
other program has (`home.trace`, `home.state_of`, `home.diff` …). How it is told is the chapters'.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import backstory
from backstory.cli.demo.chapters import (
    Answerer,
    Astray,
    Change,
    Chapter,
    Contradiction,
    Damage,
    Ending,
    Making,
    Reach,
    Reading,
    Repair,
    TwoWeeks,
)
from backstory.cli.demo.reader import STRENGTH, Reader
from backstory.cli.demo.screen import Steps
from backstory.cli.demo.world import (
    DEPOTS,
    MONDAY,
    Parcel,
    World,
    clerk_of,
    days,
    keyed_in,
)
from backstory.lineage.home import Home
from backstory.lineage.ids import interaction_id
from backstory.lineage.interaction import Interaction, json_text

MODEL = "reader"
FIRST, SECOND, THIRD = (f"{MODEL}@{number}" for number in (1, 2, 3))
SLICE = "corrections"
ENVIRONMENT = "sorting"
THRESHOLD_ROWS = 500

CONTRACT = """\
slice: corrections
purpose: teach the reader what clerks saw when they looked at a parcel themselves
columns:
  event_id:    {type: string, role: event_id, nullable: false}
  at:          {type: timestamp, role: event_time, nullable: false}
  interaction: {type: string, role: interaction_id}
  clerk:       {type: string, role: subject, personal: direct}
  pixels:      {type: list<int64>, nullable: false}
  digit:       {type: int64, nullable: false}
signals: [keyed_in]
"""

Progress = Callable[[str, int], AbstractContextManager[Steps]]


class SimulatedClock:
    """The time of the story: it stands until it is moved, but no two moments are the same."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def __call__(self) -> datetime:
        """The time now, a millisecond after the last time that somebody asked."""
        self._now += timedelta(milliseconds=1)
        return self._now

    def move_to(self, at: datetime) -> None:
        """Let time pass."""
        self._now = max(self._now, at)


@dataclass(kw_only=True)
class Story:
    """The two weeks, and the investigation that follows them.

    Attributes:
        progress: shows a piece of work that takes so many steps.
        root: the folder of the home, as it was named.
    """

    home: Home
    world: World
    clock: SimulatedClock
    progress: Progress
    root: str
    readers: dict[str, Reader] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)

    def chapters(self) -> Iterator[Chapter]:
        """Live the story, chapter by chapter."""
        yield self._two_weeks()
        parcel = self._find_the_parcel()
        yield Astray(parcel=parcel, answer=self.answers[parcel.number])
        yield self._who_answered(parcel)
        yield self._what_made_it()
        yield self._what_changed()
        yield self._how_far()
        yield self._repair(parcel)
        yield self._damage()
        yield self._ending()

    # --- the two weeks --------------------------------------------------------------------------

    def _two_weeks(self) -> TwoWeeks:
        self.home.create_slice(CONTRACT)
        self._send(self.world.acceptance, source="acceptance-test", at=MONDAY - timedelta(days=2))
        first = self._train(backstory.Manual("first version, from the acceptance test"))
        self.home.deploy(first, to=ENVIRONMENT, reason="go live")
        with self.progress("parcels by day", 10) as steps:
            self._live_a_week(self.world.weeks[0], first, steps.advance, corrected=True)
            self.clock.move_to(MONDAY + timedelta(days=6, hours=3))
            second = self._train(backstory.Threshold(SLICE, rows=THRESHOLD_ROWS))
            self.home.deploy(second, to=ENVIRONMENT, reason="enough new feedback")
            self._live_a_week(self.world.weeks[1], second, steps.advance, corrected=False)
        return TwoWeeks(
            read=len(self.answers), fed_back=len(self.world.weeks[0]), first=first, second=second
        )

    def _live_a_week(
        self, parcels: list[Parcel], version: str, done: Callable[[], None], *, corrected: bool
    ) -> None:
        for evening, seen in days(parcels):
            self.clock.move_to(evening)
            self._answer(seen, version)
            if corrected:
                for depot in DEPOTS:
                    self._send([p for p in seen if p.depot == depot], source=depot, at=evening)
            done()

    def _answer(self, parcels: list[Parcel], version: str) -> None:
        """The reader reads, and each answer is recorded as an interaction."""
        digits = self.readers[version].read([p.pixels for p in parcels])
        self.answers.update({p.number: d for p, d in zip(parcels, digits, strict=True)})
        self.home.interactions(MODEL).record_many(
            Interaction(
                id=_interaction(parcel),
                at=parcel.at,
                model=MODEL,
                version=_version(version),
                environment=ENVIRONMENT,
                external_id=f"parcel:{parcel.number}",
                request=json_text({"pixels": parcel.pixels}),
                response=json_text({"digit": digit}),
            )
            for parcel, digit in zip(parcels, digits, strict=True)
        )

    def _send(self, parcels: list[Parcel], *, source: str, at: datetime) -> None:
        """Clerks key in what they saw."""
        self.clock.move_to(at)
        answered = [p.number in self.answers for p in parcels]
        rows = [
            {
                "event_id": f"{source}/{parcel.number}",
                "at": parcel.at,
                "interaction": _interaction(parcel) if known else None,
                "clerk": clerk_of(parcel),
                "pixels": parcel.pixels,
                "digit": keyed_in(parcel) if known else parcel.digit,
            }
            for parcel, known in zip(parcels, answered, strict=True)
        ]
        self.home.slice(SLICE).append(rows, source=source)

    def _train(self, trigger: backstory.Trigger, *, where: str | None = None) -> str:
        """One retraining, recorded; the reader it made is kept in memory to serve."""
        with (
            self.home.retraining(MODEL, trigger=trigger, code=Path(__file__).parent) as run,
            TemporaryDirectory() as scratch,
        ):
            rows = run.read(SLICE, columns=["pixels", "digit"], where=where).arrow()
            reader = Reader.train(rows["pixels"].to_pylist(), rows["digit"].to_pylist())
            run.log_params(classifier="logistic regression", C=STRENGTH)
            run.log_metrics(training_rows=len(rows), holdout_accuracy=self._accuracy(reader))
            run.log_dataset(rows)
            made = run.register(reader.save(Path(scratch) / "reader"))
        self.readers[made.ref] = reader
        return made.ref

    def _accuracy(self, reader: Reader) -> float:
        holdout = self.world.holdout
        return reader.agreement([p.pixels for p in holdout], [p.digit for p in holdout])

    # --- the investigation ----------------------------------------------------------------------

    def _find_the_parcel(self) -> Parcel:
        """The first parcel of the second week whose 3 was read as an 8, and rightly a week before.

        The addressee complained, so here the written digit is known.
        """
        before = self.readers[FIRST]
        for parcel in self.world.weeks[1]:
            misread = parcel.digit == 3 and self.answers[parcel.number] == 8
            if misread and before.read([parcel.pixels]) == [3]:
                return parcel
        raise backstory.BackstoryError(
            "with this seed no parcel went astray", hint="try another --seed"
        )

    def _who_answered(self, parcel: Parcel) -> Answerer:
        return Answerer(
            parcel=parcel.number,
            state=self.home.state_of(f"ext:parcel:{parcel.number}", verify=True),
            deployment=self.home.deployments(ENVIRONMENT, at=parcel.at)[0],
            before=FIRST,
            reads=self._reads(FIRST, parcel),
        )

    def _what_made_it(self) -> Making:
        trace = self.home.trace(SECOND, depth=2)
        run = next(d for d in trace.details.values() if isinstance(d, backstory.RunRecord))
        read = trace.reads[run.id][0]
        snapshot = trace.details[read.snapshot]
        if not isinstance(snapshot, backstory.SnapshotRecord) or run.trigger is None:
            raise TypeError(f"a read without its snapshot: {snapshot!r}")
        return Making(
            version=SECOND,
            run=run,
            trigger=run.trigger,
            read=read,
            snapshot=snapshot,
            pin=trace.pins[snapshot.id],
            checked=self.home.verify(snapshot.ref),
        )

    def _what_changed(self) -> Change:
        base, head = self._snapshot_of(FIRST), self._snapshot_of(SECOND)
        diff = self.home.diff(base, head)
        return Change(
            diff=diff,
            sources=[self._contradiction(head, s.source or "", s.rows) for s in diff.sources],
        )

    def _contradiction(self, snapshot: str, source: str, rows: int) -> Contradiction:
        """How often a source's labels differ from what all other sources teach."""
        at = self.home.slice(SLICE).at(_version(snapshot))
        mine = at.arrow(["pixels", "digit"], f"_source = '{source}'")
        others = at.arrow(["pixels", "digit"], f"_source <> '{source}'")
        taught = Reader.train(others["pixels"].to_pylist(), others["digit"].to_pylist())
        labels = mine["digit"].to_pylist()
        pairs = zip(taught.read(mine["pixels"].to_pylist()), labels, strict=True)
        against = Counter((seen, keyed) for seen, keyed in pairs if seen != keyed)
        (seen, keyed), times = against.most_common(1)[0] if against else ((None, None), 0)
        share = against.total() / len(labels)
        return Contradiction(
            source=source, rows=rows, share=share, keyed=keyed, seen=seen, times=times
        )

    def _how_far(self) -> Reach:
        impact = self.home.impact(SECOND)
        parcels = self.world.weeks[1]
        before = self.readers[FIRST].read([p.pixels for p in parcels])
        return Reach(
            version=SECOND,
            answered=next(iter(impact.answers.values())),
            before=FIRST,
            differing=sum(
                self.answers[p.number] != digit for p, digit in zip(parcels, before, strict=True)
            ),
        )

    def _repair(self, parcel: Parcel) -> Repair:
        self.clock.move_to(MONDAY + timedelta(days=13, hours=4))
        reason = "east's corrections contradict all others; leave them out until asked"
        third = self._train(backstory.Manual(reason), where="_source <> 'east'")
        self.home.deploy(third, to=ENVIRONMENT, reason=reason)
        return Repair(
            parcel=parcel.number,
            made=third,
            readings=[
                Reading(
                    version=version,
                    accuracy=self._accuracy(reader),
                    reads=self._reads(version, parcel),
                )
                for version, reader in self.readers.items()
            ],
        )

    def _damage(self) -> Damage:
        """Flip one bit of what a version was trained on, look, and put it back."""
        snapshot = self.home.slice(SLICE).at(_version(self._snapshot_of(SECOND)))
        file = snapshot.folder / snapshot.manifest.files[0].path
        before = file.read_bytes()
        place = len(before) // 2
        file.write_bytes(before[:place] + bytes([before[place] ^ 1]) + before[place + 1 :])
        try:
            findings = self.home.verify(SECOND).findings
        finally:
            file.write_bytes(before)
        return Damage(
            version=SECOND, findings=findings, intact_again=self.home.verify(SECOND).intact
        )

    def _ending(self) -> Ending:
        return Ending(
            trace=self.home.trace(THIRD),
            home=self.root,
            asks=(
                f"trace {SECOND}",
                f"history {SLICE}",
                f"show {SLICE} --where \"_source = 'east'\"",
            ),
        )

    def _reads(self, version: str, parcel: Parcel) -> int:
        """The digit that a version takes a parcel's for."""
        return self.readers[version].read([parcel.pixels])[0]

    def _snapshot_of(self, version: str) -> str:
        """The snapshot that a version was trained on."""
        trace = self.home.trace(version, depth=2)
        return next(
            d.ref for d in trace.details.values() if isinstance(d, backstory.SnapshotRecord)
        )


def _version(ref: str) -> int:
    return int(ref.rpartition("@")[2])


def _interaction(parcel: Parcel) -> str:
    return interaction_id(parcel.at, f"parcel:{parcel.number}")
