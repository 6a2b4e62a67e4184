"""A gateway process that this supervisor did not start itself: it was left by the program that this one has become."""

from __future__ import annotations

import asyncio
import os
import signal


class AdoptedProcess:
    """What `asyncio` gives for a process of our own, for another one. Linux only. Raises ProcessLookupError."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._descriptor = os.pidfd_open(pid)
        self._over = False

    def send_signal(self, number: int) -> None:
        """Send a signal to it, and to no other process that has its number later, or its descriptor's."""
        if self._over:
            raise ProcessLookupError(f"process {self.pid} has ended")
        signal.pidfd_send_signal(self._descriptor, number)

    async def wait(self) -> int:
        """Wait for its end; gives its exit code, negative for a signal.

        That of a process which is no child of ours is not told: 0.
        """
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        loop.add_reader(self._descriptor, lambda: None if ended.done() else ended.set_result(None))
        try:
            await ended
        finally:
            self._over = True
            loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
        try:
            _, status = os.waitpid(self.pid, 0)  # noqa: ASYNC222 - it has ended
        except ChildProcessError:
            return 0
        return os.waitstatus_to_exitcode(status)
