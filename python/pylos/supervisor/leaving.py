"""What was replaced and has not ended yet: gateway processes that drain, and lanes of theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from signal import SIGKILL
from typing import Any

from pylos.supervisor import log
from pylos.supervisor.adopted import AdoptedProcess
from pylos.supervisor.process import GatewayLostError, GatewayProcess

GRACE_SECONDS = 5.0
"""Seconds that a gateway process has, after its drain's deadline, to end by itself."""
CHILD_GRACE_SECONDS = 15.0
"""Likewise a process of which only the number is known, which may be a lane of such a one."""


class Leaving:
    """Sees all of it off, in the background."""

    def __init__(self) -> None:
        self.gateways: list[GatewayProcess] = []
        """Gateway processes that this supervisor can still talk to."""
        self._children: dict[int, AdoptedProcess] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: set[asyncio.Task[None]] = set()
        """For children that are kept: nobody waits until they end, but when they do, nothing is left of them."""

    @property
    def pids(self) -> list[int]:
        """All processes: children of this one, which somebody has to wait for."""
        return [*(process.pid for process in self.gateways), *self._children]

    def add(self, process: GatewayProcess, seconds: float) -> None:
        """Have a gateway process finish what it has, so long at most."""
        self.gateways.append(process)
        self._aside(self._let_go(process, seconds), f"let gateway {process.pid} go")

    def keep(self, children: Iterable[int]) -> None:
        """Note children that are not to end yet, and that whoever this program becomes has to know of."""
        for child in self._noted(children):
            task = asyncio.create_task(self._wait_for(child), name=f"wait for {child.pid}")
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)

    def see_off(self, children: Iterable[int], seconds: float) -> None:
        """Wait for the end of children that end by themselves; those that stay longer than so are killed."""
        for child in self._noted(children):
            self._aside(self._see_off(child, seconds), f"see {child.pid} off")

    def _noted(self, children: Iterable[int]) -> list[AdoptedProcess]:
        """Note children that are not known yet."""
        noted = []
        for pid in set(children) - self._children.keys():
            with suppress(OSError):  # it has ended
                self._children[pid] = AdoptedProcess(pid)
                noted.append(self._children[pid])
        return noted

    async def wait(self, seconds: float) -> None:
        """Wait until all have ended, so long at most."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    async def stop(self) -> None:
        """End all of them at once."""
        for task in (*self._tasks, *self._waiting):
            task.cancel()
        for child in self._children.values():
            with suppress(OSError):
                child.send_signal(SIGKILL)
        await asyncio.gather(*(process.stop() for process in self.gateways), return_exceptions=True)

    def _aside(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _let_go(self, process: GatewayProcess, seconds: float) -> None:
        with suppress(GatewayLostError):
            await process.drain(seconds)
        await asyncio.wait([process.ended], timeout=seconds + GRACE_SECONDS)
        await process.stop()
        self.gateways.remove(process)
        text = f"gateway process {process.pid}, which was replaced, has ended"
        log.info("gateway_drained", text, gateway=process.pid)

    async def _wait_for(self, child: AdoptedProcess) -> None:
        with suppress(OSError):  # it has ended, and was waited for
            await child.wait()
        self._children.pop(child.pid, None)

    async def _see_off(self, child: AdoptedProcess, seconds: float) -> None:
        with suppress(OSError):  # it has ended, and was waited for
            waiting = asyncio.ensure_future(child.wait())
            if not (await asyncio.wait([waiting], timeout=seconds + CHILD_GRACE_SECONDS))[0]:
                child.send_signal(SIGKILL)
            await waiting
        self._children.pop(child.pid, None)
