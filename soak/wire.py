"""A client's connection to the gateway: an exchange at a time, and nothing believed that comes."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from soak.content import difference
from soak.ledger import LOST, Asked, Ledger, Wrong
from soak.messages import Fields, Head, read_body, read_head, spelled
from soak.served import HOST

ANSWER_SECONDS = 90.0
"""How long an answer may take, with all that is done to the gateway, on a busy machine."""
LINGER = struct.pack("ii", 1, 0)


class Connection:
    """One connection to the gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.used = 0
        self.rested = time.monotonic()
        """When its last exchange was over."""

    @classmethod
    async def open(cls, port: int) -> Connection:
        """Connect."""
        return cls(*await asyncio.wait_for(asyncio.open_connection(HOST, port), ANSWER_SECONDS))

    def close(self) -> None:
        """Leave."""
        self.writer.close()

    def reset(self) -> None:
        """Leave in a hurry."""
        sock: socket.socket = self.writer.get_extra_info("socket")
        with suppress(OSError):  # the other side was first
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
        self.writer.close()

    async def ask(self, method: str, path: str, asked: Asked, query: str = "", fields: Fields | None = None) -> None:
        """Send a request's head; a body is the caller's."""
        target = f"{path}?t={asked.token}{query}"
        self.writer.write(spelled(f"{method} {target} HTTP/1.1", {"Host": "soak", **(fields or {})}))
        await self.writer.drain()

    async def head(self, asked: Asked, statuses: Sequence[int] = (200,)) -> Head:
        """Read an answer's head: one of these statuses, and the answer of this very request. Raises Wrong."""
        head = await asyncio.wait_for(read_head(self.reader), ANSWER_SECONDS)
        token = head.fields.get("x-token")
        if token is not None and token != asked.token:
            raise Wrong(f"the answer is that of {token}")
        if head.status not in statuses:
            raise Wrong(f"status {head.status}, {head.fields.get('pylos-reason', 'no reason')}")
        if token is None and head.status in (200, 101):
            raise Wrong("the answer does not come from a target")
        self.used += 1
        return head

    async def body(self, head: Head) -> bytes:
        """Read the answer's body."""
        body = await asyncio.wait_for(read_body(self.reader, head), ANSWER_SECONDS)
        self.rested = time.monotonic()
        return body


@asynccontextmanager
async def fresh(port: int) -> AsyncIterator[Connection]:
    """Give a connection for the length of a block."""
    connection = await Connection.open(port)
    try:
        yield connection
    finally:
        connection.close()


class Kept:
    """A connection that is kept from one request to the next, and opened anew when the gateway has closed it."""

    def __init__(self, port: int, ledger: Ledger) -> None:
        self._port, self._ledger = port, ledger
        self._connection: Connection | None = None

    async def exchange(self, talk: Callable[[Connection], Awaitable[Head]]) -> None:
        """Have one exchange over it; `talk` gives the head of the answer. Raises Spared, Wrong, or what the wire says.

        Where the connection had served before and ends before a byte of the answer, nobody knows whether the request
        was taken: the gateway must have had a reason to close.
        """
        connection = self._connection or await Connection.open(self._port)
        self._connection = None
        before = connection.used
        try:
            head = await talk(connection)
        except LOST as error:
            connection.close()
            untouched = not isinstance(error, asyncio.IncompleteReadError) or not error.partial
            if before and connection.used == before and untouched and not isinstance(error, TimeoutError):
                self._ledger.spare(connection.rested, error)
            raise
        except BaseException:
            connection.close()
            raise
        if head.closes:
            connection.close()
        else:
            self._connection = connection

    def close(self) -> None:
        """Let go of it."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def same(body: bytes, seed: int, size: int) -> None:
    """Compare a body with that of a seed. Raises Wrong."""
    wrong = difference(body, seed, size)
    if wrong:
        raise Wrong(wrong)
