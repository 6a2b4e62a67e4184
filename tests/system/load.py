"""GETs without a pause over kept connections, from a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter
from typing import Self

LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
REQUEST = b"GET /load HTTP/1.1\r\nHost: a\r\n\r\n"
PAUSE = 0.002


class Load:
    """A context manager; `bodies` counts the bodies of good answers, `failures` has a line for each bad one.

    An answer is bad when it is not a whole 200. A kept connection that was closed between two requests is opened anew
    and the request sent again: that is what clients do, and no failure; a fresh one has to serve.
    """

    def __init__(self, address: str, clients: int = 8) -> None:
        host, port = address.rsplit(":", 1)
        self.bodies: Counter[bytes] = Counter()
        self.failures: list[str] = []
        self._address = (host, int(port))
        self._clients = clients
        self._over = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all()), daemon=True)

    def more(self, count: int, seconds: float = 30.0) -> None:
        """Wait until so many more requests than now have been answered."""
        goal = self._total + count
        for _ in range(int(seconds / 0.01)):
            if self._total >= goal:
                return
            threading.Event().wait(0.01)
        raise TimeoutError(f"{self._total} of {goal} answers within {seconds} s")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(30)

    @property
    def _total(self) -> int:
        return self.bodies.total() + len(self.failures)

    async def _all(self) -> None:
        await asyncio.gather(*[self._client() for _ in range(self._clients)])

    async def _client(self) -> None:
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while not self._over.is_set():
            kept = connection is not None
            try:
                connection = connection or await asyncio.open_connection(*self._address)
                answer = await asyncio.wait_for(_ask(*connection), 10)
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                if connection:
                    connection[1].close()
                connection = None
                untouched = isinstance(error, ConnectionError) or (
                    isinstance(error, asyncio.IncompleteReadError) and not error.partial
                )
                if not (kept and untouched):
                    self.failures.append(repr(error))
                    await asyncio.sleep(PAUSE)
                continue
            status, body, closes = answer
            if status == b"200":
                self.bodies[body] += 1
            else:
                self.failures.append(f"{status!r} {body!r:.200}")
            if closes:
                connection[1].close()
                connection = None
            await asyncio.sleep(PAUSE)
        if connection:
            connection[1].close()


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[bytes, bytes, bool]:
    writer.write(REQUEST)
    head = await reader.readuntil(b"\r\n\r\n")
    length = LENGTH.search(head)
    body = await reader.readexactly(int(length[1])) if length else b""
    return head[9:12], body, b"\r\nconnection: close" in head.lower()
