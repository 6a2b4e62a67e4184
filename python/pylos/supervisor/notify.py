"""What a service manager wants to be told (sd_notify(3)): ready, reloading, ending, and that we are alive.

Without $NOTIFY_SOCKET nobody asks, and nothing is said. A manager that does not listen changes nothing.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress


class Notifier:
    """Tells one service manager, by datagrams."""

    def __init__(self, address: str | None = None, watchdog: float | None = None) -> None:
        self._address = address
        self._watchdog = watchdog
        """Seconds of silence after which it takes us for dead."""
        self._beating: asyncio.Task[None] | None = None

    @classmethod
    def of_environment(cls, environ: Mapping[str, str], pid: int) -> Notifier:
        """Read who is to be told. `pid` is the process that the manager has started.

        What we start has the same environment; its words do not count for the manager (NotifyAccess=main).
        """
        address = environ.get("NOTIFY_SOCKET", "")
        watchdog = environ.get("WATCHDOG_USEC", "")
        meant = environ.get("WATCHDOG_PID", str(pid)) == str(pid)
        seconds = int(watchdog) / 1e6 if watchdog.isdecimal() and meant else 0.0
        known = address.startswith(("/", "@"))  # another kind of socket is not for us
        return cls(address if known else None, seconds or None)

    def ready(self, status: str) -> None:
        """Say that requests are served; after a reload, that it is over. Within a running event loop."""
        self._tell("READY=1", f"MAINPID={os.getpid()}", f"STATUS={status}")
        self.beat()

    def beat(self) -> None:
        """Tell the watchdog from now on that the event loop turns, where there is one. Within a running event loop."""
        if self._watchdog and self._beating is None:
            self._beating = asyncio.create_task(self._beat(self._watchdog / 2), name="tell the watchdog")

    def reloading(self) -> None:
        """Say that the configuration is read again; `ready` follows, whatever comes of it."""
        since = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell("RELOADING=1", f"MONOTONIC_USEC={since}", "STATUS=reading the configuration again")

    def stopping(self) -> None:
        """Say that it ends."""
        self._tell("STOPPING=1", "STATUS=finishing the requests in flight")

    def close(self) -> None:
        """Say no more."""
        if self._beating is not None:
            self._beating.cancel()
            self._beating = None

    async def _beat(self, seconds: float) -> None:
        """Tell now and then that the event loop turns."""
        while True:
            self._tell("WATCHDOG=1")
            await asyncio.sleep(seconds)

    def _tell(self, *words: str) -> None:
        if self._address is None:
            return
        name = self._address.replace("@", "\0", 1) if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(0)
            sender.sendto("\n".join(words).encode(), name)
