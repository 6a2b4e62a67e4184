"""Work that goes on when who began it has been given up: answers are taken away though the attempt is over."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Background:
    """Keeps such work until it is done, or all ends."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin something; waited for by `asyncio.shield`, it outlives who waits."""
        task = asyncio.create_task(work)
        self._tasks.add(task)  # the event loop itself keeps none
        task.add_done_callback(self._tasks.discard)
        return task

    async def end(self, patience: float) -> None:
        """Wait so many seconds for what is under way, and give up the rest."""
        if not self._tasks:
            return
        _, late = await asyncio.wait([*self._tasks], timeout=patience)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
