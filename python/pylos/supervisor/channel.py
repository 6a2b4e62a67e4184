"""The wire between supervisor and gateway process: JSON messages with a length, and descriptors beside them.

A message is a 4-byte big-endian length and that many bytes of JSON. Descriptors (SCM_RIGHTS) travel with the first byte
of the length, so that whoever has read a message also has what belongs to it.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

LENGTH = struct.Struct(">I")
LONGEST_MESSAGE = 64 << 20
MOST_DESCRIPTORS = 250
"""In one message; Linux takes 253 (SCM_MAX_FD)."""

Message = dict[str, Any]


class ChannelError(ConnectionError):
    """The other side broke the protocol, or left in the middle of a message."""


class Channel:
    """One end of a socket pair. Owns the socket; one reader and any number of senders at a time."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(0)
        self._socket = sock
        self.sending = asyncio.Lock()
        """Who sends; to be held by who has others wait."""

    async def send(self, message: Mapping[str, object], descriptors: Sequence[int] = ()) -> None:
        """Send a message whole. The descriptors stay open here; the other side gets copies."""
        if len(descriptors) > MOST_DESCRIPTORS:
            raise ValueError(f"{len(descriptors)} descriptors in one message, at most {MOST_DESCRIPTORS}")
        data = framed(message)
        async with self.sending:
            sent = await self._send_first(data, descriptors) if descriptors else 0
            await asyncio.get_running_loop().sock_sendall(self._socket, memoryview(data)[sent:])

    async def receive(self) -> Message | None:
        """Receive the next message; None when the other side has closed between two messages."""
        head = await self._read(LENGTH.size)
        if not head:
            return None
        (length,) = LENGTH.unpack(head)
        if length > LONGEST_MESSAGE:
            raise ChannelError(f"a message of {length} bytes")
        return parsed(await self._read(length))

    def hang_up(self) -> None:
        """End it in both directions, for whoever reads or sends here too; it is still to be closed."""
        with suppress(OSError):  # the other side has left
            self._socket.shutdown(socket.SHUT_RDWR)

    @property
    def descriptor(self) -> int:
        """Of this end."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    async def _send_first(self, data: bytes, descriptors: Sequence[int]) -> int:
        """Send the descriptors with as much of the data as goes at once; gives how much went."""
        while True:
            try:
                return socket.send_fds(self._socket, [data], list(descriptors))
            except (BlockingIOError, InterruptedError):
                await _writable(self._socket)

    async def _read(self, count: int) -> bytes:
        """Read exactly `count` bytes, or nothing at the end of the stream."""
        loop = asyncio.get_running_loop()
        data = bytearray()
        while len(data) < count:
            piece = await loop.sock_recv(self._socket, count - len(data))
            if not piece:
                break
            data += piece
        if data and len(data) < count:
            raise ChannelError("the stream ended inside a message")
        return bytes(data)


def framed(message: Mapping[str, object]) -> bytes:
    """Write a message as it goes over the wire."""
    body = json.dumps(message, separators=(",", ":")).encode()
    return LENGTH.pack(len(body)) + body


def parsed(body: bytes) -> Message:
    """Read a message without its length. Raises ChannelError for what is none."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:  # the latter for what is nested too deep
        raise ChannelError(f"a message that is no JSON: {body[:100]!r}") from error
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ChannelError(f"a message without a type: {body[:100]!r}")
    return message


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


async def _writable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(sock, _set, ready)
    try:
        await ready
    finally:
        loop.remove_writer(sock)
