"""The lanes of one configuration and one gateway process: all started before they are used, each replaced when it ends.

A lane serves as long as the gateway uses its configuration: it ends by itself when the last worker has let go of it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pylos.errors import GatewayError, PylosError
from pylos.supervisor import log
from pylos.supervisor.backoff import Backoff
from pylos.supervisor.lane import Kind, LaneProcess, kinds_of
from pylos.supervisor.process import GatewayProcess

NAMED = "the common lane"
"""What the lane without a name is called."""


class Lanes:
    """The lanes of one configuration. Without policies in Python there is none, and nothing of this costs anything."""

    def __init__(self) -> None:
        self._running: list[LaneProcess] = []
        self._missing: list[Kind] = []
        """Kinds of lanes that did not come up, to be tried again."""
        self._keeping: list[asyncio.Task[None]] = []
        self._leaving: set[asyncio.Task[None]] = set()

    @classmethod
    async def start(cls, table: Mapping[str, Any], folder: Path, *, patient: bool = False) -> Lanes:
        """Start all lanes that a table needs. Raises ConfigError or LaneError, and then none runs.

        One that is `patient` raises nothing, and has those that came up.
        """
        lanes = cls()
        kinds = [kind for kind, count in kinds_of(table, folder) for _ in range(count)]
        results = await asyncio.gather(*(LaneProcess.start(kind) for kind in kinds), return_exceptions=True)
        failures: list[BaseException] = []
        for kind, result in zip(kinds, results, strict=True):
            if isinstance(result, LaneProcess):
                lanes._running.append(result)
            else:
                failures.append(result)
                lanes._missing.append(kind)
        if failures and (not patient or not isinstance(failures[0], PylosError)):
            await lanes.discard()
            raise failures[0]
        for failure in failures:
            log.error("lane_not_started", str(failure))
        return lanes

    @property
    def orders(self) -> list[dict[str, Any]]:
        """The lanes as the gateway is told of them."""
        return [lane.kind.order for lane in self._running]

    @property
    def lines(self) -> list[socket.socket]:
        """The gateway's ends, in the same order."""
        return [lane.line for lane in self._running]

    @property
    def pids(self) -> list[int]:
        """The processes."""
        return [lane.pid for lane in self._running]

    def keep(self, process: GatewayProcess, generation: int) -> None:
        """From now on, replace each lane that ends: the gateway has them."""
        for lane in self._running:
            lane.line.close()
        kept = [self._keep(lane.kind, lane, process, generation) for lane in self._running]
        kept += [self._keep(kind, None, process, generation) for kind in self._missing]
        self._keeping = [asyncio.create_task(one, name="keep a lane") for one in kept]

    def retire(self, drain_seconds: float) -> None:
        """Replace none any more; each ends when the gateway has let go of it, and is reaped here."""
        self._stop_keeping()
        for lane in self._running:
            task = asyncio.create_task(self._let_go(lane, drain_seconds), name=f"let lane {lane.pid} go")
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def _let_go(self, lane: LaneProcess, drain_seconds: float) -> None:
        await lane.let_go(drain_seconds)
        self._running.remove(lane)

    async def discard(self) -> None:
        """End all of them at once."""
        self._stop_keeping()
        for task in self._leaving:
            task.cancel()
        await asyncio.gather(*(lane.kill() for lane in self._running))

    def _stop_keeping(self) -> None:
        for task in self._keeping:
            task.cancel()
        self._keeping = []

    async def _keep(self, kind: Kind, lane: LaneProcess | None, process: GatewayProcess, generation: int) -> None:
        """Keep one lane of a kind there, for as long as the gateway process is."""
        backoff = Backoff()
        while True:
            lived = 0.0
            if lane is not None:
                await asyncio.wait([lane.ended])
                lived = lane.lived
                self._running.remove(lane)
                if lane.ended.result() == 0 and await has_ended(process):
                    return  # the gateway is gone, and so its lanes end; another one will have others
                text = f"a process of {kind.group or NAMED} {lane.describe_end()}; another takes its place"
                log.error("lane_lost", text, lane=kind.group, pid=lane.pid, policies=kind.order["policies"])
            await asyncio.sleep(backoff.delay(lived))
            lane = await self._replacement(kind, process, generation)

    async def _replacement(self, kind: Kind, process: GatewayProcess, generation: int) -> LaneProcess | None:
        """Start a lane and give it to the gateway; None where that failed."""
        try:
            lane = await LaneProcess.start(kind)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
            log.error("lane_not_started", str(error) or repr(error), lane=kind.group)
            return None
        self._running.append(lane)
        with suppress(GatewayError):  # a gateway that is lost is replaced, and has lanes of its own then
            await process.add_lane(generation, kind.order, lane.line)
        lane.line.close()
        log.info("lane_started", f"process {lane.pid} of {kind.group or NAMED} serves", lane=kind.group, pid=lane.pid)
        return lane


async def has_ended(process: GatewayProcess) -> bool:
    """Whether a gateway process has ended, or does so in a moment."""
    await asyncio.wait([process.ended], timeout=1)
    return process.ended.done()
