"""The store's revision, and its upgrade, without opening the home: the store may be behind.

A SQLite store is upgraded by whoever opens its home. A PostgreSQL store may have other users, so
somebody decides when.
"""

from dataclasses import dataclass
from pathlib import Path

from backstory.lineage.settings import find_home, home_in, load_settings
from backstory.lineage.store import upgrade
from backstory.lineage.store.engine import connect, describe


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """Where a store stands.

    Attributes:
        store: its file, or its host and database.
        current: its revision; None where there is no store yet.
        needed: the revision that this program works with.
    """

    store: str
    current: str | None
    needed: str

    @property
    def up_to_date(self) -> bool:
        """Nothing is to be done."""
        return self.current == self.needed


def store_revision(path: Path | None = None) -> Revision:
    """Where a home's store stands.

    Raises:
        NotFoundError: there is no home.
        RefusedError: the store is newer than this program.
    """
    engine = connect(_database_url(path), must_exist=True)
    return Revision(store=describe(engine), current=upgrade.current(engine), needed=upgrade.HEAD)


def upgrade_store(path: Path | None = None) -> tuple[Revision, Revision]:
    """Bring a home's store to the revision that is needed.

    Returns:
        Where it stood, and where it stands now.
    """
    before = store_revision(path)
    upgrade.upgrade(connect(_database_url(path), must_exist=True))
    return before, store_revision(path)


def _database_url(path: Path | None) -> str:
    folder = find_home(Path.cwd()) if path is None else home_in(path)
    return load_settings(folder).database_url
