"""Log files are opened anew: asked for, or by SIGUSR1."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from pylos.errors import PylosError
from pylos.supervisor import log
from pylos.supervisor.process import GatewayProcess


class Reopening:
    """Has log files opened anew, and tells what came of it."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    async def reopen(self, process: GatewayProcess | None, draining: Iterable[GatewayProcess], reason: str) -> None:
        """Have the gateway process that serves do so, and those that drain.

        Where none serves, the next one opens its own. Raises PylosError where a file cannot be opened; then the one
        before is written on.
        """
        try:
            if process is not None:
                await process.reopen()
        except PylosError as error:
            log.error("reopen_failed", f"log files: {error} ({reason})", reason=reason)
            raise
        finally:
            for other in tuple(draining):
                with suppress(PylosError):  # it ends anyway
                    await other.reopen()
        log.info("reopened", f"log files were opened anew ({reason})", reason=reason)

    def aside(self, process: GatewayProcess | None, draining: Iterable[GatewayProcess], reason: str) -> None:
        """Do the same for one who does not wait."""
        task = asyncio.create_task(self.reopen(process, draining, reason))
        self._tasks.add(task)
        task.add_done_callback(self._settled)

    def _settled(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # told by itself
