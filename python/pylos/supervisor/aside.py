"""Work that the event loop must not wait for, in threads that nobody waits for at the end of the program."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from pylos.errors import GatewayError

Result = TypeVar("Result")


class NoThreadError(GatewayError, RuntimeError):
    """No thread can be started now."""


async def in_thread(work: Callable[[], Result]) -> Result:
    """Do something in a thread that nobody waits for at the end of the program. Raises NoThreadError."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()

    def settle(tell: Callable[[], None]) -> None:
        if not done.done():
            tell()

    def run() -> None:
        try:
            tell = partial(done.set_result, work())
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            tell = partial(done.set_exception, error)
        except BaseException as error:  # noqa: BLE001 - a library in Rust has panicked: that must not be waited for
            tell = partial(done.set_exception, RuntimeError(f"a defect: {error!r}"))
        with suppress(RuntimeError):  # the loop is closed: all is over
            loop.call_soon_threadsafe(settle, tell)

    try:
        threading.Thread(target=run, daemon=True).start()
    except RuntimeError as error:  # of the system, or of the container, there may be no more
        raise NoThreadError(f"no thread can be started: {error}") from None
    return await done
