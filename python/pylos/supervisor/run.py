"""The story of a supervisor: load, bind, start a gateway process, say that it serves, keep it so until told to end."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM, Signals
from typing import Any, TypedDict

from pylos.config.diff import Change, names_of
from pylos.config.explain import explanation_of
from pylos.config.policies import find_python, python_of
from pylos.config.secrets import values_at
from pylos.errors import ConfigError, GatewayError, PylosError
from pylos.supervisor import log
from pylos.supervisor.apply import Applier
from pylos.supervisor.backoff import Backoff
from pylos.supervisor.channel import Message
from pylos.supervisor.events import Ended, Event, Outcome, Read, Reload, Replace, Rollback, Shutdown, Taken
from pylos.supervisor.history import Entry, History
from pylos.supervisor.process import GatewayLostError, GatewayProcess, described, gateway_command
from pylos.supervisor.sockets import Sockets
from pylos.supervisor.source import Checked, Source, in_thread, named_files, read_aside
from pylos.supervisor.watch import Watcher, contents

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
        self._watcher = Watcher(lambda: self.put(Reload("a file has changed", noticed=True)))
        self._backoff = Backoff()
        self._process: GatewayProcess | None = None
        self._process_changed = asyncio.Condition()
        self._shutting_down = False
        self.history = History()
        self._wanted: deque[Reload] = deque()
        self._reading: asyncio.Task[None] | None = None
        self._written = Checked({})
        """What the source said when it was last read and sound."""
        self._drift: str | None = None
        """Why the configuration in use is not that of the source."""
        self._rolled_back = False

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
        self._written = await read_aside(self._source)
        await self._start_process(partial(self._applier.change, self._written))
        entry, _ = self.history.entry(self._applier.generation, self._written, "start")
        self.history.add(entry)
        await self._follow(self._written.files)
        self._report_warnings()
        self._report_listening()
        if self._on_ready is not None:
            self._on_ready(self.ready)

    async def _supervise(self) -> None:
        while True:
            match await self._events.get():
                case Reload() as wanted:
                    self._want(wanted)
                    self._read_next()
                case Read() as read:
                    await self._reload(read)
                    self._reading = None
                    self._read_next()
                case Rollback() as wanted:
                    await self._roll_back(wanted)
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
        await self._applier.close()

    # -- a new configuration ------------------------------------------------------------------------------------------

    def _want(self, wanted: Reload) -> None:
        """Queue a reload; one that waits already and has the same source serves both, since it has not read yet."""
        for at, waiting in enumerate(self._wanted):
            if waiting.source == wanted.source:
                self._wanted[at] = waiting.with_another(wanted)
                return
        self._wanted.append(wanted)

    def _read_next(self) -> None:
        if self._wanted and self._reading is None:
            self._reading = asyncio.create_task(self._read(self._wanted.popleft()), name="read the configuration")

    async def _read(self, wanted: Reload) -> None:
        source = wanted.source or self._source
        try:
            found: Checked | PylosError = await read_aside(source)
        except PylosError as error:
            found = error
        except Exception as error:  # noqa: BLE001 - a defect of the checks must not end what serves
            found = PylosError(f"the configuration cannot be checked, by a defect of Pylos: {type(error).__name__}")
        self.put(Read(wanted, source, found))

    async def _reload(self, read: Read) -> None:
        wanted = read.wanted
        try:
            checked = read.sound()
            if wanted.noticed and self._rolled_back and checked.contents == self._written.contents:
                return  # old news: what the file says was rolled back after it had been read
            taken = await self._take(checked, wanted.reason)
        except PylosError as error:
            log.error(
                "reload_refused", f"{_about(error)}; the configuration in use stays\n{error}", reason=wanted.reason
            )
            if read.source == self._source:
                self._drift = "what the file says now was refused"
                await self._follow([*self._written.files, *named_files(error)])
            await self._settle(wanted.outcomes, error)
            return
        self._source, self._written, self._drift, self._rolled_back = read.source, checked, None, False
        await self._follow(checked.files)
        await self._settle(wanted.outcomes, taken)

    async def _roll_back(self, wanted: Rollback) -> None:
        try:
            entry = self.history.find(wanted.number)
            checked = entry.checked
            number = entry.restores or entry.number
            taken = await self._take(checked, f"rollback to {number}, {wanted.reason}", restores=number)
        except PylosError as error:
            log.error("rollback_refused", f"{error}; the configuration in use stays", reason=wanted.reason)
            await self._settle(wanted.outcomes, error)
            return
        same = checked.document == self._written.document
        self._rolled_back = not same
        self._drift = None if same else f"configuration {number} was put back by a rollback"
        await self._settle(wanted.outcomes, taken)

    async def _take(self, checked: Checked, reason: str, restores: int | None = None) -> Taken:
        """Put a configuration into use, unless it is; and tell. Raises what `Applier.change` raises."""
        before = self._applier.listen
        if self._applier.keeps(checked):
            number = self._applier.generation
            log.info("unchanged", f"nothing changed: configuration {number} stays in use ({reason})", generation=number)
            return Taken(number, [], checked.warnings)
        await self._applier.change(checked, self._process)
        number = self._applier.generation
        entry, changes = await self._compare(number, checked, reason, restores)
        self.history.add(entry)
        told = f"configuration {number} is in use ({reason}): {entry.summary}"
        log.info("reloaded", told, generation=number, changed=names_of(changes or []))
        self._report_warnings()
        if self._applier.listen != before:
            self._report_listening()
        return Taken(number, changes, checked.warnings)

    async def _compare(
        self, number: int, checked: Checked, reason: str, restores: int | None
    ) -> tuple[Entry, list[Change] | None]:
        """Find what a configuration changes that is in use already: so whatever fails here refuses nothing."""
        try:
            return await in_thread(lambda: self.history.entry(number, checked, reason, restores))
        except Exception as error:  # noqa: BLE001 - a defect of the comparison must not end what serves
            defect = type(error).__name__  # and not its text, in which values may stand
            told = f"what configuration {number} changes cannot be told, by a defect of Pylos: {defect}"
            log.warning("diff_failed", told, generation=number, error=defect)
            return await in_thread(lambda: self.history.bare_entry(number, checked, reason, restores)), None

    async def _settle(self, outcomes: Iterable[Outcome], result: Taken | PylosError) -> None:
        """Tell who asked; and with a configuration tried, it is time to try without a gateway process's delay."""
        if self._process is None:
            await self._replace()
        for outcome in outcomes:
            if outcome.done():
                continue
            if isinstance(result, PylosError):
                outcome.set_exception(result)
                outcome.exception()  # told, as far as we are concerned: who asked may have left
            else:
                outcome.set_result(result)

    async def _follow(self, files: Sequence[Path]) -> None:
        if self._watch:
            await self._watcher.follow(dict.fromkeys(files))

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
    def running(self) -> dict[str, Any]:
        """What runs, in the words of the supervisor: pids, addresses, and the configuration in use."""
        source = self._source
        return {
            **self.ready,
            "source": str(source) if isinstance(source, Path) else None,
            "generation": self.number,
            "digest": self._applier.checked.digest,
            "drift": self._drift or self._unread(),
        }

    @property
    def number(self) -> int:
        """The number of the configuration in use."""
        return self._applier.generation

    @property
    def table(self) -> dict[str, Any]:
        """The table in use, addresses as they really are."""
        return self._applier.table

    @property
    def secrets(self) -> list[list[str]]:
        """The places of secrets in the table in use."""
        return self._applier.checked.secrets

    def document(self, number: int | None) -> dict[str, Any]:
        """Give a former document, or the one in use, with its number. Raises PylosError."""
        entry = self.history.in_use if number is None else self.history.find(number)
        return {"number": entry.number, "document": entry.document}

    def _unread(self) -> str | None:
        written = self._written
        if not written.files or contents(written.files) == written.contents:
            return None
        return "the file has changed and has not been read yet"

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
        return await self._serving_process.status()

    async def forget(self, policy: str | None) -> list[str]:
        """Forget what is remembered of a policy's decisions, or of all; gives the policies. Raises PylosError."""
        policies = self._applier.checked.table["policy"]
        if policy is not None:
            find_python(policies, policy)
        await self._serving_process.forget(policy)
        return list(python_of(policies)) if policy is None else [policy]

    async def explain(self, question: Mapping[str, Any]) -> Message:
        """Ask the gateway process where a request would go; secrets are not told."""
        before = values_at(self.table, self.secrets)
        explanation = await self._serving_process.explain(question)
        # A reload may have come between.
        told = explanation_of(explanation, before | values_at(self.table, self.secrets))
        return told.model_dump(by_alias=True)

    async def advance(self, ms: int) -> None:
        """Put the gateway's time forward: for tests."""
        await self._serving_process.advance(ms)

    @property
    def _serving_process(self) -> GatewayProcess:
        if self._process is None:
            raise GatewayLostError("no gateway process serves at the moment")
        return self._process

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
