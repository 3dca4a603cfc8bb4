"""A Backstory home: the one place where parts are put together, and the verbs of the SDK.

    import backstory

    home = backstory.open()
    home.slice("thumbs").append(table, source="app", offset=42)
    print(home.trace("ranker@7"))

Every verb is a use case of its own module, bound here as it is: the command line and GraphQL call
the same functions with the same home. Opening a home brings a SQLite store up to date and registers
what a crash left unregistered.
"""

import getpass
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from backstory.lake.contract import Contract
from backstory.lake.errors import ConflictError, InvalidError
from backstory.lake.evolving import Evolved
from backstory.lake.files import make_folder, sync_folder, write_durably
from backstory.lake.lakehouse import Lake
from backstory.lake.location import check_openable, place_of, translate_os_error
from backstory.lake.receipt import Receipt
from backstory.lake.signals import SignalLife
from backstory.lake.snapshot import Snapshot
from backstory.lineage import (
    aliasing,
    amending,
    buffering,
    closing,
    commanding,
    comparing,
    comparing_rows,
    contracting,
    declaring,
    deploying,
    diagnosing,
    disclosing,
    flushing,
    forwarding,
    ingest,
    inspecting,
    leasing,
    linking,
    loading,
    maintaining,
    matching,
    mending,
    pinning,
    profiling,
    quarantining,
    recording,
    resuming,
    retaining,
    retraining,
    seeking,
    standing,
    stating,
    tracing,
    triggering,
    verifying,
    weighing,
)
from backstory.lineage.audit.leaf import Actor, KnownBy
from backstory.lineage.backup import taking
from backstory.lineage.buffering import FeedbackBuffer
from backstory.lineage.catch_up import catch_up
from backstory.lineage.contracting import ContractVersion
from backstory.lineage.ids import uuid7
from backstory.lineage.keys import create_key, key_check
from backstory.lineage.parts import Parts
from backstory.lineage.resolving import resolve_slice_at
from backstory.lineage.settings import (
    HOME_FOLDER,
    SETTINGS_FILE,
    TEMPLATE,
    Settings,
    find_home,
    home_in,
    load_settings,
    with_setting,
)
from backstory.lineage.store import upgrade
from backstory.lineage.store.engine import another_homes, connect
from backstory.lineage.store.unit_of_work import Store
from backstory.lineage.times import utc_now

GITIGNORE = "*\n"
STORE_FILE = "lineage.db"
ENTROPY_BYTES = 10  # of a UUIDv7 beyond its time


