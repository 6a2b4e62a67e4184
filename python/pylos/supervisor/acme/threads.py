"""Calls that block, outside of the event loop.

The threads are daemons and not those of the loop's own executor: a file server or an authority that hangs holds up
neither other work of the supervisor nor its end.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
MOST = 8


class Threads:
    """At most so many calls at a time; the others wait."""

    def __init__(self, most: int = MOST) -> None:
        self._free = asyncio.Semaphore(most)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in a thread, and give what it returns or raises. A call that is given up runs on."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def tell(done: Callable[[], None]) -> None:
            if not future.done():
                done()
            # Now, and not when the call is given up: the bound is one of threads.
            self._free.release()

        def call() -> None:
            try:
                done = partial(future.set_result, function(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001, it is raised where the call is awaited
                done = partial(future.set_exception, error)
            with suppress(RuntimeError):  # the loop may be closed by now
                loop.call_soon_threadsafe(tell, done)

        await self._free.acquire()
        try:
            threading.Thread(target=call, name="acme", daemon=True).start()
        except BaseException:  # no thread can be made now
            self._free.release()
            raise
        return await future
