"""`backstory run`: a training in any language, recorded as a run.

Its inputs are pinned, recorded as read, and offered to the command as JSON (`offering`) in the file
that `BACKSTORY_INPUTS` names; what else the command reads is not captured, and said to be so. The
command runs without a shell, in a process group of its own, on the caller's output. It succeeds by
ending with 0 and leaving its artifact (`leaving`): only then is there a model version.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from backstory.lake.crash import crashpoint
from backstory.lake.documents import MAX_DOCUMENT_BYTES, load_json
from backstory.lake.errors import (
    BackstoryError,
    InvalidError,
    LimitExceededError,
    NotFoundError,
)
from backstory.lake.location import translate_os_error
from backstory.lake.process import process
from backstory.lineage.graph import run_key
from backstory.lineage.input_text import Component, Input
from backstory.lineage.leaving import Expected
from backstory.lineage.offering import offer
from backstory.lineage.openlineage.events import RunDescription
from backstory.lineage.parts import Parts
from backstory.lineage.registering import Registration
from backstory.lineage.resolving import resolve_slice_at
from backstory.lineage.resuming import RUN_VARIABLE, restored
from backstory.lineage.retraining import Retraining
from backstory.lineage.store import runs
from backstory.lineage.trigger import Trigger

INPUTS_VARIABLE = "BACKSTORY_INPUTS"
MAX_INPUTS = 100
MAX_COMPONENTS = 100
SIGNALED = 128  # and the signal's number: the exit code of what a signal has ended
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STOP_SECONDS = 10.0  # between asking a command to stop and making it


class CommandFailedError(BackstoryError):
    """The command did not end with 0, or was told to stop; its run is recorded as failed.

    Attributes:
        exit_code: the command's, or 128 and the number of the signal that ended it.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message, hint="its own output says why; the run is recorded as failed")
        self.exit_code = exit_code


def run_command(
    parts: Parts,
    model: str,
    command: Sequence[str],
    *,
    artifact: Path,
    inputs: Sequence[Input] = (),
    components: Sequence[Component] = (),
    metrics: Path | None = None,
    params: Mapping[str, Any] | None = None,
    trigger: Trigger | None = None,
    job: str | None = None,
    retention: str | None = None,
) -> Registration:
    """Train a model by a command and record it as a run.

    Args:
        model: the model's name.
        command: the program and its arguments.
        artifact: the file or folder that the command leaves, new or changed.
        inputs: what it reads.
        components: what the version is composed with, as it is before the command starts.
        metrics: a JSON file of numbers by name that it leaves, new or changed.
        params: parameters, to be recorded.
        trigger: why it runs; by hand where nothing is said.
        job: the OpenLineage job; `retrain.<model>` where nothing is said.
        retention: the class that says how long its snapshots are kept; the settings' class of
            versions where nothing is said.

    Raises:
        NotFoundError: an input, a component, the program or the class is not there, or the command
            left no artifact or metrics.
        TriggerNotDue: the trigger's condition is not met; nothing is recorded.
        CommandFailedError: the command failed.
        InvalidError: an input or the metrics file cannot be taken.
    """
    if len(inputs) > MAX_INPUTS:
        raise LimitExceededError(
            f"{len(inputs)} inputs are more than {MAX_INPUTS}", hint="read fewer slices in one run"
        )
    _check_components(components)
    exact = [replace(given, ref=resolve_slice_at(parts, given.ref).ref) for given in inputs]
    with _CommandRun(
        parts, model, trigger=trigger, job=job, command=command, retention=retention
    ) as run:
        run.log_params(params)
        for used in components:
            run.use_component(used.kind, used.name, used.version, path=used.path)
        readings = [(i.role, run.read(i.ref, role=i.role, where=i.where)) for i in exact]
        uris = [parts.lake.table(reading.snapshot.slice).uri for _, reading in readings]
        offered = [(role, uri, r) for (role, r), uri in zip(readings, uris, strict=True)]
        trained = Expected(artifact, "artifact")
        measured = Expected(metrics, "metrics") if metrics is not None else None
        run.execute(command, offer(run.run_id, model, offered))
        if measured is not None:
            run.log_metrics(_metrics(measured.left()))
        return run.register(trained.left())


