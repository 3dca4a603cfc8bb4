"""`backstory db`: the store's revision, and its upgrade."""

from typing import TYPE_CHECKING

from backstory.cli.command import Family, verb
from backstory.cli.errors import Exit
from backstory.cli.figures import TEXT
from backstory.cli.session import Session
from backstory.cli.views import Facts, Sentence

if TYPE_CHECKING:
    from backstory.lineage.upgrading import Revision


@verb("current", examples=("backstory db current", "backstory db current --json"))
def _current(session: Session) -> None:
    """Show the store's revision.

    And the revision that this program works with.
    """
    from backstory.lineage.upgrading import store_revision

    found = store_revision(session.home_path)
    session.output.result(_document(found), _facts(found))


@verb("check", examples=("backstory db check", "backstory db check && backstory serve"))
def _check(session: Session) -> Exit | None:
    """Check that the store needs no upgrade.

    Exit code 1 says that it does, 6 that it is newer than this program.
    """
    from backstory.lineage.upgrading import store_revision

    found = store_revision(session.home_path)
    if found.up_to_date:
        text = f"{found.store} is up to date"
        session.output.result(_document(found), Sentence(text=text, state="ok"))
        return None
    text = f"{found.store} needs an upgrade: run `backstory db upgrade`"
    session.output.result(_document(found), Sentence(text=text, state="problem"))
    return Exit.FAILURE


@verb("upgrade", examples=("backstory db upgrade", "backstory --home /srv/backstory db upgrade"))
def _upgrade(session: Session) -> None:
    """Bring the store to the revision that is needed.

    In one transaction. A SQLite file is copied beside itself first.
    """
    from backstory.lineage.upgrading import upgrade_store

    with session.output.working("upgrading the store"):
        before, after = upgrade_store(session.home_path)
    text = (
        f"{after.store} is up to date"
        if before.up_to_date
        else f"{after.store}: from revision {before.current or 'none'} to {after.current}"
    )
    session.output.result(_document(after), Sentence(text=text, state="ok"), _facts(after))


def _document(found: "Revision") -> dict[str, str | bool | None]:
    return {
        "store": found.store,
        "current": found.current,
        "needed": found.needed,
        "upToDate": found.up_to_date,
    }


def _facts(found: "Revision") -> Facts:
    lines = (("store", found.store), ("current", found.current or "none"), ("needed", found.needed))
    return Facts(heading="", lines=[(name, value, TEXT) for name, value in lines])


command = Family(
    "db",
    commands=[_current, _check, _upgrade],
    help="Upgrade the store, or show its revision.",
    examples=("backstory db current", "backstory db upgrade"),
)
