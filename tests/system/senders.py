"""Clients that mean ill, in a thread with an event loop of its own, and one beside them that must not notice."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

Address = tuple[str, int]
Sender = Callable[[asyncio.StreamWriter], Awaitable[None]]
GET = b"GET /normal HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def address_of(address: str) -> Address:
    """Split host and port."""
    host, port = address.rsplit(":", 1)
    return host, int(port)


@dataclass
class Closed:
    """How one connection of a sender came to its end."""

    seconds: float
    """From connecting to the end."""
    answer: bytes
    """What came before it."""
    by_gateway: bool
    """Whether the gateway closed it; else the sender gave up."""


@dataclass
class Senders:
    """So many connections that all do the same; a context manager that ends them.

    `act` talks over a connection as long as it likes; meanwhile what comes is read, up to the end.
    `source` is where they come from, `receive_buffer` how many bytes each takes before it is full. With `reads=False`
    they read nothing, and go when they have talked.
    """

    address: Address
    count: int
    act: Sender
    source: str | None = None
    receive_buffer: int | None = None
    reads: bool = True
    most: float = 60.0
    connected: int = 0
    answered: int = 0
    """Connections over which something has come."""
    closed: list[Closed] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """Of connecting."""

    def __enter__(self) -> Self:
        self._all_connected = threading.Event()
        self.loop = asyncio.new_event_loop()
        self._main = self.loop.create_task(self._all())
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self._main.cancel)
        self._thread.join(30)
        self.loop.close()

    def wait_for_connections(self, seconds: float = 30.0) -> None:
        """Wait until all have connected, or failed to."""
        if not self._all_connected.wait(seconds):
            raise TimeoutError(f"{self.connected} of {self.count} connected within {seconds} s")

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        with suppress(asyncio.CancelledError):
            self.loop.run_until_complete(self._main)
        self.loop.run_until_complete(asyncio.sleep(0))  # what was aborted is closed in the next turn

    async def _all(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(self.count):
                group.create_task(self._one())

    async def _one(self) -> None:
        sock = socket.socket()
        sock.setblocking(False)  # noqa: FBT003 - the system's own
        try:
            if self.receive_buffer is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
            if self.source is not None:
                sock.bind((self.source, 0))
            await self.loop.sock_connect(sock, self.address)
        except OSError as error:
            sock.close()
            self.failures.append(repr(error))
            return
        finally:
            self.connected += 1
            if self.connected == self.count:
                self._all_connected.set()
        await self._talk(sock)

    async def _talk(self, sock: socket.socket) -> None:
        started = time.monotonic()
        limit = 1024 if self.receive_buffer is not None else 2**16
        reader, writer = await asyncio.open_connection(sock=sock, limit=limit)
        acting = asyncio.create_task(self._act(writer))
        answer, by_gateway = b"", True
        try:
            async with asyncio.timeout(self.most):
                if self.reads:
                    answer = await self._read(reader)
                else:
                    await acting
        except TimeoutError:
            by_gateway = False
        finally:
            acting.cancel()
            await asyncio.gather(acting, return_exceptions=True)
            writer.transport.abort()
        self.closed.append(Closed(time.monotonic() - started, answer, by_gateway))

    async def _act(self, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await self.act(writer)

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        """Read up to the end, by FIN or reset."""
        answer = bytearray()
        with suppress(OSError):
            while piece := await reader.read(65536):
                if not answer:
                    self.answered += 1
                answer += piece
        return bytes(answer)


class Bystander:
    """A normal client that asks over new connections, a few times a second; a context manager.

    `waits` has how long each answer took from connecting on, in seconds; `failures` what was no 200.
    """

    def __init__(self, address: Address, pause: float = 0.05) -> None:
        self.waits: list[float] = []
        self.failures: list[str] = []
        self._address, self._pause = address, pause
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(30)

    def share(self, share: float) -> float:
        """Give the time within which so many were answered."""
        ordered = sorted(self.waits)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    def more(self, count: int, seconds: float = 30.0) -> None:
        """Wait until so many more than now were answered."""
        goal, deadline = len(self.waits) + count, time.monotonic() + seconds
        while len(self.waits) < goal:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(self.waits)} of {goal} answers within {seconds} s; {self.failures[-3:]}")
            self._over.wait(0.02)

    def _run(self) -> None:
        while not self._over.wait(self._pause):
            started = time.monotonic()
            try:
                with socket.create_connection(self._address, timeout=20) as sock:
                    sock.sendall(GET)
                    answer = b"".join(iter(lambda: sock.recv(4096), b""))
            except OSError as error:
                self.failures.append(repr(error))
                continue
            if answer.startswith(b"HTTP/1.1 200 "):
                self.waits.append(time.monotonic() - started)
            else:
                self.failures.append(repr(answer[:100]))
