"""What a gateway process passes on: requests of admin listeners, which the supervisor answers.

    {"type": "request", "id", "rights": "read" | "change", "method", "path", "query", "fields": [[name, value]], "body"}
    {"type": "answer", "id", "status", "content_type", "fields": [[name, value]], "body"}

The messages have the form of `channel`. The gateway bounds their size, and how many are under way.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress

from pylos.supervisor.channel import Channel, Message


class AdminLine:
    """The supervisor's end of one gateway process's line. Over when that has ended, or after `hang_up`."""

    def __init__(self, sock: socket.socket) -> None:
        self._channel = Channel(sock)
        self._requests: asyncio.Queue[Message | None] = asyncio.Queue()
        self._reading = asyncio.create_task(self._read(), name="read requests of admin listeners")

    async def requests(self) -> AsyncIterator[Message]:
        """Give requests as they come, until the end. For one who answers them."""
        while (request := await self._requests.get()) is not None:
            yield request

    async def answer(self, answer: Mapping[str, object]) -> None:
        """Send an answer; a gateway process that has ended needs none."""
        with suppress(OSError):
            await self._channel.send(answer)

    def hang_up(self) -> None:
        """End it."""
        self._channel.hang_up()

    async def _read(self) -> None:
        try:
            while (request := await self._channel.receive()) is not None:
                self._requests.put_nowait(request)
        except OSError:
            pass  # a broken stream says what its end says
        finally:
            self._requests.put_nowait(None)
            self._channel.close()
