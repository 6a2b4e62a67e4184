"""What changes nothing: how it is doing, what was in use, where a request would go."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from pylos.config.explain import Explanation, question_of
from pylos.supervisor.api.control import Body
from pylos.supervisor.api.message import Answer, Request, told
from pylos.supervisor.api.resource import Api


class Question(Body):
    """A request that could come."""

    method: str
    url: str
    """A URL with http or https, or a path, at the host `localhost` where no field names one."""
    headers: dict[str, str] = Field(default_factory=dict)
    peer: str | None = "127.0.0.1"
    """The address that the connection comes from; null: a Unix socket."""
    listener: str | None = None
    """The listener that is reached; absent, the one at the URL's port."""
    client: Annotated[str | dict[str, Any] | None, Field(alias="as")] = None
    """A `client.id`, or an object of `id`, `plan` and `claims`."""
    nearest: Annotated[int, Field(ge=0, le=1000)] = 3
    """How many other routes are told."""
    given: dict[str, str | dict[str, Any]] = Field(default_factory=dict)
    """By policy in Python, what it is taken to say: `allow`, `deny`, `fail`, or an object as in `[test.NAME]`."""


async def status(api: Api, _: Request) -> Answer:
    """Tell how it is doing."""
    return told(await api.answers.ask({"type": "status"}))


async def history(api: Api, _: Request) -> Answer:
    """List what was in use."""
    entries = (await api.answers.ask({"type": "history"}))["entries"]
    return told({"entries": entries, "drift": (await api.supervisor.running())["drift"]})


async def explain(api: Api, request: Request) -> Answer:
    """Tell where a request would go."""
    wanted = request.read(Question)
    question = question_of(
        wanted.method,
        wanted.url,
        headers=wanted.headers,
        peer=wanted.peer,
        listener=wanted.listener,
        as_=wanted.client,
        nearest=wanted.nearest,
        given=wanted.given,
    )
    answer = await api.answers.ask({"type": "explain", "question": question})
    explanation = Explanation.model_validate(answer["explanation"])
    upstreams = (await api.supervisor.status())["upstreams"]
    return told(explanation.with_health(upstreams).model_dump(by_alias=True))
