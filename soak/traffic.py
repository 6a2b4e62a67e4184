"""All clients, each doing its one thing again and again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from soak.kinds import bodies, leaving, plain, policies, streams
from soak.kinds.client import Client
from soak.ledger import Ledger
from soak.served import until
from soak.wire import Kept

PAUSE_SECONDS = 120.0
"""In which all that is under way must come to its end."""


@dataclass(frozen=True)
class Kind:
    """Clients of one kind: how many, and how long each waits between two of its requests, in seconds on average."""

    act: Callable[[Client], Awaitable[None]]
    count: int
    pause: float


MIXED = (
    Kind(plain.small, 8, 0.05),
    Kind(plain.newcomer, 4, 0.05),
    Kind(plain.shaky, 2, 0.1),
    Kind(bodies.download, 1, 0.5),
    Kind(bodies.upload, 1, 0.5),
    Kind(bodies.both_ways, 1, 0.5),
    Kind(bodies.slow_sender, 2, 0.5),
    Kind(bodies.slow_reader, 2, 0.5),
    Kind(streams.websocket, 8, 0.1),
    Kind(streams.events, 4, 0.1),
    Kind(policies.stamped, 4, 0.1),
    Kind(policies.bounded, 4, 0.05),
    Kind(leaving.leaver, 2, 0.2),
)


class Traffic:
    """Runs clients until it is closed. They wait while it is paused, and then have no connection."""

    def __init__(self, ledger: Ledger, port: int, seed: int, kinds: tuple[Kind, ...] = MIXED, size: float = 1) -> None:
        self._ledger, self._port = ledger, port
        self._chance = random.Random(seed)  # noqa: S311 - a test's chance, which can be had again
        self._going = asyncio.Event()
        self._busy = 0
        self._tasks = [
            asyncio.create_task(self._run(kind), name=kind.act.__name__)
            for kind in kinds
            for _ in range(max(1, round(kind.count * size)))
        ]

    def go(self) -> None:
        """Let them ask."""
        self._going.set()

    async def pause(self) -> None:
        """Let them finish and wait. Raises TimeoutError where that takes too long."""
        self._going.clear()
        await until(lambda: not self._busy, PAUSE_SECONDS, "all clients at rest")

    async def close(self) -> None:
        """End all of them at once."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, kind: Kind) -> None:
        chance = random.Random(self._chance.random())  # noqa: S311 - as above
        client = Client(self._port, self._ledger, chance, Kept(self._port, self._ledger), self._going)
        while True:
            await self._going.wait()
            self._busy += 1
            try:
                while self._going.is_set():
                    await self._one(kind, client)
                    await asyncio.sleep(chance.random() * 2 * kind.pause)
            finally:
                client.kept.close()
                self._busy -= 1

    async def _one(self, kind: Kind, client: Client) -> None:
        try:
            await kind.act(client)
        except Exception as error:  # noqa: BLE001 - a defect of a client must not pass for quiet
            self._ledger.breach(f"a client, {kind.act.__name__}, failed: {error!r}")
