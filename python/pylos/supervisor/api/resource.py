"""Which resource a request is about, whether it may do what it wants to do, and what comes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from pylos.errors import PylosError
from pylos.supervisor.answers import Answers
from pylos.supervisor.api.message import Answer, ProblemError, Request, problem_of
from pylos.supervisor.run import Supervisor

PREFIX = "/api/v1"


@dataclass(frozen=True)
class Api:
    """What the resources answer from."""

    supervisor: Supervisor
    answers: Answers


Handler = Callable[[Api, Request], Awaitable[Answer]]


@dataclass(frozen=True)
class Operation:
    """A method of a resource."""

    method: str
    path: str
    """Below the prefix."""
    handler: Handler
    summary: str
    answers: Mapping[int, str]
    """By status, what it means; what may come of any request is told once for all."""
    changes: bool = False
    body: type[BaseModel] | Mapping[str, Any] | None = None
    """The model of a body in JSON; or by media type, what a body is."""
    parameters: Sequence[Mapping[str, Any]] = ()
    refused: int = 409
    """The status of an error that is nothing more particular."""
    schema: Mapping[str, Any] = field(default_factory=dict)
    """Of the answer that tells of success."""


def find(operations: Sequence[Operation], request: Request) -> Operation:
    """Find what a request is about. Raises ProblemError: 404, 405 or 403."""
    inner = request.path.removeprefix(PREFIX) if request.path.startswith(f"{PREFIX}/") else ""
    methods = {operation.method: operation for operation in operations if operation.path == inner}
    if not methods:
        hint = f"GET {PREFIX}/openapi.json tells what there is"
        raise ProblemError(404, "no_resource", f"There is no resource `{request.path}`.", hint=hint)
    operation = methods.get("GET" if request.method == "HEAD" else request.method)
    if operation is None:
        allow = ", ".join([*methods, *(["HEAD"] if "GET" in methods else [])])
        raise ProblemError(405, "method_not_allowed", f"Only {allow} is served here.", fields={"allow": allow})
    if operation.changes and not request.may_change:
        hint = "give the listener an `admin_token`, or ask over the control socket"
        raise ProblemError(403, "admin_read_only", "Nothing can be changed by this listener.", hint=hint)
    return operation


async def answer(api: Api, operations: Sequence[Operation], request: Request) -> Answer:
    """Answer a request, whatever it is."""
    try:
        operation = find(operations, request)
        try:
            return await operation.handler(api, request)
        except PylosError as error:
            raise problem_of(error, operation.refused) from None
    except ProblemError as problem:
        return problem.answer
    except Exception as error:  # noqa: BLE001 - who asks waits for an answer, and all others go on
        return ProblemError(500, "defect", f"A defect of Pylos: {type(error).__name__}.").answer
