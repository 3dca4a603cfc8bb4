"""The story: one parcel went to the wrong town, and Backstory finds out why.

Everything that is said is measured while it is said. The chapters use the same verbs as any other
program (`home.trace`, `home.state_of`, `home.diff` …), and name the command that shows the same.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import backstory
from backstory.cli.demo.reader import STRENGTH, Reader
from backstory.cli.demo.screen import Screen
from backstory.cli.demo.world import (
    DEPOTS,
    MONDAY,
    Parcel,
    World,
    clerk_of,
    days,
    keyed_in,
)
from backstory.cli.figures import moment
from backstory.cli.lineage_tree import tree_lines
from backstory.lineage.home import Home
from backstory.lineage.ids import interaction_id
from backstory.lineage.interaction import Interaction, json_text

MODEL = "reader"
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
    """The two weeks, and the investigation that follows them."""

    home: Home
    world: World
    clock: SimulatedClock
    screen: Screen
    root: str
    readers: dict[str, Reader] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)

    def tell(self) -> None:
        """The whole story."""
        self._live_two_weeks()
        parcel = self._find_the_parcel()
        for chapter in (
            self._a_parcel_went_astray,
            self._who_answered,
            self._what_made_it,
            self._what_changed,
            self._how_far,
            self._repair,
            self._do_not_trust_us,
        ):
            chapter(parcel)
        self._ending()

    # --- the two weeks --------------------------------------------------------------------------

    def _live_two_weeks(self) -> None:
        say = self.screen.say
        self.screen.heading("Two weeks in a sorting centre")
        say("A model reads the last digit of handwritten postcodes. Where a clerk looked at a")
        say("parcel too, what the clerk keyed in comes back as feedback, by depot.")
        self.home.create_slice(CONTRACT)
        self._send(self.world.acceptance, source="acceptance-test", at=MONDAY - timedelta(days=2))
        first = self._train(backstory.Manual("first version, from the acceptance test"))
        self.home.deploy(first, to=ENVIRONMENT, reason="go live")
        with self.screen.progress("parcels by day", 10) as steps:
            self._live_a_week(self.world.weeks[0], first, steps.advance, corrected=True)
            self.clock.move_to(MONDAY + timedelta(days=6, hours=3))
            second = self._train(backstory.Threshold(SLICE, rows=THRESHOLD_ROWS))
            self.home.deploy(second, to=ENVIRONMENT, reason="enough new feedback")
            self._live_a_week(self.world.weeks[1], second, steps.advance, corrected=False)
        self._say_what_happened(first, second)

    def _say_what_happened(self, first: str, second: str) -> None:
        read = len(self.answers)
        fed_back = len(self.world.weeks[0])
        say = self.screen.say
        say()
        say(f"{read:,} parcels were read, {fed_back:,} of them corrected or confirmed by clerks of")
        say(f"{len(DEPOTS)} depots. {first} served the first week; its feedback made {second}.")

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
                version=int(version.rpartition("@")[2]),
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
        before = self.readers[f"{MODEL}@1"]
        for parcel in self.world.weeks[1]:
            misread = parcel.digit == 3 and self.answers[parcel.number] == 8
            if misread and before.read([parcel.pixels]) == [3]:
                return parcel
        raise backstory.BackstoryError(
            "with this seed no parcel went astray", hint="try another --seed"
        )

    def _a_parcel_went_astray(self, parcel: Parcel) -> None:
        self.screen.heading("A parcel went to the wrong town")
        self.screen.say(f"Parcel {parcel.number}, {moment(parcel.at)}. This is the digit:")
        self.screen.say()
        self.screen.digit(parcel.pixels)
        self.screen.say()
        self.screen.say(
            f"The reader answered {self.answers[parcel.number]}. The addressee says: it is a "
            f"{parcel.digit}.",
            style="bold",
        )

    def _who_answered(self, parcel: Parcel) -> None:
        self.screen.heading("Who answered?")
        state = self.home.state_of(f"ext:parcel:{parcel.number}", verify=True)
        interval = self.home.deployments(ENVIRONMENT, at=parcel.at)[0]
        self.screen.say(
            f"{state.version}, serving in {ENVIRONMENT} since {moment(interval.from_at)} "
            f"with {interval.share:.0%} of the traffic."
        )
        before = self.readers[f"{MODEL}@1"].read([parcel.pixels])[0]
        self.screen.say(f"The version before, {MODEL}@1, reads the same pixels as {before}.")
        self.screen.say(
            f"The model state behind the answer has {len(state.parts)} parts, all hashed again: "
            f"{len(state.missing)} missing."
        )
        self.screen.command(f"backstory --home {self.root} state ext:parcel:{parcel.number}")

    def _what_made_it(self, _: Parcel) -> None:
        self.screen.heading("What made it?")
        trace = self.home.trace(f"{MODEL}@2", depth=2)
        run = next(d for d in trace.details.values() if isinstance(d, backstory.RunRecord))
        read = trace.reads[run.id][0]
        snapshot = trace.details[read.snapshot]
        if not isinstance(snapshot, backstory.SnapshotRecord) or run.trigger is None:
            raise TypeError(f"a read without its snapshot: {snapshot!r}")
        checked = self.home.verify(snapshot.ref)
        self.screen.say(
            f"Run {run.run_id}, {run.state}{f' at {moment(run.ended)}' if run.ended else ''}."
        )
        self.screen.say(f"Why it ran: {run.trigger['kind']}, {run.trigger['reason']}.")
        self.screen.say(
            f"What it read: {snapshot.ref}, {read.rows:,} rows in {snapshot.files} files, "
            f"digest {snapshot.digest[:12]}, pinned ({trace.pins[snapshot.id].strength})."
        )
        outcome = "every byte is what was read then" if checked.intact else "NOT what was read then"
        self.screen.say(f"Verified now: {checked.files} files, {outcome}.")
        self.screen.command(f"backstory --home {self.root} trace {MODEL}@2")

    def _what_changed(self, _: Parcel) -> None:
        self.screen.heading("What changed between the two versions?")
        reads = [self._snapshot_of(f"{MODEL}@{n}") for n in (1, 2)]
        diff = self.home.diff(*reads)
        self.screen.say(
            f"{reads[0]} → {reads[1]}: +{diff.files.rows_added:,} rows in {len(diff.commits)} "
            "commits. By source, beside a reader trained on all the others:"
        )
        self.screen.say()
        rows = [self._contradictions(reads[1], s.source or "", s.rows) for s in diff.sources]
        self.screen.table(
            ("source", "rows", "contradicts the others", "most often"),
            [(source, f"{count:,}", f"{share:.1%}", often) for source, count, share, often in rows],
        )
        self.screen.say()
        worst = max(rows, key=lambda row: row[2])
        self.screen.say(
            f"The corrections of depot {worst[0]} contradict everyone else: {worst[3]}.",
            style="bold",
        )
        self.screen.command(f"backstory --home {self.root} diff {reads[0]} {reads[1]}")

    def _contradictions(self, snapshot: str, source: str, rows: int) -> tuple[str, int, float, str]:
        """How often a source's labels differ from what all other sources teach."""
        version = int(snapshot.rpartition("@")[2])
        at = self.home.slice(SLICE).at(version)
        mine = at.arrow(["pixels", "digit"], f"_source = '{source}'")
        others = at.arrow(["pixels", "digit"], f"_source <> '{source}'")
        taught = Reader.train(others["pixels"].to_pylist(), others["digit"].to_pylist())
        labels = mine["digit"].to_pylist()
        pairs = zip(taught.read(mine["pixels"].to_pylist()), labels, strict=True)
        against = Counter((seen, keyed) for seen, keyed in pairs if seen != keyed)
        (seen, keyed), times = against.most_common(1)[0] if against else ((0, 0), 0)
        often = f"{times} times {keyed} for what others call {seen}" if times else "never"
        return source, rows, against.total() / len(labels), often

    def _how_far(self, _: Parcel) -> None:
        self.screen.heading("How far did it go?")
        impact = self.home.impact(f"{MODEL}@2")
        answered = next(iter(impact.answers.values()))
        parcels = self.world.weeks[1]
        before = self.readers[f"{MODEL}@1"].read([p.pixels for p in parcels])
        differing = sum(
            self.answers[p.number] != digit for p, digit in zip(parcels, before, strict=True)
        )
        self.screen.say(
            f"{MODEL}@2 has answered {answered:,} parcels since. Read again by {MODEL}@1, "
            f"{differing} of them get another digit."
        )
        self.screen.command(f"backstory --home {self.root} impact {MODEL}@2")

    def _repair(self, parcel: Parcel) -> None:
        self.screen.heading("Repair")
        self.clock.move_to(MONDAY + timedelta(days=13, hours=4))
        reason = "east's corrections contradict all others; leave them out until asked"
        third = self._train(backstory.Manual(reason), where="_source <> 'east'")
        self.home.deploy(third, to=ENVIRONMENT, reason=reason)
        self.screen.say(f"Retrained without depot east: {third}. All versions on digits that no")
        self.screen.say("training has seen, and on the same parcel:")
        self.screen.say()
        self.screen.table(
            ("version", "accuracy", f"reads {parcel.number} as"),
            [
                (ref, f"{self._accuracy(reader):.1%}", str(reader.read([parcel.pixels])[0]))
                for ref, reader in self.readers.items()
            ],
        )

    def _do_not_trust_us(self, _: Parcel) -> None:
        self.screen.heading("Do not trust us")
        snapshot = self.home.slice(SLICE).at(int(self._snapshot_of(f"{MODEL}@2").split("@")[1]))
        file = snapshot.folder / snapshot.manifest.files[0].path
        before = file.read_bytes()
        place = len(before) // 2
        file.write_bytes(before[:place] + bytes([before[place] ^ 1]) + before[place + 1 :])
        found = self.home.verify(f"{MODEL}@2").findings
        self.screen.say(f"One bit of one byte is flipped in what {MODEL}@2 was trained on.")
        for finding in found[:1]:
            self.screen.say(f"  ✗ {finding.where}: {finding.problem}", style="bold red")
            self.screen.say(f"    {finding.path}")
        file.write_bytes(before)
        intact = self.home.verify(f"{MODEL}@2").intact
        self.screen.say(f"Put back: {'✓ intact again' if intact else '✗ still damaged'}.")
        self.screen.command(f"backstory --home {self.root} verify")

    def _ending(self) -> None:
        self.screen.heading(f"The backstory of {MODEL}@3")
        for line in tree_lines(self.home.trace(f"{MODEL}@3")):
            self.screen.say(line)
        self.screen.say()
        self.screen.say(f"The home stays in {self.root}. Ask it yourself:")
        for command in (
            f"trace {MODEL}@2",
            f"history {SLICE}",
            f"show {SLICE} --where \"_source = 'east'\"",
        ):
            self.screen.command(f"backstory --home {self.root} {command}")

    def _snapshot_of(self, version: str) -> str:
        """The snapshot that a version was trained on."""
        trace = self.home.trace(version, depth=2)
        return next(
            d.ref for d in trace.details.values() if isinstance(d, backstory.SnapshotRecord)
        )


def _interaction(parcel: Parcel) -> str:
    return interaction_id(parcel.at, f"parcel:{parcel.number}")
