"""What a resolver has at hand: the home, loaders, threads for blocking work, and the time asked of.

Each root field of a request asks of now, or with `asOf` of what was known at a time. All that lies
below it asks of the same: it is given the context of its root field, with the loaders of that time.

The event loop never waits for a disk or a database: use cases and store reads run in a bounded
number of threads, so that the deadline of a request can fire. A thread whose request is gone runs
to its end and counts against the bound until then.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from graphql.pyutils import Path

from backstory.api.loaders import Loaders, make_loaders
from backstory.lake.errors import NotFoundError
from backstory.lineage import inspecting
from backstory.lineage.home import Home

_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContext:
    """What the resolvers below one root field work with.

    Attributes:
        home: the home that is asked.
        as_of: what was known then is asked for; what is known now where there is none.
        loaders: batch what the resolvers of this time ask for.
        threads: where blocking work is done.
    """

    home: Home
    as_of: datetime | None
    loaders: Loaders
    threads: Executor

    @property
    def cursor_secret(self) -> bytes:
        """What cursors are sealed with: a key of the home's own, so that they outlive a process."""
        return hmac.digest(self.home.key.secret, b"backstory cursors v1", "sha256")

    def call(
        self, use_case: Callable[Concatenate[Home, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> Awaitable[_T]:
        """Do a use case in a thread."""
        work = partial(use_case, self.home, *args, **kwargs)
        return asyncio.get_running_loop().run_in_executor(self.threads, work)

    async def find(
        self, use_case: Callable[Concatenate[Home, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T | None:
        """The same, with None for what does not exist."""
        try:
            return await self.call(use_case, *args, **kwargs)
        except NotFoundError:
            await self.check_known()
            return None

    async def check_known(self) -> None:
        """Tell what was not there from a time at which nothing at all was known.

        Raises:
            NotFoundError: the latter.
        """
        if self.as_of is not None:
            await self.call(inspecting.check_known, self.as_of)


class RequestContexts:
    """The contexts of one request: one for each time that its root fields ask of.

    Args:
        home: the home that is asked.
        threads: where blocking work is done.
    """

    def __init__(self, home: Home, threads: Executor) -> None:
        self._home = home
        self._threads = threads
        self._by_time: dict[datetime | None, RequestContext] = {}
        self._by_root: dict[str | int, RequestContext] = {}

    def begin(self, root: Path, as_of: datetime | None) -> RequestContext:
        """The context of a root field that asks of a time."""
        if as_of not in self._by_time:
            self._by_time[as_of] = RequestContext(
                home=self._home,
                as_of=as_of,
                loaders=make_loaders(self._home, self._threads, as_of),
                threads=self._threads,
            )
        self._by_root[root.key] = self._by_time[as_of]
        return self._by_time[as_of]

    def of(self, path: Path) -> RequestContext:
        """The context of a field below a root field that has begun."""
        while path.prev is not None:
            path = path.prev
        return self._by_root[path.key]


class Info(Protocol):
    """GraphQL's resolve info, as far as resolvers use it."""

    @property
    def context(self) -> RequestContext:
        """The request."""

    @property
    def schema(self) -> Any:
        """The schema that is asked."""
