"""One lane: a process that runs policies in Python. Started and watched here; it answers the gateway, not us."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from typing import Any

from pylos.config.policies import python_of, wanted
from pylos.errors import ConfigError, GatewayError, Place, Problem
from pylos.policy.wire import COMMAND
from pylos.supervisor import log
from pylos.supervisor.channel import Channel, Message
from pylos.supervisor.process import described

READY_SECONDS = 30.0
"""How long its policies and their hooks may take to be there."""
PING_SECONDS = 1.0
STUCK_SECONDS = 5.0
"""Without an answer for so long, it is stuck, and is killed."""
GRACE_SECONDS = 15.0
"""How long one that was let go may take to end."""


@dataclass(frozen=True)
class Kind:
    """What lanes of one group have in common."""

    group: str
    """Its name; empty for the common one."""
    policies: tuple[Mapping[str, Any], ...]
    """Name, call and settings of each, in the order of their numbers."""
    folder: Path
    memory: int

    @property
    def order(self) -> dict[str, Any]:
        """The lane as the gateway is told of it."""
        return {"lane": self.group, "policies": [one["name"] for one in self.policies]}


class LaneError(GatewayError):
    """A lane did not come up."""


class LaneProcess:
    """A running lane. Made by `start`; over when `ended` is done."""

    def __init__(self, kind: Kind, process: asyncio.subprocess.Process, channel: Channel, line: socket.socket) -> None:
        self.kind = kind
        self.pid = process.pid
        self.line = line
        """The gateway's end of its stream; to be closed here once the gateway has it."""
        self.started = time.monotonic()
        self._process = process
        self._channel = channel
        self._watching: asyncio.Task[None] | None = None
        self.ended: asyncio.Task[int] = asyncio.create_task(self._wait(), name=f"wait for lane {self.pid}")
        """Its exit code; negative for a signal."""

    @classmethod
    async def start(cls, kind: Kind) -> LaneProcess:
        """Start one, and wait until it has its policies. Raises ConfigError where it cannot have them, or LaneError."""
        (ours, theirs), (line, lanes) = socket.socketpair(), socket.socketpair()
        with theirs, lanes:
            fds = [theirs.fileno(), lanes.fileno()]
            try:
                process = await asyncio.create_subprocess_exec(
                    *COMMAND,
                    *map(str, fds),
                    cwd=kind.folder,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=2,
                    pass_fds=fds,
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                line.close()
                raise LaneError(f"cannot start a lane: {error}") from error
        lane = cls(kind, process, Channel(ours), line)
        try:
            await lane._set_up()
        except BaseException:
            await lane.kill()
            raise
        lane._watching = asyncio.create_task(lane._watch(), name=f"watch lane {lane.pid}")
        return lane

    @property
    def lived(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self.started

    async def kill(self) -> int:
        """End it by force; gives its exit code."""
        self.line.close()
        with suppress(ProcessLookupError):
            self._process.send_signal(SIGKILL)
        return await self.ended

    async def let_go(self, seconds: float) -> None:
        """Wait for the end of one that the gateway has let go of, so long at most."""
        self.line.close()
        await asyncio.wait([self.ended], timeout=seconds + GRACE_SECONDS)
        await self.kill()

    def describe_end(self) -> str:
        """Say how it ended."""
        return described(self.ended.result())

    async def _set_up(self) -> None:
        setup = {"type": "setup", "policies": list(self.kind.policies), "memory": self.kind.memory}
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._channel.send(setup)
                answer = await self._channel.receive()
        except TimeoutError:
            raise LaneError(f"a lane did not have its policies within {READY_SECONDS:g} s") from None
        except OSError:
            answer = None
        if answer is None:
            await asyncio.wait([self.ended], timeout=1)
            how = self.describe_end() if self.ended.done() else "hung up"
            raise LaneError(f"a lane {how} before it had its policies")
        try:
            problems = [self._problem(fault) for fault in answer["faults"]] if answer["type"] == "failed" else []
        except (KeyError, TypeError, ValueError, AttributeError):  # code of users shares the process that says it
            raise LaneError("a lane said what cannot be understood") from None
        if problems:
            raise ConfigError(problems)
        if answer["type"] != "ready":
            raise LaneError("a lane said what cannot be understood")

    def _problem(self, fault: Mapping[str, Any]) -> Problem:
        """Make a problem of what the check before has not found: a hook that failed, or what has changed since."""
        message, _, more = fault["message"].partition("\n")
        name = fault["name"] or self.kind.policies[0]["name"]
        hint = "\n".join(filter(None, [fault["hint"], more])) or None
        return Problem("P121", "error", ("policy", name, *fault["path"]), message, hint, Place("the configuration"))

    async def _watch(self) -> None:
        """Ask it now and then whether it is there; kill it when it does not say so for too long."""
        while await self._answers():  # noqa: ASYNC110 - it is asked now and then
            await asyncio.sleep(PING_SECONDS)
        text = f"lane {self.pid} has answered nothing for {STUCK_SECONDS:g} s, or what cannot be, and is killed"
        log.error("lane_stuck", text, lane=self.kind.group, pid=self.pid)
        with suppress(ProcessLookupError):
            self._process.send_signal(SIGKILL)

    async def _answers(self) -> bool:
        """Whether it answers a ping. One that has ended is waited for here, and not found stuck."""
        answer: Message | None = None
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(STUCK_SECONDS):
                await self._channel.send({"type": "ping"})
                answer = await self._channel.receive()
        if answer is None:
            await asyncio.wait([self.ended], timeout=1)
        return answer is not None

    async def _wait(self) -> int:
        code = await self._process.wait()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, SIGKILL)  # what its policies have started; the session is its own
        if self._watching is not None:
            self._watching.cancel()
        self._channel.close()
        return code


def kinds_of(table: Mapping[str, Any], folder: Path) -> list[tuple[Kind, int]]:
    """Give the kinds of lanes that a table needs, and how many there are to be of each."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for name, kind in python_of(table["policy"]).items():  # sorted by name, as the gateway counts them
        groups.setdefault(kind["lane"], []).append(wanted(name, kind))
    memory, count = table["pylos"]["lane_memory"], table["pylos"]["lanes"]
    return [
        (Kind(group, tuple(policies), folder, memory), 1 if group else count)
        for group, policies in sorted(groups.items())
    ]
