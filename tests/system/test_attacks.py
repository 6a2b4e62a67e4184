"""Crowds of clients that mean ill: others are served as before, and who holds on to something is closed in time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from system.rig import Front, ResidentMemory, until
from system.senders import Address, Bystander, Senders, address_of

from pylos.testing import GatewayUnderTest, RawClient, UpstreamConnection
from pylos.testing.plugin import UpstreamFactory

CROWD = 300
READERS = 50
LISTENS = "0A"
LATE = 0.5
"""Seconds within which nine of ten answers come to a client that behaves, on a machine that has other work too."""
LISTEN = """timeouts = { header = "2s", idle = "3s", body_idle = "2s", send_idle = "2s" }
limits = { body_rate = "1KiB" }"""


@pytest.fixture
def served(front: Front, upstream: UpstreamFactory) -> GatewayUnderTest:
    """A gateway with short times, in front of an upstream that gives small answers, and a large one at `/large`."""

    def story(connection: UpstreamConnection) -> None:
        while (request := connection.read_request()) is not None:
            size = 50_000_000 if request.target == "/large" else 2
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            for _ in range(0, size, 100_000):
                connection.send(bytes(min(size, 100_000)))

    return front(upstream(serve=story), listen=LISTEN)


async def _slow_headers(writer: asyncio.StreamWriter) -> None:
    """As slowhttptest -H: a head that never ends, a field at a time."""
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n")
    while True:
        await asyncio.sleep(0.5)
        writer.write(b"X-More: 1\r\n")
        await writer.drain()


async def _slow_body(writer: asyncio.StreamWriter) -> None:
    """As slowhttptest -B: a body that never ends, some bytes at a time."""
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8192\r\n\r\n")
    while True:
        await asyncio.sleep(0.5)
        writer.write(b"x=y&")
        await writer.drain()


async def _slow_read(writer: asyncio.StreamWriter) -> None:
    """As slowhttptest -X, but it reads nothing at all."""
    writer.write(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.sleep(60)


async def _silence(_: asyncio.StreamWriter) -> None:
    """Connect, and nothing more."""


async def _endless_head(writer: asyncio.StreamWriter) -> None:
    """Fields, four times as many bytes as may be."""
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n")
    for number in range(300):
        writer.write(b"X-%d: %s\r\n" % (number, b"x" * 1000))
        await writer.drain()


async def _endless_line(writer: asyncio.StreamWriter) -> None:
    """One line of a megabyte."""
    writer.write(b"GET /")
    for _ in range(100):
        writer.write(b"x" * 10_000)
        await writer.drain()


ATTACKS = {
    "slow headers": (_slow_headers, b"HTTP/1.1 408 ", 2.0),
    "slow body": (_slow_body, b"HTTP/1.1 408 ", 2.0),
    "silence": (_silence, b"", 3.0),
    "endless head": (_endless_head, b"HTTP/1.1 431 ", 0.0),
    "endless line": (_endless_line, b"HTTP/1.1 414 ", 0.0),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attack(name: str, served: GatewayUnderTest):
    act, told, seconds = ATTACKS[name]
    address = address_of(served.address())
    with (
        ResidentMemory(served.gateway_pid) as memory,
        Bystander(address) as bystander,
        Senders(address, CROWD, act) as senders,
    ):
        until(lambda: len(senders.closed) == CROWD, 40)
        bystander.more(5)
    assert bystander.failures == []
    assert bystander.share(0.9) < LATE
    assert all(one.by_gateway for one in senders.closed)
    assert {one.answer[:13] for one in senders.closed} == {told}
    assert min(one.seconds for one in senders.closed) > seconds - 0.3
    assert max(one.seconds for one in senders.closed) < seconds + 3
    assert memory.growth < CROWD * 100_000, "no more than the largest head and its buffers for each"
    until(lambda: served.status()["connections"] == 0)


def test_slow_readers(served: GatewayUnderTest):
    """They take nothing of a large answer: each costs its buffers, and is cut."""
    address = address_of(served.address())
    with (
        ResidentMemory(served.gateway_pid) as memory,
        Bystander(address) as bystander,
        _slow_readers(served, address),
    ):
        bystander.more(5)
    assert bystander.failures == []
    assert bystander.share(0.9) < LATE
    assert memory.growth < READERS * 300_000


def test_what_slow_readers_have_not_taken_is_forgotten(served: GatewayUnderTest):
    """By the system too, which may hold megabytes for each of them."""
    address = address_of(served.address())
    with _slow_readers(served, address):
        assert _unsent(address[1]) < READERS * 10_000


@contextmanager
def _slow_readers(served: GatewayUnderTest, address: Address) -> Iterator[None]:
    """Let clients come that read nothing; the gateway has closed them, and they are still there."""
    with Senders(address, READERS, _slow_read, receive_buffer=4096, reads=False) as senders:
        senders.wait_for_connections()
        until(lambda: served.status()["connections"] > READERS * 0.8)
        until(lambda: served.status()["connections"] <= 2, 30)
        yield


def _unsent(port: int) -> int:
    """Give the bytes that the system holds for the peers of a port of ours, from /proc/net/tcp."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(row[4].split(":")[0], 16) for row in rows if row[1].endswith(f":{port:04X}") and row[3] != LISTENS)


def test_flood_of_one_address(front: Front, upstream: UpstreamFactory):
    """Ten times as many connections as it may have, over and over: others do not notice."""
    listen = 'limits = { connections_per_address = 50 }\ntimeouts = { idle = "3s" }'
    gateway = front(upstream(), listen=listen)
    address = address_of(gateway.address())
    with Bystander(address) as bystander, Senders(address, 500, _silence, source="127.0.0.2") as senders:
        senders.wait_for_connections()
        until(lambda: len(senders.closed) >= 450)
        until(lambda: gateway.status()["connections"] >= 50)
        with RawClient(gateway.address(), source="127.0.0.2") as one_more:
            one_more.expect_eof()
        until(lambda: len(senders.closed) == 500, 20)
        bystander.more(10)
        with RawClient(gateway.address(), source="127.0.0.2") as client:
            assert client.get().status == 200
    assert bystander.failures == []
    assert bystander.share(0.9) < LATE


def test_flood_of_connections(front: Front, upstream: UpstreamFactory):
    """Three thousand at once that say nothing: all find a place, cost little, and are closed when they are idle."""
    gateway = front(upstream(), listen='timeouts = { idle = "5s" }')
    address = address_of(gateway.address())
    with (
        ResidentMemory(gateway.gateway_pid) as memory,
        Bystander(address) as bystander,
        Senders(address, 3000, _silence) as senders,
    ):
        senders.wait_for_connections()
        until(lambda: gateway.status()["connections"] >= 3000)
        bystander.more(5)
        until(lambda: len(senders.closed) == 3000, 30)
    assert bystander.failures == []
    assert bystander.share(0.9) < LATE
    assert memory.growth < 3000 * 4096
