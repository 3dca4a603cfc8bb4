"""The chapters of the story: each holds what was found, and tells it to people or as JSON.

A chapter measures nothing and rounds only for people; the two ways to tell it say the same. The
records in a document have the form that they have in the commands' `--json`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from backstory.cli.demo.screen import Screen
from backstory.cli.demo.world import DEPOTS, Parcel
from backstory.cli.documents import Document, document
from backstory.cli.figures import moment
from backstory.cli.lineage_tree import tree_lines
from backstory.lake.findings import Finding
from backstory.lineage.comparing import SnapshotDiff
from backstory.lineage.state import ModelState
from backstory.lineage.store.deployments import IntervalRecord
from backstory.lineage.store.runs import ReadRecord, RunRecord
from backstory.lineage.store.slices import PinRecord, SnapshotRecord
from backstory.lineage.times import time_text
from backstory.lineage.tracing import Trace
from backstory.lineage.verifying import Verification


class Chapter(Protocol):
    """One part of the story."""

    def tell(self, screen: Screen) -> None:
        """Tell it to people."""

    def document(self) -> Document:
        """Its members of the story's JSON."""


def begin(screen: Screen) -> None:
    """Say where the story plays, while the first chapter is still being lived."""
    screen.heading("Two weeks in a sorting centre")
    screen.say("A model reads the last digit of handwritten postcodes. Where a clerk looked at a")
    screen.say("parcel too, what the clerk keyed in comes back as feedback, by depot.")


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoWeeks:
    """What happened before anybody complained.

    Attributes:
        read: how many parcels the reader read.
        fed_back: how many of them clerks corrected or confirmed.
        first: the version that served the first week.
        second: the version that its feedback made.
    """

    read: int
    fed_back: int
    first: str
    second: str

    def tell(self, screen: Screen) -> None:
        """How many parcels, and who read them."""
        screen.say()
        screen.say(
            f"{self.read:,} parcels were read, {self.fed_back:,} of them corrected or confirmed by "
            "clerks of"
        )
        screen.say(
            f"{len(DEPOTS)} depots. {self.first} served the first week; its feedback made "
            f"{self.second}."
        )

    def document(self) -> Document:
        """`weeks`."""
        return {
            "weeks": {
                "read": self.read,
                "fedBack": self.fed_back,
                "depots": list(DEPOTS),
                "versions": [self.first, self.second],
            }
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Astray:
    """The parcel that went to the wrong town, and what the reader took its digit for."""

    parcel: Parcel
    answer: int

    def tell(self, screen: Screen) -> None:
        """The digit, the answer and the correction."""
        screen.heading("A parcel went to the wrong town")
        screen.say(f"Parcel {self.parcel.number}, {moment(self.parcel.at)}. This is the digit:")
        screen.say()
        screen.digit(self.parcel.pixels)
        screen.say()
        screen.say(
            f"The reader answered {self.answer}. The addressee says: it is a {self.parcel.digit}.",
            style="bold",
        )

    def document(self) -> Document:
        """`parcel`."""
        return {
            "parcel": {
                "number": self.parcel.number,
                "at": time_text(self.parcel.at),
                "pixels": self.parcel.pixels,
                "answer": self.answer,
                "correction": self.parcel.digit,
            }
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Answerer:
    """Who answered.

    Attributes:
        parcel: what the depot calls the parcel.
        before: the version before.
        reads: what that one reads.
    """

    parcel: str
    state: ModelState
    deployment: IntervalRecord
    before: str
    reads: int

    def tell(self, screen: Screen) -> None:
        """The version, where it served, and what was behind its answer."""
        screen.heading("Who answered?")
        screen.say(
            f"{self.state.version}, serving in {self.deployment.environment} since "
            f"{moment(self.deployment.from_at)} with {self.deployment.share:.0%} of the traffic."
        )
        screen.say(f"The version before, {self.before}, reads the same pixels as {self.reads}.")
        screen.say(
            f"The model state behind the answer has {len(self.state.parts)} parts, all hashed "
            f"again: {len(self.state.missing)} missing."
        )
        screen.command(f"state ext:parcel:{self.parcel}")

    def document(self) -> Document:
        """`answeredBy`."""
        return {
            "answeredBy": {
                "version": self.state.version,
                "deployment": document(self.deployment),
                "state": document(self.state),
                "before": {"version": self.before, "reads": self.reads},
            }
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """What made a version: the run, why it ran, and what it read."""

    version: str
    run: RunRecord
    trigger: Mapping[str, Any]
    read: ReadRecord
    snapshot: SnapshotRecord
    pin: PinRecord
    checked: Verification

    def tell(self, screen: Screen) -> None:
        """The run, its trigger, and its snapshot hashed again."""
        run, snapshot = self.run, self.snapshot
        intact = "every byte is what was read then"
        screen.heading("What made it?")
        screen.say(
            f"Run {run.run_id}, {run.state}{f' at {moment(run.ended)}' if run.ended else ''}."
        )
        screen.say(f"Why it ran: {self.trigger['kind']}, {self.trigger['reason']}.")
        screen.say(
            f"What it read: {snapshot.ref}, {self.read.rows:,} rows in {snapshot.files} files, "
            f"digest {snapshot.digest[:12]}, pinned ({self.pin.strength})."
        )
        screen.say(
            f"Verified now: {self.checked.files} files, "
            f"{intact if self.checked.intact else 'NOT what was read then'}."
        )
        screen.command(f"trace {self.version}")

    def document(self) -> Document:
        """`madeBy`."""
        return {
            "madeBy": {
                "run": document(self.run),
                "read": document(self.read),
                "snapshot": document(self.snapshot),
                "pin": document(self.pin),
                "verification": document(self.checked),
            }
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """How a source's labels differ from what all other sources teach.

    Attributes:
        share: of its rows that are labelled otherwise.
        keyed: the digit that it says most often instead of another.
        seen: that other digit.
        times: how often it does so; 0 where it never contradicts.
    """

    source: str
    rows: int
    share: float
    keyed: int | None
    seen: int | None
    times: int

    def __str__(self) -> str:
        if not self.times:
            return "never"
        return f"{self.times} times {self.keyed} for what others call {self.seen}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What changed between the snapshots of two versions, by source."""

    diff: SnapshotDiff
    sources: Sequence[Contradiction]

    def tell(self, screen: Screen) -> None:
        """The sources beside each other, and the one that stands out."""
        diff, (base, head) = self.diff, (self.diff.base.ref, self.diff.head.ref)
        worst = max(self.sources, key=lambda source: source.share)
        screen.heading("What changed between the two versions?")
        screen.say(
            f"{base} → {head}: +{diff.files.rows_added:,} rows in {len(diff.commits)} commits. "
            "By source, beside a reader trained on all the others:"
        )
        screen.say()
        screen.table(
            ("source", "rows", "contradicts the others", "most often"),
            [(s.source, f"{s.rows:,}", f"{s.share:.1%}", str(s)) for s in self.sources],
        )
        screen.say()
        screen.say(
            f"The corrections of depot {worst.source} contradict everyone else: {worst}.",
            style="bold",
        )
        screen.command(f"diff {base} {head}")

    def document(self) -> Document:
        """`change`."""
        return {
            "change": {
                "base": self.diff.base.ref,
                "head": self.diff.head.ref,
                "rowsAdded": self.diff.files.rows_added,
                "commits": len(self.diff.commits),
                "sources": [asdict(source) for source in self.sources],
            }
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far it went.

    Attributes:
        answered: how many parcels the version has answered.
        before: the version before.
        differing: how many of them that one reads differently.
    """

    version: str
    answered: int
    before: str
    differing: int

    def tell(self, screen: Screen) -> None:
        """How many answers, and how many would have been others."""
        screen.heading("How far did it go?")
        screen.say(
            f"{self.version} has answered {self.answered:,} parcels since. Read again by "
            f"{self.before}, {self.differing} of them get another digit."
        )
        screen.command(f"impact {self.version}")

    def document(self) -> Document:
        """`reach`."""
        return {"reach": asdict(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How well a version reads digits that no training has seen, and how it reads the parcel."""

    version: str
    accuracy: float
    reads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """The version without the source that stood out, beside those before it."""

    parcel: str
    made: str
    readings: Sequence[Reading]

    def tell(self, screen: Screen) -> None:
        """All versions beside each other."""
        screen.heading("Repair")
        screen.say(f"Retrained without depot east: {self.made}. All versions on digits that no")
        screen.say("training has seen, and on the same parcel:")
        screen.say()
        screen.table(
            ("version", "accuracy", f"reads {self.parcel} as"),
            [(r.version, f"{r.accuracy:.1%}", str(r.reads)) for r in self.readings],
        )

    def document(self) -> Document:
        """`repair`."""
        readings = [asdict(reading) for reading in self.readings]
        return {"repair": {"version": self.made, "versions": readings}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """What verify says of one flipped bit, and after it was put back."""

    version: str
    findings: Sequence[Finding]
    intact_again: bool

    def tell(self, screen: Screen) -> None:
        """The file that was found."""
        screen.heading("Do not trust us")
        screen.say(f"One bit of one byte is flipped in what {self.version} was trained on.")
        for finding in self.findings[:1]:
            screen.say(f"  ✗ {finding.where}: {finding.problem}", style="bold red")
            screen.say(f"    {finding.path}")
        screen.say(f"Put back: {'✓ intact again' if self.intact_again else '✗ still damaged'}.")
        screen.command("verify")

    def document(self) -> Document:
        """`damage`."""
        findings = [document(finding) for finding in self.findings]
        return {"damage": {"findings": findings, "intactAgain": self.intact_again}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The trace of the last version, and the home to ask further.

    Attributes:
        asks: commands that go on from here.
    """

    trace: Trace
    home: str
    asks: Sequence[str]

    def tell(self, screen: Screen) -> None:
        """The tree, and what to type next."""
        screen.heading(f"The backstory of {self.trace.root.key}")
        for line in tree_lines(self.trace):
            screen.say(line)
        screen.say()
        screen.say(f"The home stays in {self.home}. Ask it yourself:")
        for ask in self.asks:
            screen.command(ask)

    def document(self) -> Document:
        """`trace` and `home`."""
        return {"trace": document(self.trace), "home": self.home}
