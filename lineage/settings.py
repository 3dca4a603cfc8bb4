"""A home's settings: one frozen object, read once from `backstory.toml` at the edge.

Where the home is (`find_home`), in this order: the path given, `BACKSTORY_HOME`, a `.backstory/`
folder here or above, a `backstory.toml` here or above that says `home = "…"`.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from backstory.lake.errors import InvalidError, LimitExceededError, NotFoundError, RefusedError
from backstory.lake.location import LAID, place_of
from backstory.lake.object_path import is_object
from backstory.lineage.maintenance_settings import Maintenance, read_maintenance
from backstory.lineage.openlineage.receivers import Receiver, read_receivers
from backstory.lineage.retention_settings import Retention, read_retention
from backstory.lineage.trigger_settings import NamedTrigger, read_triggers

HOME_FOLDER = ".backstory"
SETTINGS_FILE = "backstory.toml"
SETTINGS_FORMAT = 1
MAX_SETTINGS_BYTES = 64 * 1024

SENDERS = ("background", "flush")

TEMPLATE = """\
# Settings of this Backstory home. Paths are relative to this file.
format = 1

[store]
# SQLite beside this file, or postgresql://user@host/database
url = "sqlite:///lineage.db"

[lake]
path = "lake"

[artifacts]
path = "artifacts"

[retention]
# How long the pins of a failed run hold after its failure.
failed_runs = "14 days"
# The retention class of versions to which nobody gave another, with `backstory retain`.
versions = "standard"

[retention.classes]
# How long the pins of a version hold after its last use: "forever", or a number of days.
standard = "forever"
# audit = "3650 days"

[maintenance]
# How long `backstory maintain` keeps what nobody needs any more: data files that were replaced, and
# the log of old versions. At least 1 day.
grace = "7 days"

[openlineage]
namespace = "backstory"
# Who sends events to a server: "background", a process beside trainings, or only "flush".
send = "background"
# Events are always kept in the store. To write them to a file as well:
# [openlineage.transport]
# type = "file"
# log_file_path = "openlineage.ndjson"
# append = true
# To send them to a server: type = "http", url = "http://marquez:5000"
# To several receivers: type = "composite", and for each a [openlineage.transport.transports.NAME]

# When a model is to be trained, for `backstory triggers` and `backstory run --if-due`:
# [triggers.enough]
# model = "ranker"
# when = "threshold:thumbs/en:rows=10000"  # or "schedule:NAME:every=1d"
"""

_TABLES = {"classes", "transport"}  # settings that hold settings
_KNOWN: Mapping[str, set[str] | None] = {
    "format": None,
    "store": {"url"},
    "lake": {"path"},
    "artifacts": {"path"},
    "retention": {"failed_runs", "versions", "classes"},
    "maintenance": {"grace"},
    "openlineage": {"namespace", "send", "transport"},
    "triggers": None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a home is made of.

    Attributes:
        home: the home's folder.
        database_url: SQLAlchemy URL of the store.
        lake: folder of the Delta tables.
        artifacts: folder of the artifacts.
        namespace: OpenLineage namespace of the jobs recorded here.
        retention: how long pins hold, by what became of their runs and by class.
        maintenance: how long stays what nobody needs any more.
        receivers: who gets the OpenLineage events; none to keep them in the store only.
        send: who sends to a server: "background", a process beside trainings, or "flush" alone.
        triggers: when models are to be trained, by name.
    """

    home: Path
    database_url: str = field(repr=False)
    lake: Path
    artifacts: Path
    namespace: str = "backstory"
    retention: Retention = field(default_factory=Retention)
    maintenance: Maintenance = field(default_factory=Maintenance)
    receivers: tuple[Receiver, ...] = ()
    send: str = SENDERS[0]
    triggers: tuple[NamedTrigger, ...] = ()

    @property
    def keys(self) -> Path:
        """Folder of the subject keys."""
        return self.home / "keys"

    @property
    def laid(self) -> Path:
        """Folder in which artifacts are laid out to be used in place, on this machine."""
        near = self.home / "artifacts" if is_object(self.artifacts) else self.artifacts
        return near / LAID

    @property
    def spool(self) -> Path:
        """Folder of what waits to be sent or written."""
        return self.home / "spool"