@dataclass(frozen=True, kw_only=True)
class Home(Parts):
    """An open home. Close it, or use it in a `with` statement."""

    create_slice = ingest.create_slice
    link_slice = ingest.link_slice
    contract = contracting.contract
    contracts = contracting.contracts
    signals = contracting.signals
    check_contract = contracting.check_contract
    evolve = contracting.evolve
    slices = inspecting.list_slices
    history = inspecting.history
    show = inspecting.show
    diff = comparing.diff
    matches = matching.matches
    match_again = matching.match_again
    answered_rows = matching.answered_rows
    diff_rows = comparing_rows.diff_rows
    profile = profiling.profile
    drift = profiling.drift
    pin = pinning.pin
    pins = pinning.pins
    pin_sizes = weighing.pin_sizes
    leases = leasing.leases
    release = pinning.release
    retain = retaining.retain
    retraining = retraining.retraining
    resume = resuming.resume
    run_command = commanding.run_command
    close_run = closing.close_run
    due = triggering.evaluate
    trigger = standing.trigger
    triggers = standing.triggers
    triggers_due = standing.triggers_due
    runs = inspecting.list_runs
    run = inspecting.show_run
    model = inspecting.show_version
    models = deploying.model_versions
    add_version = declaring.add_version
    load = loading.load
    loads = loading.loads
    version_of = loading.version_of
    alias = aliasing.alias
    aliases = aliasing.aliases
    deploy = deploying.deploy
    undeploy = deploying.undeploy
    deployments = deploying.deployments
    amend = amending.amend
    amendments = amending.amendments
    quarantined = quarantining.quarantined
    quarantined_rows = quarantining.rows_of
    replay_quarantine = quarantining.replay
    drop_quarantine = quarantining.drop
    interactions = recording.interactions
    link_interactions = linking.link_interactions
    unlink_interactions = linking.unlink_interactions
    interaction_tables = linking.interaction_tables
    trace = tracing.trace
    impact = tracing.impact
    path = tracing.path
    state_of = stating.state_of
    subject = disclosing.subject
    nearest_interaction = seeking.nearest_interaction
    verify = verifying.verify
    flush = flushing.flush
    forget_receiver = flushing.forget_receiver
    doctor = diagnosing.diagnose
    maintain = maintaining.maintain
    explain_file = maintaining.explain_file
    mend = mending.mend
    backup = taking.backup

    def slice(self, name: str) -> "Slice":
        """A slice by name, to append to and to read."""
        return Slice(home=self, name=name)

    def close(self) -> None:
        """Give the database's connections back; see to events that others could not send."""
        forwarding.send_later(self)
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A slice of a home."""

    home: Home
    name: str

    def append(
        self,
        rows: Any,
        *,
        source: str = "sdk",
        offset: int | None = None,
        info: Mapping[str, Any] | None = None,
        strict: bool = False,
    ) -> Receipt:
        """Append rows, exactly once; see `backstory.lineage.ingest.append`."""
        return ingest.append(
            self.home, self.name, rows, source=source, offset=offset, info=info, strict=strict
        )

    def buffered(
        self,
        *,
        source: str = "sdk",
        rows: int = buffering.GROUP_ROWS,
        seconds: float = buffering.GROUP_SECONDS,
        strict: bool = False,
        told: Callable[[Receipt], object] | None = None,
    ) -> FeedbackBuffer:
        """Take rows one by one and append them in groups; see `FeedbackBuffer`.

        Args:
            source: who sends them; its offsets go on where the slice knows it to be.
            rows: so many are stored at once.
            seconds: so long a row waits for others, at most.
            strict: whether one row that does not fit refuses all of its group.
            told: called with the receipt of each group that is stored.

        Raises:
            InvalidError: a bound is not above zero, or others write the slice.
            LimitExceededError: more rows than a buffer holds.
            NotFoundError: there is no such slice.
        """
        return FeedbackBuffer(
            self.home,
            self.name,
            source=source,
            rows=rows,
            seconds=seconds,
            strict=strict,
            told=told,
        )

    @property
    def contract(self) -> Contract:
        """What its rows promise now; `contracts` has what they promised before."""
        return self.home.contract(self.name).contract

    def contracts(self, *, as_of: datetime | None = None) -> list[ContractVersion]:
        """Its contracts, newest first; see `backstory.lineage.contracting.contracts`."""
        return contracting.contracts(self.home, self.name, as_of=as_of)

    def evolve(self, contract: Contract | str | Path) -> Evolved:
        """Give it its next contract; see `backstory.lineage.contracting.evolve`.

        Raises:
            IncompatibleContractError: its rows cannot bear it; all breaking points are named.
        """
        return contracting.evolve(self.home, contract, slice_name=self.name)

    def signals(
        self, *, at: datetime | None = None, as_of: datetime | None = None
    ) -> list[SignalLife]:
        """What its users can say, or could say at a time; see `contracting.signals`."""
        return contracting.signals(self.home, self.name, at=at, as_of=as_of)

    def at(self, version: int | datetime | None = None) -> Snapshot:
        """The slice at a version or a time, or as it is now, to be read.

        This process then holds a lease on that version; see `backstory.lineage.leasing`.

        Raises:
            NotFoundError: there is no such version, or the slice did not exist then.
        """
        at = version.isoformat() if isinstance(version, datetime) else version
        ref = self.name if at is None else f"{self.name}@{at}"
        snapshot = pinning.open_at(self.home, resolve_slice_at(self.home, ref))
        return leasing.under_lease(self.home, snapshot)


def init(
    path: str | Path | None = None,
    *,
    database_url: str | None = None,
    lake: str | Path | None = None,
    artifacts: str | Path | None = None,
    clock: Callable[[], datetime] = utc_now,
    entropy: Callable[[int], bytes] = secrets.token_bytes,
) -> Home:
    """Make a home and open it.

    Args:
        path: the home's folder; `.backstory` here where nothing is said.
        database_url: the store; a SQLite file in the home where nothing is said.
        lake: the folder of the Delta tables, or a place such as `s3://bucket/lake`; in the home
            where nothing is said.
        artifacts: where the artifacts are kept; likewise.
        clock: tells the time.
        entropy: gives so many random bytes, for the subject key and for ids.

    Raises:
        ConflictError: there is a home already, or the database is another home's.
        UnavailableError: no permission, disk full, no such database.
    """
    folder = Path(path) if path is not None else Path.cwd() / HOME_FOLDER
    places = {
        name: place_of(str(place)).resolve()
        for name, place in (("lake", lake), ("artifacts", artifacts))
        if place is not None
    }
    check_openable(places.get("lake", folder))
    try:
        _refuse_taken(folder)
        # Made aside, above all that is absent, and renamed into place: no half home is left.
        above = next(parent for parent in folder.absolute().parents if parent.exists())
        aside = Path(tempfile.mkdtemp(dir=above, prefix=f"{HOME_FOLDER}-"))
        try:
            _furnish(aside, database_url, places, clock, entropy)
            _put_into_place(aside, folder)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
    except OSError as exc:
        raise translate_os_error(exc, f"making {folder}") from exc
    return open_home(folder, clock=clock, entropy=entropy)


def _refuse_taken(folder: Path) -> None:
    """Refuse a folder that has something in it."""
    taken = folder.exists() and any(folder.iterdir())
    # Looked at last: a home that is made meanwhile appears whole.
    if (folder / SETTINGS_FILE).exists():
        raise ConflictError(
            f"{folder} is a Backstory home already", hint="use it as it is, or name another folder"
        )
    if taken:
        raise InvalidError(f"{folder} is not empty", hint="name an empty or absent folder")


def _put_into_place(aside: Path, folder: Path) -> None:
    make_folder(folder.parent)
    try:
        aside.rename(folder)
    except OSError:
        _refuse_taken(folder)  # by somebody who was faster
        raise
    sync_folder(folder.parent)


def _furnish(
    folder: Path,
    database_url: str | None,
    places: Mapping[str, Path],
    clock: Callable[[], datetime],
    entropy: Callable[[int], bytes],
) -> None:
    """Fill an empty folder with what a home is made of."""
    write_durably(folder / ".gitignore", GITIGNORE.encode())
    for name in ("lake", "artifacts", "spool"):
        (folder / name).mkdir(mode=0o700)
    key = create_key(folder / "keys", entropy)
    _write_settings(folder, database_url, places)  # syncs the names so far; SQLite syncs its own
    if database_url is None:
        (folder / STORE_FILE).touch(mode=0o600)
    home = assemble(load_settings(folder), clock, entropy, must_exist=False)
    with home:
        if upgrade.current(home.store.engine) is None:
            upgrade.upgrade(home.store.engine)
        with home.unit("home.init", "home") as unit:
            if unit.seq > 0:
                raise another_homes(home.store.engine)
            unit.note(key={key.key_id: key_check(key)})


def open_home(
    path: str | Path | None = None,
    *,
    clock: Callable[[], datetime] = utc_now,
    entropy: Callable[[int], bytes] = secrets.token_bytes,
    heal: bool = True,
) -> Home:
    """Open a home.

    Args:
        path: the home's folder; found from the current folder where nothing is said.
        clock: tells the time.
        entropy: gives so many random bytes, for ids.
        heal: register what a crash left unregistered; only a diagnosis leaves it as it is.

    Raises:
        NotFoundError: there is no home.
        RefusedError: the home is newer than this program.
        IntegrityError: its store is damaged.
    """
    folder = find_home(Path.cwd()) if path is None else home_in(Path(path))
    home = assemble(load_settings(folder), clock, entropy, must_exist=True)
    upgrade.check(home.store.engine)
    if heal:
        catch_up(home)
    return home


def assemble(
    settings: Settings,
    clock: Callable[[], datetime],
    entropy: Callable[[int], bytes],
    *,
    must_exist: bool,
) -> Home:
    """Put a home together from its settings; its store is not looked at yet."""
    return Home(
        settings=settings,
        lake=Lake(settings.lake, settings.artifacts, settings.laid),
        store=Store(connect(settings.database_url, must_exist=must_exist), clock),
        actor=Actor(name=_os_user(), known_by=KnownBy.OS_USER),
        clock=clock,
        new_id=lambda: uuid7(clock(), entropy(ENTROPY_BYTES)),
    )


def _os_user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no passwd entry and no USER, as in some containers
        return f"uid-{os.getuid()}"


def _write_settings(folder: Path, database_url: str | None, places: Mapping[str, Path]) -> None:
    text = TEMPLATE
    if database_url is not None:
        text = with_setting(text, "store", "url", database_url)
    for section, place in places.items():
        text = with_setting(text, section, "path", str(place))
    write_durably(folder / SETTINGS_FILE, text.encode())