class _CommandRun(Retraining):
    """A run whose training is a command."""

    def execute(self, command: Sequence[str], offered: Mapping[str, Any]) -> None:
        """Run the command to its end.

        Raises:
            NotFoundError: there is no such program.
            CommandFailedError: it did not end with 0, or this process was told to stop.
        """
        with tempfile.TemporaryDirectory(prefix="backstory-run-") as folder, _forwarding() as told:
            path = Path(folder, "inputs.json")
            path.write_text(json.dumps(offered, indent=1, ensure_ascii=False), "utf-8")
            environment = _environment(self._described, self._parts.settings.home, path)
            child = told.child = _spawn(command, environment)
            told.pass_on()
            crashpoint("command.started")
            with _stopped_on_failure(child):
                with self._parts.unit("run.process", run_key(self.run_id)) as unit:
                    self._taken_up_by(unit, self._started(), process(child.pid))
                code = child.wait()
            crashpoint("command.ended")
        ended_by = signal.Signals(-code) if code < 0 else None
        self._take_back(None if ended_by else code, ended_by)
        if ended_by or code or told.signals:
            raise _failure(code, ended_by, told.signals)

    def _take_back(self, code: int | None, ended_by: signal.Signals | None) -> None:
        """Go on with what the command itself has recorded of the run."""
        before, run = self._described, self._started()
        with self._parts.store.reader() as conn:
            record = runs.runs_by_id(conn, [run])[run]
        now = restored(self._parts, record)
        if before.command is not None:
            ended = replace(
                before.command, exit_code=code, signal=ended_by.name if ended_by else None
            )
            now = replace(now, command=ended)
        self._described = replace(now, code=before.code, params={**before.params, **now.params})


@dataclass(slots=True)
class _Told:
    """The signals that this process got while the command ran."""

    child: "subprocess.Popen[bytes] | None" = None
    signals: list[signal.Signals] = field(default_factory=list)
    _passed: int = 0

    def pass_on(self) -> None:
        """Send to the command's process group what came and was not sent yet."""
        while self.child is not None and self._passed < len(self.signals):
            self._passed += 1
            with suppress(ProcessLookupError):
                os.killpg(self.child.pid, self.signals[self._passed - 1])

    def handle(self, number: int, _frame: object) -> None:
        """A handler of signals."""
        self.signals.append(signal.Signals(number))
        self.pass_on()


@contextmanager
def _forwarding() -> Iterator[_Told]:
    """Take the signals that mean "stop" for the command; only a main thread can."""
    told = _Told()
    if threading.current_thread() is not threading.main_thread():
        yield told
        return
    before = {number: signal.signal(number, told.handle) for number in FORWARDED}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _spawn(command: Sequence[str], environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    sys.stdout.flush()
    try:
        return subprocess.Popen(  # noqa: S603 - the user's own command, without a shell
            command,
            env=environment,
            # In a group of its own it may not read from the terminal: it would be stopped for ever.
            stdin=subprocess.DEVNULL if os.isatty(0) else None,
            process_group=0,
        )
    except FileNotFoundError as exc:
        raise NotFoundError(
            f"there is no program {command[0]!r}", hint="write the command behind `--`"
        ) from exc
    except OSError as exc:
        raise translate_os_error(exc, f"starting {command[0]}") from exc


@contextmanager
def _stopped_on_failure(child: "subprocess.Popen[bytes]") -> Iterator[None]:
    """No failure is recorded of a command that still runs."""
    try:
        yield
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        raise


def _environment(described: RunDescription, home: Path, inputs: Path) -> dict[str, str]:
    """What the command is told; OpenLineage's integrations read the parent's three parts."""
    names = (described.namespace, described.job, described.run_id)
    parent = "/".join(name.replace("/", "%2F") for name in names)  # they split at each "/"
    above = os.environ.get("OPENLINEAGE_ROOT_PARENT_ID", os.environ.get("OPENLINEAGE_PARENT_ID"))
    return {
        **os.environ,
        INPUTS_VARIABLE: str(inputs),
        RUN_VARIABLE: described.run_id,
        "BACKSTORY_HOME": str(home.absolute()),
        "OPENLINEAGE_PARENT_ID": parent,
        "OPENLINEAGE_ROOT_PARENT_ID": above or parent,
    }


def _failure(
    code: int, ended_by: signal.Signals | None, told: Sequence[signal.Signals]
) -> CommandFailedError:
    if told:
        return CommandFailedError(
            f"the command was told to stop by {told[0].name}", SIGNALED + told[0]
        )
    if ended_by:
        return CommandFailedError(f"the command was ended by {ended_by.name}", SIGNALED + ended_by)
    return CommandFailedError(f"the command ended with exit code {code}", code)


def _check_components(components: Sequence[Component]) -> None:
    """Refuse too many, and what is not there, before anything is recorded."""
    if len(components) > MAX_COMPONENTS:
        raise LimitExceededError(
            f"{len(components)} components are more than {MAX_COMPONENTS}",
            hint="name those that matter, or join some in a folder",
        )
    for used in components:
        if used.path is not None and not used.path.exists():
            raise NotFoundError(
                f"{used.path} is not there, of the component {used.kind}:{used.name}",
                hint="name a file or folder, or leave `=PATH` out for what lives elsewhere",
            )


def _metrics(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_DOCUMENT_BYTES + 1).decode()
    except UnicodeDecodeError as exc:
        raise InvalidError(f"{path} is not UTF-8", hint="write the metrics as JSON") from exc
    except OSError as exc:
        raise translate_os_error(exc, f"reading {path}") from exc
    return load_json(text, f"the metrics file {path}")
