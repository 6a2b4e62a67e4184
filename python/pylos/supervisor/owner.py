"""A supervisor that belongs to another program: `class Gateway` starts it and talks to it over a socket pair.

The messages have the form of `channel`. The owner asks, each question with an `id` of its own, and gets one answer with
that `id`: {"type": "done", ...} or {"type": "failed", "error": "config" | "bind" | "gateway", "text", "problems"}.

    {"type": "serve", "path" or "table"}       first, once: {"pid", "gateway", "listen", "admin": [listeners]}
    {"type": "reload", "path" or "table"}      the same
    {"type": "process", "other_than": PID}     waits until a gateway process serves that is not this one: {"gateway"}
    {"type": "status"}                         the gateway process's own answer: {"status"}
    {"type": "stop"}                           ends at once, without a drain; no answer but the end

When the owner is gone, however that came, everything ends: requests in flight first, as after SIGTERM.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pylos.errors import BindError, ConfigError, PylosError
from pylos.supervisor.channel import Channel, Message
from pylos.supervisor.events import Reload, Shutdown
from pylos.supervisor.limits import raise_descriptor_limit
from pylos.supervisor.run import Supervisor
from pylos.supervisor.source import Checked, Source


async def serve_owner(control_fd: int) -> int:
    """Serve what the owner says, until it is gone or a signal ends the supervisor; gives the exit code."""
    raise_descriptor_limit()
    channel = Channel(socket.socket(fileno=control_fd))
    first = await channel.receive()
    if first is None:
        return 0
    ready = asyncio.Event()
    supervisor = Supervisor(_source(first), on_ready=lambda _: ready.set())
    life = asyncio.create_task(supervisor.run())
    started = asyncio.create_task(ready.wait())
    await asyncio.wait([life, started], return_when=asyncio.FIRST_COMPLETED)
    if not started.done():
        started.cancel()
        return await _failed_start(channel, first, life)
    await channel.send({"type": "done", "id": first["id"], **_ready(supervisor)})
    listening = asyncio.create_task(Conversation(channel, supervisor).run())
    await life
    listening.cancel()
    return 0


async def _failed_start(channel: Channel, first: Message, life: asyncio.Task[None]) -> int:
    try:
        await life
    except PylosError as error:
        await channel.send(_failure(first, error))
        return 1
    return 0


class Conversation:
    """Answers the owner's questions."""

    def __init__(self, channel: Channel, supervisor: Supervisor) -> None:
        self._channel = channel
        self._supervisor = supervisor
        self._answering: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Answer until the owner is gone. A question that waits does not keep the others waiting."""
        try:
            while (question := await self._channel.receive()) is not None:
                task = asyncio.create_task(self._answer(question))
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)
        except ConnectionError:
            pass  # the owner was killed: gone as well
        self._supervisor.put(Shutdown("the owner is gone"))

    async def _answer(self, question: Message) -> None:
        try:
            answer = {"type": "done", "id": question["id"], **await self._asked(question)}
        except PylosError as error:
            answer = _failure(question, error)
        await self._channel.send(answer)

    async def _asked(self, question: Message) -> dict[str, Any]:
        match question["type"]:
            case "reload":
                return await self._reload(question)
            case "process":
                return {"gateway": await self._supervisor.serving(question["other_than"])}
            case "status":
                return {"status": await self._supervisor.status()}
            case "stop":
                self._supervisor.end_at_once()
                return {}
            case unknown:
                raise PylosError(f"an unknown question: {unknown}")

    async def _reload(self, question: Message) -> dict[str, Any]:
        outcome: asyncio.Future[PylosError | None] = asyncio.get_running_loop().create_future()
        self._supervisor.put(Reload("asked by the owner", _source(question), outcome))
        if error := await outcome:
            raise error
        return _ready(self._supervisor)


def _ready(supervisor: Supervisor) -> dict[str, Any]:
    return {**supervisor.ready, "admin": supervisor.admin_listeners}


def _source(question: Message) -> Source:
    return Path(question["path"]) if "path" in question else Checked(question["table"])


def _failure(question: Message, error: PylosError) -> dict[str, Any]:
    kind = "config" if isinstance(error, ConfigError) else "bind" if isinstance(error, BindError) else "gateway"
    problems = [asdict(problem) for problem in error.problems] if isinstance(error, ConfigError) else []
    return {"type": "failed", "id": question["id"], "error": kind, "text": str(error), "problems": problems}
