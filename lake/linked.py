"""Tables that others write: read where they lie, never written to.

A link is a small file of ours under `_links/`; pins of the table lie beside it, never in somebody
else's folder. What cannot be promised about such a table is said: its pins are `watched` (a loss
is noticed, not prevented) or `copied`.

    table = link(root, "clicks", "/data/clicks", at=now)
    open_snapshot(table).pandas()
"""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
from deltalake import Schema

from backstory.lake.contract import Contract, infer_contract
from backstory.lake.errors import ConflictError, IntegrityError, NotFoundError, RefusedError
from backstory.lake.files import make_folder, write_durably
from backstory.lake.location import check_name, folder_of, inside, place_of, translate_os_error
from backstory.lake.sealed import read_sealed, seal
from backstory.lake.versions import read_version

LINKS_FOLDER = "_links"

_FORMAT = 1
LINK_FILE = "link.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedTable:
    """Somebody else's Delta table under a name of ours.

    Attributes:
        name: its name in this lake.
        uri: where it lies.
        home: our folder for the link and its pins.
        contract: what its columns were when it was linked.
        at: when it was linked.
    """

    name: str
    uri: str
    home: Path
    contract: Contract
    at: datetime

    @property
    def folder(self) -> Path:
        """The folder with its data files and log."""
        return place_of(self.uri)

    @property
    def table_id(self) -> str:
        """Delta's id of the table, as it is now."""
        return read_version(self.folder, name=self.name).manifest.table_id

    @classmethod
    def open(cls, root: Path, name: str) -> "LinkedTable":
        """Open a table that was linked before.

        Raises:
            NotFoundError: nothing is linked under that name.
            IntegrityError: the link is damaged.
        """
        home = root / LINKS_FOLDER / folder_of(name)
        path = home / LINK_FILE
        if not path.exists():
            raise NotFoundError(f"no table is linked as {name}", hint="see `backstory slices`")
        try:
            link = json.loads(read_sealed(path))
            return cls(
                name=link["slice"],
                uri=link["uri"],
                home=home,
                contract=Contract.from_json(link["contract"]),
                at=datetime.fromisoformat(link["at"]),
            )
        except (ValueError, KeyError, TypeError) as exc:
            raise IntegrityError(f"{path} is not a link of a known format: {exc}") from exc


def link(root: Path, name: str, uri: str, *, at: datetime) -> LinkedTable:
    """Link a Delta table of others; linking the same one again changes nothing.

    Args:
        root: the lake's root.
        name: what to call it here.
        uri: a folder, as a path or `file://` URI, or `s3://bucket/name`.
        at: now.

    Raises:
        ConflictError: the name is taken by a slice or by a link to elsewhere.
        RefusedError: the table is one of this lake.
        NotFoundError: there is no Delta table.
        IntegrityError: its log names files outside its folder.
    """
    folder = place_of(uri).resolve()
    if folder.is_relative_to(root.resolve()):
        raise RefusedError(f"{folder} lies in this lake", hint="use the slice by its name")
    home = root / LINKS_FOLDER / folder_of(check_name(name))
    if (root / folder_of(name)).exists():
        raise ConflictError(f"{name} is a slice already", hint="choose another name")
    if (home / LINK_FILE).exists():
        return _same_link(LinkedTable.open(root, name), folder)
    manifest = read_version(folder, name=name).manifest
    for file in manifest.files:
        inside(folder, file.path)
    schema = pa.schema(Schema.from_json(manifest.schema_json).to_arrow())
    table = LinkedTable(
        name=name, uri=str(folder), home=home, contract=infer_contract(name, schema), at=at
    )
    _write(table)
    return table


def _same_link(existing: LinkedTable, folder: Path) -> LinkedTable:
    if existing.folder != folder:
        raise ConflictError(
            f"{existing.name} is linked already, to {existing.uri}", hint="choose another name"
        )
    return existing


def _write(table: LinkedTable) -> None:
    body = {
        "v": _FORMAT,
        "slice": table.name,
        "uri": table.uri,
        "at": table.at.isoformat().replace("+00:00", "Z"),
        "contract": table.contract.to_json(),
    }
    try:
        make_folder(table.home)
    except OSError as exc:
        raise translate_os_error(exc, f"linking {table.name}") from exc
    write_durably(table.home / LINK_FILE, seal(json.dumps(body, sort_keys=True) + "\n").encode())
