"""A supervisor that belongs to another program: `class Gateway` starts it and talks to it over a socket pair.

The messages have the form of `channel`, the questions are those of `answers`; and two of them name a source:

    {"type": "serve", "path" or "table"}       first, once: {"pid", "gateway", "listen", "admin": [listeners],
                                                               "secure": [listeners]}
    {"type": "reload", "path" or "table"}      the same, and what changed

When the owner is gone, however that came, everything ends: requests in flight first, as after SIGTERM.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from pathlib import Path

from pylos.errors import PylosError
from pylos.supervisor.answers import Answers, ready
from pylos.supervisor.api import answer_forwarded
from pylos.supervisor.channel import Channel, Message
from pylos.supervisor.events import Shutdown
from pylos.supervisor.failed import failure
from pylos.supervisor.limits import raise_descriptor_limit
from pylos.supervisor.run import Supervisor
from pylos.supervisor.source import Checked, Source


async def serve_owner(control_fd: int) -> int:
    """Serve what the owner says, until it is gone or a signal ends the supervisor; gives the exit code."""
    raise_descriptor_limit()
    channel = Channel(socket.socket(fileno=control_fd))
    first = await channel.receive()
    source = None if first is None else _source(first)
    if first is None or source is None:
        return 0
    serves = asyncio.Event()
    supervisor = Supervisor(source, on_ready=lambda _: serves.set())
    life = asyncio.create_task(supervisor.run())
    started = asyncio.create_task(serves.wait())
    await asyncio.wait([life, started], return_when=asyncio.FIRST_COMPLETED)
    if not started.done():
        started.cancel()
        return await _failed_start(channel, first, life)
    await channel.send({"type": "done", "id": first["id"], **ready(supervisor)})
    answering = [asyncio.create_task(_listen(channel, supervisor)), asyncio.create_task(answer_forwarded(supervisor))]
    await life
    for task in answering:
        task.cancel()
    return 0


async def _failed_start(channel: Channel, first: Message, life: asyncio.Task[None]) -> int:
    try:
        await life
    except PylosError as error:
        await channel.send(failure(first["id"], error))
        return 1
    return 0


async def _listen(channel: Channel, supervisor: Supervisor) -> None:
    """Answer the owner until it is gone; an owner that was killed is gone as well."""
    with suppress(ConnectionError):
        await Answers(supervisor, "the owner").converse(channel, _source)
    supervisor.put(Shutdown("the owner is gone"))


def _source(question: Message) -> Source | None:
    if "path" in question:
        return Path(question["path"])
    if "table" not in question:
        return None
    tests, secrets, folder = question.get("tests", {}), question.get("secrets", []), question.get("folder", ".")
    acme = question.get("acme", {})
    return Checked(question["table"], tests=tests, secrets=secrets, folder=Path(folder), acme=acme)
