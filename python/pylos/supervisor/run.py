"""The story of a supervisor: load, bind, start a gateway process, say that it serves, keep it so until told to end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from signal import SIGHUP, SIGINT, SIGTERM, Signals
from typing import TypedDict

from pylos.errors import ConfigError, GatewayError, PylosError
from pylos.supervisor import log
from pylos.supervisor.apply import Applier
from pylos.supervisor.backoff import Backoff
from pylos.supervisor.channel import Message
from pylos.supervisor.events import Ended, Event, Reload, Replace, Shutdown
from pylos.supervisor.process import GatewayLostError, GatewayProcess, described, gateway_command
from pylos.supervisor.sockets import Sockets
from pylos.supervisor.source import Source
from pylos.supervisor.watch import Watcher

DRAIN_GRACE = 5.0
"""Seconds that a gateway process has, after its drain's deadline, to end by itself."""


class Ready(TypedDict):
    """What is told when the first configuration is in use."""

    pid: int
    gateway: int
    listen: dict[str, list[str]]


class Supervisor:
    """Supervises one gateway. `run` is its whole life."""

    def __init__(
        self,
        source: Source,
        *,
        on_ready: Callable[[Ready], None] | None = None,
        watch: bool = True,
        command: Sequence[str] | None = None,
    ) -> None:
        self._source = source
        self._on_ready = on_ready
        self._watch = watch
        self._command = command
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._hurry = asyncio.Event()
        self._sockets = Sockets()
        self._applier = Applier(self._sockets)
        self._watcher = Watcher(lambda: self.put(Reload("a file has changed")))
        self._backoff = Backoff()
        self._process: GatewayProcess | None = None
        self._process_changed = asyncio.Condition()
        self._shutting_down = False

    async def run(self) -> None:
        """Serve until told to end. Raises ConfigError, BindError or GatewayError when it cannot start."""
        self._take_signals()
        life = asyncio.create_task(self._live(), name="supervise")
        hurry = asyncio.create_task(self._hurry.wait(), name="wait for a second signal")
        try:
            await asyncio.wait([life, hurry], return_when=asyncio.FIRST_COMPLETED)
        finally:
            hurry.cancel()
            life.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait([life])
            await self._end()
        if not life.cancelled():
            life.result()

    def put(self, event: Event) -> None:
        """Let something happen."""
        self._events.put_nowait(event)

    # -- the stages ---------------------------------------------------------------------------------------------------

    async def _live(self) -> None:
        await self._start()
        await self._supervise()
        await self._drain()

    async def _start(self) -> None:
        await self._start_process(partial(self._applier.change, self._source))
        await self._follow()
        self._report_warnings()
        self._report_listening()
        if self._on_ready is not None:
            self._on_ready(self.ready)

    async def _supervise(self) -> None:
        while True:
            match await self._events.get():
                case Reload() as wanted:
                    await self._reload(wanted)
                case Ended(process) if process is self._process:
                    await self._lose(process)
                case Replace() if self._process is None:
                    await self._replace()
                case Shutdown(reason):
                    log.info("shutdown", f"ending: {reason}", reason=reason)
                    return
                case _:
                    pass  # about a process that is not ours any more

    async def _drain(self) -> None:
        self._shutting_down = True
        await self._watcher.close()
        process, deadline = self._process, self._applier.drain_seconds
        if process is None:
            return
        with suppress(GatewayLostError):
            await process.drain(deadline)
        self._sockets.close()  # the gateway process closes its own: from now on, connections are refused
        await asyncio.wait([process.ended], timeout=deadline + DRAIN_GRACE)

    async def _end(self) -> None:
        """Leave nothing behind, whatever has happened."""
        await self._watcher.close()
        self._sockets.close()
        if self._process is not None:
            code = await self._process.stop()
            if code:
                log.warning("gateway_ended", f"gateway process {self._process.pid} {described(code)}")
            log.info("ended", "ended")

    # -- a new configuration ------------------------------------------------------------------------------------------

    async def _reload(self, wanted: Reload) -> None:
        source = wanted.source or self._source
        before = self._applier.listen
        failure: PylosError | None = None
        try:
            await self._applier.change(source, self._process)
        except PylosError as error:
            failure = error
            log.error(
                "reload_refused", f"{_about(error)}; the configuration in use stays\n{error}", reason=wanted.reason
            )
        else:
            self._source = source
            number = self._applier.generation
            log.info("reloaded", f"configuration {number} is in use ({wanted.reason})", generation=number)
            self._report_warnings()
            if self._applier.listen != before:
                self._report_listening()
        await self._follow()
        if self._process is None:
            await self._replace()
        if wanted.outcome is not None and not wanted.outcome.done():
            wanted.outcome.set_result(failure)

    async def _follow(self) -> None:
        if self._watch:
            await self._watcher.follow(self._applier.checked.files)

    # -- a lost process -----------------------------------------------------------------------------------------------

    async def _lose(self, process: GatewayProcess) -> None:
        how = described(process.ended.result())
        log.error("gateway_lost", f"gateway process {process.pid} {how}; it is replaced", gateway=process.pid)
        self._process = None
        await self._replace_later(process.lived)

    async def _replace_later(self, lived: float) -> None:
        delay = self._backoff.delay(lived)
        if delay:
            log.info("gateway_delayed", f"the next gateway process starts in {delay:g} s", seconds=delay)
            asyncio.get_running_loop().call_later(delay, self.put, Replace())
        else:
            await self._replace()

    async def _replace(self) -> None:
        try:
            await self._start_process(self._applier.restore)
        except (GatewayError, ConfigError) as error:
            log.error("gateway_failed", f"a new gateway process {error}")
            await self._replace_later(lived=0)
            return
        log.info("gateway_replaced", f"gateway process {self.gateway_pid} serves", gateway=self.gateway_pid)

    async def _start_process(self, fill: Callable[[GatewayProcess], Awaitable[None]]) -> None:
        """Start a gateway process, give it a configuration and make it the one that serves."""
        process = await GatewayProcess.start(self._command or gateway_command())
        try:
            await fill(process)
        except BaseException:
            await process.kill()
            raise
        self._process = process
        process.ended.add_done_callback(lambda _: self.put(Ended(process)))
        async with self._process_changed:
            self._process_changed.notify_all()

    # -- what others ask ----------------------------------------------------------------------------------------------

    @property
    def ready(self) -> Ready:
        """Who serves where."""
        return {"pid": os.getpid(), "gateway": self.gateway_pid, "listen": self._applier.listen}

    @property
    def gateway_pid(self) -> int:
        """The gateway process that serves; 0 between two."""
        return self._process.pid if self._process else 0

    @property
    def admin_listeners(self) -> list[str]:
        """The listeners that serve no traffic but metrics and health."""
        return [
            name for name, listen in self._applier.checked.table["listen"].items() if "proxy" not in listen["serve"]
        ]

    def end_at_once(self) -> None:
        """End without waiting for requests in flight."""
        self._hurry.set()

    async def serving(self, other_than: int = 0) -> int:
        """Wait until a gateway process serves that is not `other_than`; gives its pid."""
        async with self._process_changed:
            await self._process_changed.wait_for(lambda: self.gateway_pid not in (0, other_than))
        return self.gateway_pid

    async def status(self) -> Message:
        """Ask the gateway process how it is doing."""
        if self._process is None:
            raise GatewayLostError("no gateway process serves at the moment")
        return await self._process.status()

    # -- inside -------------------------------------------------------------------------------------------------------

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(SIGHUP, lambda: self.put(Reload("SIGHUP")))
        for signal in (SIGTERM, SIGINT):
            loop.add_signal_handler(signal, self._terminate, signal)

    def _terminate(self, signal: Signals) -> None:
        if self._shutting_down:
            log.info("hurry", f"a second signal ({signal.name}): ending at once")
            self.end_at_once()
        self._shutting_down = True
        self.put(Shutdown(signal.name))

    def _report_warnings(self) -> None:
        for problem in self._applier.checked.warnings:
            log.warning("config_warning", problem.render(), code=problem.code)

    def _report_listening(self) -> None:
        for name, addresses in self._applier.listen.items():
            log.info("listening", f"{name} listens on {', '.join(addresses)}", listener=name, addresses=addresses)


def _about(error: PylosError) -> str:
    if isinstance(error, ConfigError):
        return "the new configuration is wrong"
    return "the new configuration cannot be used"
