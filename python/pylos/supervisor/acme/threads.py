"""Calls that block, outside of the event loop.

The threads are daemons and not those of the loop's own executor: a file server or an authority that hangs holds up
neither other work of the supervisor nor its end.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar

from pylos.supervisor.aside import in_thread

P = ParamSpec("P")
T = TypeVar("T")
MOST = 8


class Threads:
    """At most so many calls at a time; the others wait."""

    def __init__(self, most: int = MOST) -> None:
        self._free = asyncio.Semaphore(most)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in a thread, and give what it returns or raises. A call that is given up runs on."""
        loop, begun = asyncio.get_running_loop(), threading.Event()

        def work() -> T:
            begun.set()
            try:
                return function(*args, **kwargs)
            finally:
                # Now, and not when the call is given up: the bound is one of threads.
                with suppress(RuntimeError):  # the loop may be closed by now
                    loop.call_soon_threadsafe(self._free.release)

        await self._free.acquire()
        try:
            return await in_thread(work)
        except RuntimeError:
            if not begun.is_set():  # no thread can be made now
                self._free.release()
            raise
