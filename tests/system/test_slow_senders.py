"""Slow clients: a head has a time from its first byte, an idle connection has its own, a body has a rate.

All of it happens at once in one run of twenty seconds: the clients below, 500 more of the first kind, and a normal
client that must not notice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress

from system.rig import Front

from pylos.testing.plugin import UpstreamFactory

LISTEN = 'timeouts = { header = "5s", idle = "60s", body_idle = "5s" }'
LIMIT = 5.0
TOLERANCE = 0.5
CROWD = 500
HEAD = b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: " + b"x" * 200
BODY_HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"
Address = tuple[str, int]
Result = tuple[float, bytes]


@asynccontextmanager
async def _connected(address: Address) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(*address)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _drip(address: Address, first: bytes, rest: bytes) -> Result:
    """One byte a second until the gateway closes; how long it took since the first byte, and what it said."""
    async with _connected(address) as (reader, writer):
        started = time.monotonic()
        writer.write(first)
        end = asyncio.create_task(reader.read())
        for byte in rest:
            done, _ = await asyncio.wait([end], timeout=1.0)
            if done:
                break
            writer.write(bytes([byte]))
        try:
            return time.monotonic() - started, end.result()
        except OSError:
            return time.monotonic() - started, b""


async def _late(address: Address, seconds: float) -> Result:
    """Connect, wait, then send a whole request."""
    async with _connected(address) as (reader, writer):
        await asyncio.sleep(seconds)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        started = time.monotonic()
        return time.monotonic() - started, await reader.read()


async def _normal(address: Address, over: asyncio.Event) -> list[float]:
    """Ask five times a second for as long as the others are busy; how long each answer took."""
    times = []
    while not over.is_set():
        async with _connected(address) as (reader, writer):
            started = time.monotonic()
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
            times.append(time.monotonic() - started)
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), 0.2)
    return times


async def _all(address: Address) -> tuple[list[Result], Result, Result, list[float]]:
    over = asyncio.Event()
    normal = asyncio.create_task(_normal(address, over))
    heads: list[Awaitable[Result]] = [_drip(address, HEAD[:1], HEAD[1:]) for _ in range(CROWD)]
    late, body, *slow = await asyncio.gather(_late(address, 20.0), _drip(address, BODY_HEAD, b"x" * 100), *heads)
    over.set()
    return slow, late, body, await normal


def test_slow_senders(front: Front, upstream: UpstreamFactory):
    app = upstream()
    host, port = front(app, listen=LISTEN).address().rsplit(":", 1)
    slow, late, body, normal = asyncio.run(_all((host, int(port))))
    assert {answer[:12] for _, answer in slow} == {b"HTTP/1.1 408"}
    assert min(seconds for seconds, _ in slow) > LIMIT - TOLERANCE
    assert max(seconds for seconds, _ in slow) < LIMIT + TOLERANCE
    assert late[1].startswith(b"HTTP/1.1 200 ")
    assert body[1].startswith(b"HTTP/1.1 408 ")
    assert LIMIT - TOLERANCE < body[0] < LIMIT + TOLERANCE
    assert len(normal) > 50
    assert sorted(normal)[len(normal) * 9 // 10] < 0.25
