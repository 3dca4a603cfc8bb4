"""One request from its text to its answer, whatever brought it: HTTP or the command `query`.

The steps, in this order:

1. the document from the cache, or parsed within its bounds and validated;
2. its operation picked; queries only, for there is nothing else;
3. its cost worked out and compared with the bounds;
4. its variables coerced;
5. executed within the deadline, blocking work in threads;
6. errors told by code, with what was not foreseen masked.

A request that fails before step 5 has no `data`, as GraphQL wants it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import lru_cache
from types import CoroutineType
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    execute,
    get_operation_ast,
    parse,
    validate,
)
from graphql.execution.values import get_variable_values

from backstory.api.bounds import Bounds
from backstory.api.context import RequestContext
from backstory.api.cost import Cost, cost_of
from backstory.api.errors import document_error, error_body, field_error
from backstory.api.execution import execution_context
from backstory.api.loaders import make_loaders
from backstory.api.schema import schema
from backstory.lineage.home import Home

CACHED_DOCUMENTS = 512
CACHED_CHARACTERS = 4_000  # of one document: its tree takes fifty times as many bytes
_SCHEMA = schema.graphql_schema
_CONTEXT = execution_context(_SCHEMA)


class Outcome(StrEnum):
    """How far a request came."""

    EXECUTED = "executed"  # there is `data`, be it null
    REFUSED = "refused"  # the request is at fault
    NOT_A_QUERY = "not_a_query"  # the operation would change something, or last
    TIMED_OUT = "timed_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked."""

    query: str
    operation_name: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is answered: `body` is the response as GraphQL shapes it."""

    outcome: Outcome
    request_id: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """An operation that may be executed."""

    document: DocumentNode
    operation: OperationDefinitionNode
    cost: Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refusal:
    """Why a request is not executed."""

    errors: Sequence[Mapping[str, Any]]
    outcome: Outcome = Outcome.REFUSED


class GraphQLService:
    """Answers GraphQL requests from one home.

    Args:
        home: an open home.
        bounds: what one request may cost.
    """

    def __init__(self, home: Home, bounds: Bounds) -> None:
        self._home = home
        self._bounds = bounds
        self._threads = ThreadPoolExecutor(bounds.threads, thread_name_prefix="backstory-api")
        self._document = lru_cache(CACHED_DOCUMENTS)(self._read)

    def close(self) -> None:
        """Let the threads end; work that no one waits for any more is dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def answer(self, request: Request) -> Answer:
        """Answer one request; whatever goes wrong is in the answer."""
        request_id = self._home.new_id()
        plan = self._plan(request)
        if isinstance(plan, _Plan):
            plan = _coerced(plan, request)
        if isinstance(plan, _Refusal):
            body = {"errors": plan.errors}
            return Answer(outcome=plan.outcome, request_id=request_id, body=body)
        return await self._execute(plan, request, request_id)

    def _plan(self, request: Request) -> _Plan | _Refusal:
        """Steps 1 to 3."""
        short = len(request.query) <= CACHED_CHARACTERS
        document = (self._document if short else self._read)(request.query)
        if isinstance(document, _Refusal):
            return document
        operation = get_operation_ast(document, request.operation_name)
        if operation is None:
            return _refused("name one of the document's operations in operationName")
        if operation.operation is not OperationType.QUERY:
            error = error_body("this API answers queries only", "BAD_USER_INPUT")
            return _Refusal(errors=[error], outcome=Outcome.NOT_A_QUERY)
        try:
            cost = cost_of(_SCHEMA, document, operation, request.variables)
        except RecursionError:
            return _nested_too_deeply(self._bounds)
        if beyond := cost.beyond(self._bounds):
            return _too_complex(*beyond)
        return _Plan(document=document, operation=operation, cost=cost)

    def _read(self, text: str) -> DocumentNode | _Refusal:
        """Step 1; its outcome is cached, refusals too."""
        bounds = self._bounds
        try:
            document = parse(
                text,
                max_lexical_tokens=bounds.tokens,
                max_comments=bounds.comments,
                max_source_length=bounds.document_characters,
            )
            errors = validate(_SCHEMA, document, max_errors=bounds.errors)
        except GraphQLError as exc:
            return _Refusal(errors=[document_error(exc, "GRAPHQL_PARSE_FAILED")])
        except RecursionError:
            return _nested_too_deeply(bounds)
        if errors:
            told = [document_error(error, "GRAPHQL_VALIDATION_FAILED") for error in errors]
            return _Refusal(errors=told)
        return document

    async def _execute(self, plan: _Plan, request: Request, request_id: str) -> Answer:
        """Steps 5 and 6."""
        try:
            async with asyncio.timeout(self._bounds.seconds):
                result = await self._run(plan, request, request_id)
        except TimeoutError:
            message = f"the answer took longer than {self._bounds.seconds:g} seconds"
            late = {"errors": [error_body(message, "TIMEOUT", requestId=request_id)]}
            return Answer(outcome=Outcome.TIMED_OUT, request_id=request_id, body=late)
        errors = [field_error(error, request_id) for error in result.errors or ()]
        executed = {"data": result.data, "extensions": {"cost": asdict(plan.cost)}}
        body = {"errors": errors, **executed} if errors else executed
        return Answer(outcome=Outcome.EXECUTED, request_id=request_id, body=body)

    async def _run(self, plan: _Plan, request: Request, request_id: str) -> ExecutionResult:
        context = RequestContext(
            home=self._home,
            request_id=request_id,
            loaders=make_loaders(self._home, self._threads),
            threads=self._threads,
        )
        result = execute(
            _SCHEMA,
            plan.document,
            context_value=context,
            variable_values=dict(request.variables),
            operation_name=request.operation_name,
            execution_context_class=_CONTEXT,
            is_awaitable=_is_awaitable,
        )
        return result if isinstance(result, ExecutionResult) else await result


def _coerced(plan: _Plan, request: Request) -> _Plan | _Refusal:
    """Step 4: execution coerces again, but tells its errors as if it had begun."""
    variables = get_variable_values(
        _SCHEMA, plan.operation.variable_definitions, dict(request.variables), max_errors=20
    )
    if isinstance(variables, list):
        return _Refusal(errors=[document_error(error, "BAD_USER_INPUT") for error in variables])
    return plan


def _is_awaitable(value: Any) -> bool:
    """What resolvers and loaders give; a third of the general test's time, once a field."""
    return isinstance(value, CoroutineType | asyncio.Future)


def _refused(message: str) -> _Refusal:
    return _Refusal(errors=[error_body(message, "BAD_USER_INPUT")])


def _too_complex(measure: str, found: int, limit: int) -> _Refusal:
    message = f"the query's {measure} would be {found:,}, more than {limit:,}"
    code = "QUERY_TOO_COMPLEX"
    return _Refusal(errors=[error_body(message, code, measure=measure, limit=limit)])


def _nested_too_deeply(bounds: Bounds) -> _Refusal:
    message = "the query is nested too deeply"
    code = "QUERY_TOO_COMPLEX"
    return _Refusal(errors=[error_body(message, code, measure="depth", limit=bounds.depth)])
