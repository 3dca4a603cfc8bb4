"""The lake's front door: its tables by name, and its artifacts.

Keeps true: a name means one table, ours or linked; a wrong name gets "did you mean". A table of
ours that was opened once stays open, because its handle knows the log so far; it is given under its
newest contract, whoever wrote that. What can be done
with a table is said by the modules of this package: `table`, `snapshot`, `pins`, `verify`.

    lake = Lake(home / "lake", home / "artifacts")
    lake.create(contract, at=now)
    lake.slice("thumbs/en").append(rows, source="app", offset=42, at=now, new_id=new_id)
"""

import difflib
from datetime import datetime
from pathlib import Path

from backstory.lake.blobs import Blobs
from backstory.lake.commits import LOG_FOLDER
from backstory.lake.contract import Contract
from backstory.lake.contract_files import CONTRACT_FOLDER, newest_contract
from backstory.lake.errors import ConflictError, InvalidError, NotFoundError, RefusedError
from backstory.lake.linked import LINK_FILE, LINKS_FOLDER, LinkedTable, link
from backstory.lake.location import check_openable, folder_of, name_of
from backstory.lake.snapshot import Table
from backstory.lake.table import SliceTable


class Lake:
    """All tables and artifacts of a home.

    Attributes:
        root: the folder of the tables.
        blobs: the artifacts.
    """

    def __init__(self, root: Path, artifacts: Path, laid: Path | None = None) -> None:
        self.root = root
        self.blobs = Blobs(artifacts, laid)
        self._open: dict[str, SliceTable] = {}

    def names(self) -> list[str]:
        """Every table, sorted: slices, links, and interactions (their names start with `_`)."""
        own = (path.parent.name for path in self.root.glob(f"*/{LOG_FOLDER}"))
        linked = (path.name for path in (self.root / LINKS_FOLDER).glob("*"))
        return sorted(name for folder in {*own, *linked} if (name := _name(folder)))

    def table(self, name: str) -> Table:
        """A table to read.

        Raises:
            NotFoundError: there is none of that name.
        """
        if self._is_linked(name):
            return LinkedTable.open(self.root, name)
        return self.slice(name)

    def folder(self, name: str) -> Path:
        """Where a table lies, whatever state its contract is in.

        Raises:
            IntegrityError: the link that says so is damaged.
        """
        if self._is_linked(name):
            return LinkedTable.open(self.root, name).folder
        return self.root / folder_of(name)

    def entrance(self, name: str) -> Path:
        """What a table is opened by, whether it is there or not: its link, log or contract."""
        if self._is_linked(name):
            return self.root / LINKS_FOLDER / folder_of(name) / LINK_FILE
        folder = self.folder(name)
        if not (folder / LOG_FOLDER).is_dir():
            return folder / LOG_FOLDER
        return newest_contract(folder) or folder / CONTRACT_FOLDER / "v1.json"

    def slice(self, name: str) -> SliceTable:
        """A table to append to.

        Raises:
            NotFoundError: there is none of that name.
            RefusedError: it is a linked table.
        """
        if table := self._open.get(name):
            table.refresh()
            return table
        if self._is_linked(name):
            raise RefusedError(f"{name} is a linked table: others write it, we only read")
        try:
            return self._open.setdefault(name, SliceTable.open(self.root, name))
        except NotFoundError as exc:
            near = difflib.get_close_matches(name, self.names(), n=1)
            hint = f"did you mean {near[0]}?" if near else exc.hint
            raise NotFoundError(exc.message, hint=hint) from exc

    def under(self, contract: Contract) -> SliceTable:
        """A table of ours under a contract that is known from elsewhere: its own is damaged."""
        return SliceTable(self.folder(contract.slice), contract)

    def create(
        self, contract: Contract, *, at: datetime, table_id: str | None = None
    ) -> SliceTable:
        """Make a slice.

        Raises:
            ConflictError: the name is taken.
            UnavailableError: disk full, no permission.
        """
        check_openable(self.root)
        if self._is_linked(contract.slice):
            raise ConflictError(f"{contract.slice} is a linked table", hint="choose another name")
        return self._open.setdefault(
            contract.slice, SliceTable.create(self.root, contract, at=at, table_id=table_id)
        )

    def link(self, name: str, uri: str, *, at: datetime) -> LinkedTable:
        """Read a Delta table of others under a name of ours.

        Raises:
            ConflictError: the name is taken.
            NotFoundError: there is no Delta table.
        """
        return link(self.root, name, uri, at=at)

    def _is_linked(self, name: str) -> bool:
        return (self.root / LINKS_FOLDER / folder_of(name)).exists()


def _name(folder: str) -> str | None:
    """The table in a folder; None for a folder that Backstory did not make."""
    try:
        return name_of(folder)
    except InvalidError:
        return None
