"""The parts that a use case works with, put together by `home` and nowhere else.

A use case is a plain function whose first argument is a `Parts`. `Home` is a `Parts` with the use
cases as its verbs, so the SDK, the command line and GraphQL all call the very same function.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from backstory.lake.lakehouse import Lake
from backstory.lake.subjects import SubjectKey
from backstory.lineage.audit.leaf import Actor
from backstory.lineage.keys import load_key
from backstory.lineage.settings import Settings
from backstory.lineage.store.unit_of_work import Store, Unit


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a use case may use.

    Attributes:
        settings: the home's settings.
        lake: Delta tables and artifacts.
        store: the SQL store.
        actor: who is acting, and how that is known.
        clock: the time now, aware UTC.
        new_id: a new UUIDv7 text.
    """

    settings: Settings
    lake: Lake
    store: Store
    actor: Actor
    clock: Callable[[], datetime]
    new_id: Callable[[], str]

    @cached_property
    def key(self) -> SubjectKey:
        """What turns subjects into pseudonyms; read when the first one is to be made.

        Raises:
            NotFoundError: the key file is gone.
            IntegrityError: the key file does not parse.
        """
        return load_key(self.settings.keys)

    def unit(self, action: str, resource: str, *, reason: str = "") -> AbstractContextManager[Unit]:
        """A unit of work in the actor's name; `with` it, and it commits with its audit leaf."""
        return self.store.unit(self.actor, action, resource, reason=reason)
