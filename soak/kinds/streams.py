"""What stays open: WebSockets, and events from the server."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Iterator

from soak.frames import CLOSE, GOING_AWAY, TEXT, accepted, frame, read_frame
from soak.kinds.client import Client
from soak.ledger import Asked, Wrong
from soak.wire import ANSWER_SECONDS, Connection, fresh

LEAVING = GOING_AWAY.to_bytes(2)
MESSAGES = 40
MOST_MESSAGES = 1_000_000
EVENTS = 40


async def websocket(client: Client, messages: int = MESSAGES) -> None:
    """Talk over a WebSocket: numbered messages, each comes back before the next is sent."""
    await _converse(client, iter(range(messages)))


async def long_websocket(client: Client, drain: float | None = None) -> None:
    """Talk as long as there is traffic; with `drain` until the gateway says that this time is over after an upgrade."""
    await _converse(client, iter(range(MOST_MESSAGES)), drain)


async def _converse(client: Client, numbers: Iterator[int], drain: float | None = None) -> None:
    key = base64.b64encode(os.urandom(16))
    fields = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": key.decode(),
        "Sec-WebSocket-Version": "13",
    }
    async with client.ledger.asking("websocket") as asked, fresh(client.port) as connection:
        await connection.ask("GET", "/steady/talk", asked, "", fields)
        head = await connection.head(asked, (101,))
        if head.fields.get("sec-websocket-accept") != accepted(key).decode():
            raise Wrong("the handshake is not answered for this key")
        for number in numbers:
            if not client.going.is_set():
                break
            if not await _say(connection, TEXT, b"%d of %s" % (number, asked.token.encode())):
                await _leave(connection, client, asked, drain)
                return
            await asyncio.sleep(client.chance.random() * 0.4)
        if not await _say(connection, CLOSE, (1000).to_bytes(2)):
            await _leave(connection, client, asked, drain)
            return
        await _end(connection)


async def _leave(connection: Connection, client: Client, asked: Asked, drain: float | None) -> None:
    """Be left by the gateway: that is right where the time of a drain is over."""
    if drain is None or not client.ledger.had_its_drain(asked, drain):
        raise Wrong("the gateway goes away from a WebSocket before its time")
    connection.writer.write(frame(CLOSE, LEAVING, masked=True))
    await _end(connection)


async def _end(connection: Connection) -> None:
    if await asyncio.wait_for(connection.reader.read(), ANSWER_SECONDS):
        raise Wrong("something came after the end of a WebSocket")


async def _say(connection: Connection, opcode: int, text: bytes) -> bool:
    """Say something and hear it again; False when the gateway says that it goes away."""
    connection.writer.write(frame(opcode, text, masked=True))
    await connection.writer.drain()
    got = await asyncio.wait_for(read_frame(connection.reader), ANSWER_SECONDS)
    if got == (CLOSE, LEAVING):
        return False
    if got != (opcode, text):
        raise Wrong(f"{got!r} came back over a WebSocket for {text!r}")
    return True


async def events(client: Client) -> None:
    """Read events, all of them, in their order."""
    async with client.ledger.asking("events") as asked, fresh(client.port) as connection:
        await connection.ask("GET", "/steady/events", asked, f"&count={EVENTS}", {"Accept": "text/event-stream"})
        body = await connection.body(await connection.head(asked))
        if body != b"".join(b"data: %d\n\n" % number for number in range(EVENTS)):
            raise Wrong(f"the events are not those that were sent: {body[:200]!r}")
