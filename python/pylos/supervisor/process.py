"""One gateway process: start it, talk to it, notice its end.

The process is a bare interpreter that loads nothing but the extension, by its path: no site packages, no code of users.
It is in a session of its own, so that a Ctrl-C at the terminal reaches the supervisor alone, which then drains it.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from signal import SIGKILL, Signals
from typing import TYPE_CHECKING, Any, Protocol

from pylos.errors import GatewayError, PylosError
from pylos.supervisor.admin_line import AdminLine
from pylos.supervisor.adopted import AdoptedProcess
from pylos.supervisor.channel import MOST_DESCRIPTORS, Channel, Message
from pylos.supervisor.keys import Keys

if TYPE_CHECKING:
    from pylos.supervisor.rendezvous import Rendezvous

HELLO_SECONDS = 30.0
APPLY_SECONDS = 30.0
STATUS_SECONDS = 5.0
HANDOVER_SECONDS = 10.0
REOPEN_SECONDS = 10.0
STOP_SECONDS = 5.0

LOADER = """
import sys
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader
path, control = sys.argv[1:]
loader = ExtensionFileLoader("pylos._core", path)
core = module_from_spec(spec_from_loader("pylos._core", loader))
loader.exec_module(core)
sys.exit(core.run_gateway(int(control)))
"""


class GatewayLostError(GatewayError):
    """The gateway process ended, or did not answer in time and was killed."""


def gateway_command() -> list[str]:
    """Give the command of a gateway process, to which the control descriptor's number is appended."""
    spec = find_spec("pylos._core")
    if spec is None or spec.origin is None:
        raise GatewayError("the compiled core (pylos._core) is missing: install pylos again")
    return [sys.executable, "-I", "-S", "-c", LOADER, spec.origin]


class AnyProcess(Protocol):
    """A process, whoever has started it."""

    @property
    def pid(self) -> int: ...
    def send_signal(self, signal: int) -> None: ...
    async def wait(self) -> int: ...


