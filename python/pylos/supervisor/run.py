"""The story of a supervisor: load, bind, start a gateway process, say that it serves, keep it so until told to end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, Signals
from typing import Any, TypedDict

from pylos.config.diff import names_of
from pylos.errors import ConfigError, GatewayError, PylosError
from pylos.supervisor import inheritance, log
from pylos.supervisor.admin_line import AdminLine
from pylos.supervisor.apply import Applier
from pylos.supervisor.aside import in_thread
from pylos.supervisor.backoff import Backoff
from pylos.supervisor.certificates import Certificates
from pylos.supervisor.challenges import NOTHING, Order
from pylos.supervisor.compare import compare
from pylos.supervisor.events import (
    Ended,
    Event,
    Outcome,
    Put,
    Read,
    Reload,
    Renewed,
    Replace,
    Rollback,
    Shutdown,
    Taken,
    Upgradable,
    Upgrade,
    tell,
)
from pylos.supervisor.ground import Ground
from pylos.supervisor.history import History
from pylos.supervisor.inheritance import Inherited, Succession
from pylos.supervisor.leaving import GRACE_SECONDS, Leaving
from pylos.supervisor.process import GatewayLostError, GatewayProcess, described, gateway_command
from pylos.supervisor.questions import Questions
from pylos.supervisor.reading import Reading
from pylos.supervisor.renewal import Handover
from pylos.supervisor.reopening import Reopening
from pylos.supervisor.reports import about, report_listening, report_warnings
from pylos.supervisor.sockets import Prepared, Sockets
from pylos.supervisor.source import Checked, Source, read_aside, refused_files, unread
from pylos.supervisor.upgrade import CALM_SECONDS, check_aside
from pylos.supervisor.watch import Watcher


class Ready(TypedDict):
    """What is told when the first configuration is in use."""

    pid: int
    gateway: int
    listen: dict[str, list[str]]


class Supervisor(Questions):
    """Supervises one gateway. `run` is its whole life."""

    def __init__(  # noqa: PLR0913 - what a supervisor is made of
        self,
        source: Source,
        *,
        on_ready: Callable[[Ready], None] | None = None,
        watch: bool = True,
        command: Sequence[str] | None = None,
        succession: Succession | None = None,
        ground: Ground | None = None,
    ) -> None:
        self._source = source
        self._succession = succession
        self._leaving = Leaving()
        """Processes that were replaced and drain."""
        self.took_over = False
        """A gateway process that another program has left goes on under this one."""
        self._checking: asyncio.Task[None] | None = None
        """Checks the program for an upgrade."""
        self._upgrade_outcome: asyncio.Future[int] | None = None
        """Of the upgrade by which this program began, if it did so."""
        self._on_ready = on_ready
        self._watch = watch
        self._command = command
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._hurry = asyncio.Event()
        self.ground = ground or Ground()
        self._sockets = Sockets(self.ground.passed)
        self._applier = Applier(self._sockets)
        self._watcher = Watcher(lambda: self.put(Reload("a file has changed", noticed=True)))
        self._backoff = Backoff(self.ground.patience)
        self._process: GatewayProcess | None = None
        self._process_changed = asyncio.Condition()
        self._shutting_down = False
        self._told_to_end = False
        """By a signal: another one means at once."""
        self.history = History()
        self._reading = Reading(self.put, lambda: self._source)
        self.certificates = Certificates(self.put, lambda: self.ground.state, self._answer_challenges, watch=watch)
        self._written = Checked({})
        """What the source said when it was last read and sound."""
        self._drift: str | None = None
        """Why the configuration in use is not that of the source."""
        self._rolled_back = False
        self._since = datetime.now(UTC)
        self._deadline: float | None = None
        """Seconds for requests in flight at the end, where someone has said so."""
        self._reopening = Reopening()

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
        if self._succession is not None and self._succession.inherited is not None:
            await self._go_on(self._succession.inherited)
        else:
            self._written = await read_aside(self._source)
            self.ground.take(self._written)
            checked = await self.certificates.filled(self._written)
            await self._start_process(partial(self._applier.change, checked))
            entry, _ = self.history.entry(self._applier.generation, checked, "start")
            self.history.add(entry)
        await self._follow(self._written.files, self._written.contents)
        await self.certificates.follow(self._applier.checked)
        report_warnings(self._applier.checked.warnings)
        report_listening(self._applier.listen)
        self.ground.serves(self.number, self._applier.listen)
        if self._on_ready is not None:
            self._on_ready(self.ready)

    async def _supervise(self) -> None:
        while True:
            match await self._events.get():
                case Reload() as wanted:
                    self.ground.notifier.reloading()
                    self._reading.want(wanted)
                case Read() as read:
                    await self._reload(read)
                    self._reading.done()
                case Rollback() | Put() | Renewed() as wanted:
                    await self._use_instead(wanted)
                case Ended(process) if process is self._process:
                    await self._lose(process)
                case Upgrade() | Upgradable() as event:
                    await self._upgrade(event)
                case Replace() if self._process is None:
                    await self._replace()
                case Shutdown(reason, deadline):
                    log.info("shutdown", f"ending: {reason}", reason=reason)
                    self._deadline = deadline
                    return
                case _:
                    pass  # about a process that is not ours any more
            if self._reading.is_idle:
                self.ground.serves(self.number, self._applier.listen)

    async def _drain(self) -> None:
        self._shutting_down = True
        self.ground.notifier.stopping()
        await self._watcher.close()
        closing = asyncio.create_task(self.certificates.close())
        process = self._process
        deadline = self._applier.drain_seconds if self._deadline is None else self._deadline
        leaving = asyncio.create_task(self._leaving.wait(deadline + GRACE_SECONDS))
        if process is not None:
            with suppress(GatewayLostError):
                await process.drain(deadline)
            self._sockets.close()  # the gateway process closes its own: from now on, connections are refused
            await asyncio.wait([process.ended], timeout=deadline + GRACE_SECONDS)
        await asyncio.wait([leaving, closing])

    async def _end(self) -> None:
        """Leave nothing behind, whatever has happened."""
        await self._watcher.close()
        await self.certificates.close()
        self._sockets.close()
        if self._checking is not None:
            self._checking.cancel()
        await self._leaving.stop()
        if self._process is not None:
            code = await self._process.stop()
            if code:
                log.warning("gateway_ended", f"gateway process {self._process.pid} {described(code)}")
            log.info("ended", "ended")
        await self._applier.close()
        self.ground.close()

    # -- a new configuration ------------------------------------------------------------------------------------------

    async def _reload(self, read: Read) -> None:
        wanted = read.wanted
        try:
            checked = read.sound()
            if wanted.noticed and self._rolled_back and checked.contents == self._written.contents:
                return  # old news: what the file says was rolled back after it had been read
            taken = await self._take(checked, wanted.reason)
        except PylosError as error:
            log.error(
                "reload_refused", f"{about(error)}; the configuration in use stays\n{error}", reason=wanted.reason
            )
            if read.source == self._source:
                self._drift = "what the file says now was refused"
                await self._follow(*await refused_files(error, self._written.files))
            await self._settle(wanted.outcomes, error)
            return
        self._source, self._written, self._drift, self._rolled_back = read.source, checked, None, False
        await self._follow(checked.files, checked.contents)
        await self._settle(wanted.outcomes, taken)

    async def _use_instead(self, wanted: Rollback | Put | Renewed) -> None:
        if isinstance(wanted, Renewed):
            await self._renew_certificates(wanted)
            return
        try:
            instead = wanted.instead(self.history, self._applier.checked.digest)
            checked = await self.certificates.of_now(instead)
            taken = await self._take(checked, instead.reason, instead.restores)
        except PylosError as error:
            log.error(wanted.refused, f"{error}; the configuration in use stays", reason=wanted.reason)
            await self._settle(wanted.outcomes, error)
            return
        same = instead.checked.digest == self._written.digest
        self._rolled_back = not same
        self._drift = None if same else instead.drift
        await self._settle(wanted.outcomes, taken)

    async def _take(self, checked: Checked, reason: str, restores: int | None = None) -> Taken:
        """Put a configuration into use, unless it is; and tell. Raises what `Applier.change` raises."""
        before, checked = self._applier.listen, await self.certificates.filled(checked)
        if self._applier.keeps(checked):
            number = self._applier.generation
            log.info("unchanged", f"nothing changed: configuration {number} stays in use ({reason})", generation=number)
            await self.certificates.follow(checked)
            return Taken(number, [], checked.warnings)
        await self._applier.change(checked, self._process)
        await self.certificates.follow(checked)
        self.ground.tell_of_the_start(checked)
        self._write_estate()
        number = self._applier.generation
        entry, changes = await compare(self.history, number, checked, reason, restores)
        self.history.add(entry)
        told = f"configuration {number} is in use ({reason}): {entry.summary}"
        log.info("reloaded", told, generation=number, changed=names_of(changes or []))
        report_warnings(self._applier.checked.warnings)
        if self._applier.listen != before:
            report_listening(self._applier.listen)
        return Taken(number, changes, checked.warnings)

    async def _renew_certificates(self, renewed: Renewed) -> None:
        """Put new certificates into use: nothing else changes, whatever the source says by now."""
        try:
            if (checked := renewed.over(self._applier.checked)) is None:
                return
            checked = await self.certificates.filled(checked)
            if self._applier.keeps(checked):
                await self.certificates.follow(checked)
                return
            await self._applier.change(checked, self._process)
        except PylosError as error:
            text = f"new certificates cannot be used ({renewed.reason}); those in use stay\n{error}"
            log.error("certificates_refused", text, reason=renewed.reason)
            self.certificates.try_again(renewed)
            return
        self._write_estate()
        self.history.add(await in_thread(lambda: self.history.renewal(self.number, checked, renewed.reason)))
        text = f"configuration {self.number} is in use: new certificates ({renewed.reason})"
        log.info("certificates_renewed", text, generation=self.number)
        report_warnings(checked.warnings)
        await self.certificates.follow(checked)

    async def _settle(self, outcomes: Iterable[Outcome], result: Taken | PylosError) -> None:
        """Tell who asked; and with a configuration tried, it is time to try without a gateway process's delay."""
        if self._process is None:
            await self._replace()
        for outcome in outcomes:
            tell(outcome, result)

    async def _follow(self, files: Sequence[Path], known: bytes = b"") -> None:
        if self._watch:
            await self._watcher.follow(dict.fromkeys(files), known)

    # -- an upgrade ----------------------------------------------------------------------------------------------------

    async def _upgrade(self, event: Upgrade | Upgradable) -> None:
        """Have the program checked aside: others must not wait for that, nor a lost process. Then do it."""
        if isinstance(event, Upgrade):
            log.info("upgrade", f"upgrading: {event.reason}", reason=event.reason)
            checking = check_aside(event, self._source, self.put, becomes=self._succession is not None)
            self._checking = asyncio.create_task(checking, name="check an upgrade")
            return None
        self.ground.notifier.reloading()
        try:
            process, succession = self._process, self._succession
            if isinstance(event.found, PylosError):
                raise event.found
            if process is None or process.ended.done():
                raise GatewayError("the gateway process has just died; try again")
            if event.found is not None:
                await self._renew(event.found, event.wanted.reason)
            elif succession is not None:
                return await self._become(process, succession, event)
        except PylosError as error:
            log.error("upgrade_refused", f"{error}; what serves goes on", reason=event.wanted.reason)
            tell(event.wanted.outcome, error)
        else:
            tell(event.wanted.outcome, self.gateway_pid)

    async def _become(self, process: GatewayProcess, succession: Succession, event: Upgradable) -> None:
        """Become the program as it is on disk now, when nothing else is to be done first. Raises GatewayError."""
        async with self.certificates.paused(), process.silent():
            estate = self._estate(process, succession)
            with estate.written() as memory, inheritance.signals_held_back():
                for _ in range(2):  # what came before they were held back is put into the queue
                    await asyncio.sleep(0)
                if self._events.empty() and self._reading.is_idle and not self._shutting_down:
                    estate.become(inheritance.command(), memory)
        asyncio.get_running_loop().call_later(CALM_SECONDS, self.put, event)

    def _estate(self, process: GatewayProcess, succession: Succession) -> Inherited:
        """Collect what the program has to know that this one becomes."""
        return Inherited(
            gateway=process.pid,
            channel=process.descriptor,
            number=self.number,
            checked=inheritance.as_json(self._applier.checked),
            listen=self._applier.listen,
            sockets=inheritance.to_inherit(self._sockets.held),
            ground=self.ground.estate,
            leaving=[*self._applier.lanes, *self._leaving.pids],
            control=succession.control,
            rendezvous=succession.rendezvous.estate if succession.rendezvous is not None else None,
        )

    async def _go_on(self, inherited: Inherited) -> None:
        """Be the program that another one has become: its gateway process serves, and a new one takes over."""
        self.ground.notifier.beat()
        self._written = inheritance.from_json(inherited.checked)
        self.ground.take(self._written)
        settled = self._upgrade_outcome = asyncio.get_running_loop().create_future()
        held = inheritance.inherited_sockets(inherited)
        self._sockets.inherit(held)
        process = GatewayProcess.adopt(inherited.gateway, inherited.channel, (one.address for one in held))
        prepared = Prepared.of(self._written.table, inherited.listen, held)
        self._applier.inherit(inherited.number, self._written, prepared)
        with suppress(GatewayLostError):  # then it is replaced
            await process.open_admin_line()
            await self._acquaint(process)
        self.took_over = True
        await self._serve_with(process)
        entry, _ = self.history.entry(self.number, self._written, "start")
        self.history.add(entry)
        log.info("gateway_adopted", f"gateway process {process.pid} goes on", gateway=process.pid)
        try:
            checked = await read_aside(self._source)
            if inherited.renews:
                await self._renew(checked, "upgrade")
            else:
                await self._bring_up_to_date(checked)
        except PylosError as error:
            self._drift = "what the file says now was refused, and the configuration from before stays"
            log.error("upgrade_failed", f"{error}\nthe gateway process that served goes on", gateway=process.pid)
            self._leaving.keep(inherited.leaving)
            tell(settled, error)
        else:
            self._leaving.see_off(inherited.leaving, self._applier.drain_seconds)
            tell(settled, self.gateway_pid)

    async def _bring_up_to_date(self, checked: Checked) -> None:
        """Give what the file says now to a gateway process that was adopted, with lanes that are watched here."""
        filled = await self.certificates.filled(checked)
        await self._applier.change(filled, self._process)
        self.ground.tell_of_the_start(checked)
        self._written = checked
        entry, _ = await compare(self.history, self.number, filled, "adoption")
        self.history.add(entry)
        self._write_estate()

    async def _renew(self, checked: Checked, reason: str) -> None:
        """Have a new gateway process take over from the one that serves. Raises what `Applier.change` raises."""
        old, seconds = self._process, self._applier.drain_seconds
        assert old is not None  # noqa: S101 - who calls this has looked
        filled = await self.certificates.filled(checked)
        new = await self._new_process()
        handover = Handover(old, new)
        try:
            await self._applier.change(filled, new, handover.begin)
        except BaseException:
            await handover.undo()
            await new.kill()
            raise
        self.ground.tell_of_the_start(checked)
        self._written, self._drift = checked, None
        self._leaving.add(old, seconds)
        await self._serve_with(new)
        entry, _ = await compare(self.history, self.number, filled, reason)
        self.history.add(entry)
        await self._follow(checked.files, checked.contents)
        await self.certificates.follow(filled)
        text = f"gateway process {new.pid} serves in place of {old.pid} ({reason})"
        log.info("upgraded", text, gateway=new.pid, before=old.pid, generation=self.number)

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
        process = await self._new_process()
        try:
            await fill(process)
        except BaseException:
            await process.kill()
            raise
        await self._serve_with(process)

    async def _new_process(self) -> GatewayProcess:
        return await self._acquaint(await GatewayProcess.start(self._command or gateway_command()))

    async def _acquaint(self, process: GatewayProcess) -> GatewayProcess:
        """Tell it what it has to know before its first configuration."""
        await process.know(self.ground.keys, self._succession.rendezvous if self._succession else None)
        await process.answer_challenges(self.certificates.challenges or NOTHING)
        return process

    async def _answer_challenges(self, order: Order) -> None:
        """Tell the gateway process that serves; the next one is told before its first configuration, and once more."""
        if self._process is not None:
            await self._process.answer_challenges(order)

    def _write_estate(self) -> None:
        """Write what another supervisor has to know, should this one be killed."""
        succession, process = self._succession, self._process
        if succession is not None and succession.rendezvous is not None and process is not None:
            succession.rendezvous.write(self._estate(process, succession))

    async def _serve_with(self, process: GatewayProcess) -> None:
        """Make it the one that serves."""
        self._process = process
        process.ended.add_done_callback(lambda _: self.put(Ended(process)))
        with suppress(GatewayLostError):  # what became of them while it was made ready, it was not told
            await process.answer_challenges(self.certificates.challenges or NOTHING)
        self._write_estate()
        async with self._process_changed:
            self._process_changed.notify_all()

    # -- what others ask ----------------------------------------------------------------------------------------------

    @property
    def ready(self) -> Ready:
        """Who serves where."""
        return {"pid": os.getpid(), "gateway": self.gateway_pid, "listen": self._applier.listen}

    async def running(self) -> dict[str, Any]:
        """Tell what runs, in the words of the supervisor: pids, addresses, and the configuration in use."""
        source = self._source
        return {
            **self.ready,
            "since": self._since.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "source": str(source) if isinstance(source, Path) else None,
            "generation": self.number,
            "digest": self._applier.checked.digest,
            "drift": self._drift or await unread(self._written),
            "certificates": self.certificates.status(),
        }

    @property
    def number(self) -> int:
        """The number of the configuration in use."""
        return self._applier.generation

    @property
    def checked(self) -> Checked:
        """The configuration in use."""
        return self._applier.checked

    @property
    def table(self) -> dict[str, Any]:
        """The table in use, addresses as they really are."""
        return self._applier.table

    @property
    def gateway_pid(self) -> int:
        """The gateway process that serves; 0 between two."""
        return self._process.pid if self._process else 0

    def end_at_once(self) -> None:
        """End without waiting for requests in flight."""
        self._hurry.set()

    async def serving(self, other_than: int = 0) -> int:
        """Wait until a gateway process serves that is not `other_than`; gives its pid."""
        async with self._process_changed:
            await self._process_changed.wait_for(lambda: self.gateway_pid not in (0, other_than))
        return self.gateway_pid

    async def upgraded(self) -> int:
        """Wait until the upgrade by which this program began is settled; gives the gateway process that serves.

        Raises the error by which it has failed.
        """
        if self._upgrade_outcome is None:
            return await self.serving()
        return await asyncio.shield(self._upgrade_outcome)

    async def reopen(self, reason: str) -> None:
        """Open log files anew. Raises PylosError where one cannot be opened."""
        await self._reopening.reopen(self._process, self._leaving.gateways, reason)

    def drain(self, reason: str, deadline: float | None) -> None:
        """End as after SIGTERM, in `deadline` seconds at the latest; None = as the configuration says."""
        if not self._shutting_down:
            self._shutting_down = True
            self.put(Shutdown(reason, deadline))

    @property
    def admin_line(self) -> AdminLine | None:
        """Where the gateway process that serves passes on requests of admin listeners."""
        return self._process.admin if self._process is not None else None

    @property
    def _serving_process(self) -> GatewayProcess:
        if self._process is None:
            raise GatewayLostError("no gateway process serves at the moment")
        return self._process

    # -- inside -------------------------------------------------------------------------------------------------------

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(SIGHUP, lambda: self.put(Reload("SIGHUP")))
        loop.add_signal_handler(SIGUSR2, lambda: self.put(Upgrade("SIGUSR2")))
        gateways = self._leaving.gateways
        loop.add_signal_handler(SIGUSR1, lambda: self._reopening.aside(self._process, gateways, SIGUSR1.name))
        for signal in (SIGTERM, SIGINT):
            loop.add_signal_handler(signal, self._terminate, signal)
        inheritance.let_signals_come()

    def _terminate(self, signal: Signals) -> None:
        if self._told_to_end:
            log.info("hurry", f"a second signal ({signal.name}): ending at once")
            self.end_at_once()
        elif self._shutting_down:  # asked to drain, maybe for longer than a signal gives
            asyncio.get_running_loop().call_later(self._applier.drain_seconds, self.end_at_once)
        self._told_to_end = self._shutting_down = True
        self.put(Shutdown(signal.name))
