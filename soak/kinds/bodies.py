"""Large bodies, up, down, and both ways at once."""

from __future__ import annotations

import asyncio
import math
import time

from soak.content import content
from soak.kinds.client import Client
from soak.ledger import Asked, Wrong
from soak.messages import Head, chunk, pieces
from soak.wire import Connection, fresh, same

LARGEST = 2_000_000
PIECE = 16 * 1024
MOST_OF_LONG = 50_000_000


async def download(client: Client) -> None:
    """GET a large body over the kept connection, in chunks or with its length told."""
    seed, size = client.chance.randrange(1 << 20), client.chance.randrange(LARGEST)
    chunked = client.chance.choice(["", "&chunked=yes"])
    async with client.ledger.asking("download") as asked:

        async def talk(connection: Connection) -> Head:
            await connection.ask("GET", "/steady/give", asked, f"&seed={seed}&size={size}{chunked}")
            head = await connection.head(asked)
            same(await connection.body(head), seed, size)
            return head

        await client.kept.exchange(talk)


async def upload(client: Client) -> None:
    """POST a large body; the target tells whether it is the one that was sent."""
    seed, size = client.chance.randrange(1 << 20), client.chance.randrange(LARGEST)
    async with client.ledger.asking("upload") as asked, fresh(client.port) as connection:
        length = {"Content-Length": str(size)}
        await connection.ask("POST", "/steady/take", asked, f"&seed={seed}&size={size}", length)
        body = content(seed, size)
        for start in range(0, size, PIECE):
            connection.writer.write(body[start : start + PIECE])
            await connection.writer.drain()
        await _as_it_was_sent(connection, await connection.head(asked))


async def both_ways(client: Client) -> None:
    """POST in chunks what comes back while it is sent."""
    seed, size = client.chance.randrange(1 << 20), client.chance.randrange(LARGEST)
    async with client.ledger.asking("both_ways") as asked, fresh(client.port) as connection:
        await connection.ask("POST", "/steady/echo", asked, "", {"Transfer-Encoding": "chunked"})
        sending = asyncio.create_task(_send_chunks(connection, content(seed, size)))
        try:
            same(await connection.body(await connection.head(asked)), seed, size)
            await sending
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


async def long_upload(client: Client, seconds: float | None = None) -> None:
    """POST in chunks for so long, or as long as there is traffic; what was sent comes back."""
    async with client.ledger.asking("long_upload") as asked, fresh(client.port) as connection:
        await connection.ask("POST", "/steady/echo", asked, "", {"Transfer-Encoding": "chunked"})
        reading = asyncio.create_task(_read(connection, asked))
        try:
            sent = 0
            until = math.inf if seconds is None else time.monotonic() + seconds
            while client.going.is_set() and sent * PIECE < MOST_OF_LONG and time.monotonic() < until:
                connection.writer.write(chunk(content(0, PIECE)))
                await connection.writer.drain()
                sent += 1
                await asyncio.sleep(0.05)
            connection.writer.write(chunk(b""))
            if await reading != content(0, PIECE) * sent:
                raise Wrong("something else came back of a long upload")
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def _read(connection: Connection, asked: Asked) -> bytes:
    return b"".join([piece async for piece in pieces(connection.reader, await connection.head(asked))])


async def slow_sender(client: Client) -> None:
    """POST a body a little at a time, but faster than the floor."""
    seed, size = client.chance.randrange(1 << 20), 4000
    async with client.ledger.asking("slow_sender") as asked, fresh(client.port) as connection:
        length = {"Content-Length": str(size)}
        await connection.ask("POST", "/steady/take", asked, f"&seed={seed}&size={size}", length)
        body = content(seed, size)
        for start in range(0, size, size // 10):
            connection.writer.write(body[start : start + size // 10])
            await connection.writer.drain()
            await asyncio.sleep(0.3)
        await _as_it_was_sent(connection, await connection.head(asked))


async def slow_reader(client: Client) -> None:
    """GET a large body and read it a little at a time."""
    seed, size = client.chance.randrange(1 << 20), LARGEST
    async with client.ledger.asking("slow_reader") as asked, fresh(client.port) as connection:
        await connection.ask("GET", "/steady/give", asked, f"&seed={seed}&size={size}")
        await connection.head(asked)
        body = bytearray()
        while len(body) < size:
            body += await connection.reader.readexactly(min(size // 10, size - len(body)))
            await asyncio.sleep(0.3)
        same(bytes(body), seed, size)


async def _send_chunks(connection: Connection, body: bytes) -> None:
    for start in range(0, len(body), PIECE):
        connection.writer.write(chunk(body[start : start + PIECE]))
        await connection.writer.drain()
    connection.writer.write(chunk(b""))
    await connection.writer.drain()


async def _as_it_was_sent(connection: Connection, head: Head) -> None:
    told = await connection.body(head)
    if told != b"as it was sent":
        raise Wrong(f"the target got {told.decode(errors='replace')}")
