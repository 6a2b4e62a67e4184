"""What a gateway is told to do: reload, roll back, forget, reopen, drain."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from pylos.config.problem_json import as_json
from pylos.errors import Problem
from pylos.model.units import DurationOrZero
from pylos.quantities import DURATION
from pylos.supervisor.api.message import Answer, Request, told
from pylos.supervisor.api.resource import Api


class Body(BaseModel):
    """A body in JSON."""

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)


class Rollback(Body):
    """Which configuration is to be used again."""

    number: Annotated[int, Field(ge=1)] | None = None
    """By the history; absent, the one before."""


class Forget(Body):
    """Which decisions are to be forgotten."""

    policy: str | None = None
    """The policy in Python; absent, all of them."""


class Drain(Body):
    """How the end is to come."""

    deadline: DurationOrZero | None = None
    """How long requests in flight have, `"10s"`; absent, as the configuration says."""


async def reload(api: Api, _: Request) -> Answer:
    """Read the source again."""
    return taken(api, await api.answers.ask({"type": "reload"}))


async def rollback(api: Api, request: Request) -> Answer:
    """Use a former configuration again."""
    return taken(api, await api.answers.ask({"type": "rollback", "number": request.read(Rollback).number}))


def taken(api: Api, answer: dict[str, Any]) -> Answer:
    """Tell what is in use now."""
    warnings = [as_json(Problem.from_json(problem)) for problem in answer["warnings"]]
    return told({**answer, "warnings": warnings}, tag=api.supervisor.checked.digest)


async def forget(api: Api, request: Request) -> Answer:
    """Forget what policies in Python have decided."""
    return told(await api.answers.ask({"type": "forget", "policy": request.read(Forget).policy}))


async def reopen(api: Api, _: Request) -> Answer:
    """Open log files anew."""
    await api.answers.ask({"type": "reopen"})
    return Answer(204, content_type="")


async def drain(api: Api, request: Request) -> Answer:
    """Begin to end."""
    deadline = request.read(Drain).deadline
    api.answers.drain(None if deadline is None else DURATION.parse(deadline))
    return told({"draining": True}, 202)