def find_home(start: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """Find the home that a command run in `start` speaks of.

    Raises:
        NotFoundError: there is none here or above.
    """
    if named := environ.get("BACKSTORY_HOME"):
        return home_in(Path(named))
    for folder in (start, *start.parents):
        if (folder / HOME_FOLDER).is_dir():
            return folder / HOME_FOLDER
        if (pointer := folder / SETTINGS_FILE).is_file() and folder.name != HOME_FOLDER:
            home = _read_toml(pointer).get("home")
            if isinstance(home, str):
                return folder / home
    raise NotFoundError(
        f"no Backstory home in {start} or above",
        hint="make one with `backstory init`, or name one with --home or BACKSTORY_HOME",
    )


def home_in(path: Path) -> Path:
    """The home that a path means: itself, or the `.backstory` in it."""
    inner = path / HOME_FOLDER
    return inner if (inner / SETTINGS_FILE).is_file() else path


def load_settings(home: Path) -> Settings:
    """Read a home's settings.

    Raises:
        NotFoundError: the folder is no home.
        InvalidError: the file is not TOML, or says something unknown.
        RefusedError: the file's format is newer than this program.
    """
    path = home / SETTINGS_FILE
    if not path.is_file():
        raise NotFoundError(
            f"{home} is not a Backstory home: {SETTINGS_FILE} is missing",
            hint="make one with `backstory init`, or name another with --home",
        )
    raw = _read_toml(path)
    _check_known(raw, path)
    openlineage = raw.get("openlineage", {})
    transport = openlineage.get("transport")
    return Settings(
        home=home,
        database_url=_database_url(raw.get("store", {}).get("url", "sqlite:///lineage.db"), home),
        lake=_place(raw.get("lake", {}).get("path", "lake"), home),
        artifacts=_place(raw.get("artifacts", {}).get("path", "artifacts"), home),
        namespace=openlineage.get("namespace", "backstory"),
        retention=read_retention(raw.get("retention", {}), path),
        maintenance=read_maintenance(raw.get("maintenance", {}), path),
        receivers=read_receivers(transport, home) if transport is not None else (),
        send=_sender(openlineage, path),
        triggers=read_triggers(raw.get("triggers", {}), path),
    )


def _place(path: str, home: Path) -> Path:
    """A folder below the home or anywhere, or a place in an object store."""
    place = place_of(path)
    return place if is_object(place) else home / place


def with_setting(text: str, section: str, key: str, value: str) -> str:
    r"""The text of a settings file with one text in it changed, and all else as it is written.

    Raises:
        InvalidError: the file says it in another way than `init` writes it.

    >>> with_setting('[lake]  # ours\npath = "lake"\n', "lake", "path", "/data")
    '[lake]  # ours\npath = "/data"\n'
    """
    line = f"{key} = {toml_text(value)}"
    begin = re.search(rf"^[ \t]*\[{section}\][^\n]*\n", text, re.MULTILINE)
    if begin is None:
        changed = f"{text}\n[{section}]\n{line}\n"
    else:
        head, (body, *rest) = (
            text[: begin.end()],
            re.split(r"^(?=[ \t]*\[)", text[begin.end() :], maxsplit=1, flags=re.MULTILINE),
        )
        body, found = re.subn(rf"^[ \t]*{key}[ \t]*=.*$", lambda _: line, body, flags=re.MULTILINE)
        changed = "".join((head, body if found else f"{line}\n{body}", *rest))
    with suppress(tomllib.TOMLDecodeError):
        if tomllib.loads(changed)[section][key] == value:
            return changed
    raise InvalidError(
        f"{SETTINGS_FILE}: {section}.{key} cannot be changed where it stands",
        hint=f"write it below [{section}], on a line of its own",
    )


def toml_text(text: str) -> str:
    """A text as TOML has it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _read_toml(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MAX_SETTINGS_BYTES:
        raise LimitExceededError(
            f"{path}: more than {MAX_SETTINGS_BYTES} bytes of settings",
            hint="check that it is the file you mean",
        )
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise InvalidError(f"{path}: not valid TOML: {exc}", hint="mend the file") from exc


def _check_known(raw: Mapping[str, Any], path: Path) -> None:
    found = raw.get("format", SETTINGS_FORMAT)
    if found != SETTINGS_FORMAT:
        raise RefusedError(
            f"{path}: settings format {found!r}; this backstory knows format {SETTINGS_FORMAT}",
            hint="upgrade backstory",
        )
    for section, value in raw.items():
        keys = _KNOWN.get(section)
        if section not in _KNOWN or (keys is not None and not isinstance(value, dict)):
            raise InvalidError(f"{path}: unknown setting {section!r}", hint="see docs/reference")
        if keys is not None:
            _check_section(section, value, keys, path)


def _check_section(section: str, values: Mapping[str, Any], keys: set[str], path: Path) -> None:
    for key, value in values.items():
        if key not in keys:
            raise InvalidError(
                f"{path}: unknown setting {section}.{key}", hint="see docs/reference"
            )
        if not isinstance(value, dict if key in _TABLES else str):
            kind = "a table" if key in _TABLES else "a text"
            raise InvalidError(f"{path}: {section}.{key} is not {kind}", hint="mend the file")


def _sender(openlineage: Mapping[str, Any], path: Path) -> str:
    send: str = openlineage.get("send", SENDERS[0])
    if send not in SENDERS:
        raise InvalidError(
            f"{path}: openlineage.send is {send!r}", hint=f"write one of: {', '.join(SENDERS)}"
        )
    return send


def _database_url(url: str, home: Path) -> str:
    """Anchor a relative SQLite path at the home; `sqlite:///x` is relative, `sqlite:////x` not."""
    prefix = "sqlite:///"
    if url.startswith(prefix) and not url.startswith(prefix + "/"):
        path = (home / unquote(url.removeprefix(prefix))).resolve()
        return prefix + quote(str(path))  # a folder may be called `a?b` or `100%`
    return url
