"""What a resolver has at hand: the home, one request's loaders, and threads for blocking work.

The event loop never waits for a disk or a database: use cases and store reads run in a bounded
number of threads, so that the deadline of a request can fire. A thread whose request is gone runs
to its end and counts against the bound until then.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from backstory.api.loaders import Loaders
from backstory.lake.errors import NotFoundError
from backstory.lineage.home import Home

_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContext:
    """One request.

    Attributes:
        home: the home that is asked.
        request_id: stands in the answer and in the log.
        loaders: batch what the resolvers of this request ask for.
        threads: where blocking work is done.
    """

    home: Home
    request_id: str
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
            return None


class Info(Protocol):
    """GraphQL's resolve info, as far as resolvers use it."""

    @property
    def context(self) -> RequestContext:
        """The request."""

    @property
    def schema(self) -> Any:
        """The schema that is asked."""