class GatewayProcess:
    """A running gateway process. Made by `start`; over when `ended` is done, and then of no use any more."""

    def __init__(self, process: AnyProcess, channel: Channel) -> None:
        self.pid = process.pid
        self.admin: AdminLine | None = None
        """Over this it passes on requests of admin listeners."""
        self.addresses: frozenset[str] = frozenset()
        """The real addresses of the sockets that it has."""
        self.started = time.monotonic()
        self._process = process
        self._channel = channel
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        self._asking = asyncio.Lock()
        self._explained = 0
        """Numbers explanations: one that comes late is none to the next question."""
        self._reading = asyncio.create_task(self._read(), name=f"read from gateway {self.pid}")
        self.ended: asyncio.Task[int] = asyncio.create_task(self._wait(), name=f"wait for gateway {self.pid}")
        """Its exit code; negative for a signal."""

    # -- life ---------------------------------------------------------------------------------------------------------

    @classmethod
    async def start(cls, command: Sequence[str]) -> GatewayProcess:
        """Start a process and wait for its hello."""
        ours, theirs = socket.socketpair()
        with theirs:
            fd = theirs.fileno()
            try:
                process = await asyncio.create_subprocess_exec(
                    *command, str(fd), stdin=asyncio.subprocess.DEVNULL, pass_fds=[fd], start_new_session=True
                )
            except OSError as error:
                ours.close()
                raise GatewayError(f"cannot start a gateway process: {error}") from error
        started = cls(process, Channel(ours))
        try:
            await started._must_answer(("hello",), HELLO_SECONDS)
            await started.open_admin_line()
        except BaseException:
            await started.kill()
            raise
        return started

    @classmethod
    def adopt(cls, pid: int, descriptor: int, addresses: Iterable[str]) -> GatewayProcess:
        """Go on with one that another program has started. Raises GatewayError when it has ended."""
        try:
            process = AdoptedProcess(pid)
        except ProcessLookupError:
            raise GatewayError(f"the gateway process {pid} has ended that was to go on; start again") from None
        adopted = cls(process, Channel(socket.socket(fileno=descriptor)))
        adopted.addresses = frozenset(addresses)
        return adopted

    @property
    def descriptor(self) -> int:
        """Of the stream to it."""
        return self._channel.descriptor

    @asynccontextmanager
    async def silent(self) -> AsyncIterator[None]:
        """Ask nothing while the block runs, which begins between two messages."""
        async with self._asking, self._channel.sending:
            yield

    @property
    def lived(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self.started

    async def kill(self) -> int:
        """End it by force; gives its exit code."""
        with suppress(ProcessLookupError):
            self._process.send_signal(SIGKILL)
        return await self.ended

    # -- talk ---------------------------------------------------------------------------------------------------------

    async def apply(
        self,
        generation: int,
        table: Mapping[str, Any],
        sockets: Mapping[str, socket.socket],
        lanes: Sequence[tuple[Mapping[str, Any], socket.socket]] = (),
    ) -> list[dict[str, Any]]:
        """Hand over a table, the sockets that it names and its lanes; [] when in use, the problems when refused."""
        new = [address for address in sockets if address not in self.addresses]
        message = {
            "type": "apply",
            "generation": generation,
            "table": table,
            "sockets": [{"bind": address} for address in new],
            "lanes": [order for order, _ in lanes],
        }
        descriptors = [sockets[address].fileno() for address in new] + [line.fileno() for _, line in lanes]
        if len(descriptors) > MOST_DESCRIPTORS:
            raise GatewayError(f"{len(descriptors)} new addresses and lanes at once, at most {MOST_DESCRIPTORS}")
        async with self._asking:
            await self._send(message, descriptors)
            answer = await self._must_answer(("applied", "refused"), APPLY_SECONDS, generation)
        if answer["type"] == "refused":
            problems: list[dict[str, Any]] = answer["problems"]
            return problems
        self.addresses = frozenset(sockets)
        return []

    async def add_lane(self, generation: int, order: Mapping[str, Any], line: socket.socket) -> None:
        """Hand over a lane in place of one that was lost."""
        await self._send({"type": "lane", "generation": generation, "lane": order}, [line.fileno()])

    async def forget(self, policy: str | None) -> None:
        """Make it forget what it remembers of a policy's decisions, or of all."""
        async with self._asking:
            await self._send({"type": "forget", "policy": policy})
            await self._must_answer(("forgot",), APPLY_SECONDS)

    async def open_admin_line(self) -> None:
        """Give it a line for requests of admin listeners."""
        ours, theirs = socket.socketpair()
        self.admin = AdminLine(ours)
        with theirs:
            await self._send({"type": "admin"}, [theirs.fileno()])

    async def reopen(self) -> None:
        """Let it open log files anew. Raises PylosError where one cannot be opened."""
        answer = await self._may_answer({"type": "reopen"}, "reopened", REOPEN_SECONDS)
        if answer["error"] is not None:
            raise PylosError(answer["error"])

    async def explain(self, question: Mapping[str, Any]) -> Message:
        """Ask where a request would go. Raises PylosError for one that makes no sense."""
        self._explained += 1
        message = {"type": "explain", "generation": self._explained, "question": json.dumps(question)}
        answer = await self._may_answer(message, "explained", STATUS_SECONDS, self._explained)
        if answer["error"] is not None:
            raise PylosError(answer["error"])
        explanation: Message = answer["explanation"]
        return explanation

    async def advance(self, ms: int) -> None:
        """Put its time forward."""
        await self._may_answer({"type": "advance", "ms": ms}, "advanced", STATUS_SECONDS)

    async def know(self, keys: Keys, rendezvous: Rendezvous | None) -> None:
        """Tell it by what tickets of TLS sessions are sealed, from the next configuration on.

        And where to wait for another supervisor when this one is lost, and what to keep for that.
        """
        tickets = keys.derive("tls tickets")
        await self._send({"type": "keys", "tickets": [key.hex() for key in tickets if key is not None]})
        if rendezvous is not None:
            await self._send({"type": "rendezvous"}, [rendezvous.socket, rendezvous.reading])

    async def answer_challenges(self, order: Mapping[str, Any]) -> None:
        """Tell it all that authorities are to be answered from now on, which want to see whose a domain is."""
        await self._send({"type": "challenges", **order})

    async def hand_over(self, memory: int, line: int) -> None:
        """Have it leave what it knows in some memory, for a process at the other end of the line."""
        await self._exchange({"type": "hand_over"}, "handed_over", [memory, line])

    async def ask_for_limits(self) -> None:
        """Have it ask that process about limits from now on."""
        await self._may_answer({"type": "ask"}, "asks", STATUS_SECONDS)

    async def take_back(self) -> None:
        """Have it go on by itself."""
        await self._may_answer({"type": "take_back"}, "took_back", STATUS_SECONDS)

    async def take_over(self, memory: int, line: int) -> None:
        """Have it begin with what another process has left."""
        await self._exchange({"type": "take_over"}, "took_over", [memory, line])

    async def _exchange(self, message: Mapping[str, object], answer: str, descriptors: Sequence[int]) -> None:
        told = await self._may_answer(message, answer, HANDOVER_SECONDS, descriptors=descriptors)
        if told["error"] is not None:
            raise GatewayError(told["error"])

    async def status(self) -> Message:
        """Ask how it is doing."""
        return await self._may_answer({"type": "status"}, "status", STATUS_SECONDS)

    async def drain(self, deadline: float) -> None:
        """Ask it to finish its requests and to end, in `deadline` seconds at the latest."""
        await self._send({"type": "drain", "deadline_ms": int(deadline * 1000)})

    async def stop(self) -> int:
        """End it at once; by force where it does not obey."""
        with suppress(GatewayLostError):
            await self._send({"type": "stop"})
        return await self._ending()

    # -- inside -------------------------------------------------------------------------------------------------------

    async def _send(self, message: Mapping[str, object], descriptors: Sequence[int] = ()) -> None:
        try:
            await self._channel.send(message, descriptors)
        except OSError:
            raise await self._lost() from None

    async def _may_answer(
        self,
        message: Mapping[str, object],
        kind: str,
        seconds: float,
        generation: int | None = None,
        descriptors: Sequence[int] = (),
    ) -> Message:
        """Ask what nothing depends on: a process that gives no answer is let be. Raises GatewayError."""
        async with self._asking:
            await self._send(message, descriptors)
            try:
                return await self._answer((kind,), seconds, generation)
            except TimeoutError:
                text = f"the gateway process gave no answer, `{kind}`, within {seconds:g} s"
                raise GatewayError(text) from None

    async def _must_answer(self, kinds: tuple[str, ...], seconds: float, generation: int | None = None) -> Message:
        """Wait for an answer that a sound process gives; one that does not is killed."""
        try:
            return await self._answer(kinds, seconds, generation)
        except TimeoutError:
            await self.kill()
            raise GatewayLostError(f"gave no {' or '.join(kinds)} within {seconds:g} s and was killed") from None

    async def _answer(self, kinds: tuple[str, ...], seconds: float, generation: int | None = None) -> Message:
        """Wait for an answer of one of these types; what belongs to an older question is passed over."""
        async with asyncio.timeout(seconds):
            while True:
                message = await self._next_message()
                if message["type"] in kinds and generation in (None, message.get("generation")):
                    return message

    async def _next_message(self) -> Message:
        message = await self._answers.get()
        if message["type"] == "end":
            self._answers.put_nowait(message)  # for whoever asks next
            raise await self._lost()
        return message

    async def _lost(self) -> GatewayLostError:
        return GatewayLostError(described(await self._ending()))

    async def _ending(self) -> int:
        """Wait for the exit code of a process that is about to end; one that takes too long is killed."""
        await asyncio.wait([self.ended], timeout=STOP_SECONDS)
        return await self.kill()

    async def _read(self) -> None:
        try:
            while (message := await self._channel.receive()) is not None:
                self._answers.put_nowait(message)
        except OSError:
            pass  # a broken stream says what its end says: the process is of no use any more
        finally:
            self._answers.put_nowait({"type": "end"})

    async def _wait(self) -> int:
        code = await self._process.wait()
        _, late = await asyncio.wait([self._reading], timeout=STOP_SECONDS)  # its last words may still be in the socket
        if late:
            self._reading.cancel()
        self._channel.close()
        if self.admin is not None:
            self.admin.hang_up()
        return code


def described(code: int) -> str:
    """Say how a process ended."""
    return f"was ended by {Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
