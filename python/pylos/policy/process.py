"""A lane's process: it is told which policies it has, and then which workers it answers.

With the supervisor:

    {"type": "setup", "policies": [{"name", "call", "settings"}], "memory"}
                                                          {"type": "ready", "policies": [{"name", ...}], "files"}, or
                                                          {"type": "failed", "faults": [...]}, and it ends
    {"type": "ping"}                                      {"type": "pong"}, unless a policy keeps it from that

With the gateway, over which it says nothing:

    {"type": "attach"} and jobs, answers, bell, back      its jobs are answered from now on

When the gateway has closed its stream, the lane finishes what it was asked and ends. One without such a stream only
tells what its policies are.
"""

from __future__ import annotations

import asyncio
import faulthandler
import hashlib
import importlib
import os
import resource
import socket
import sys
import traceback
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pylos._core import Lane
from pylos.imported import own_files
from pylos.policy.declare import Hook
from pylos.policy.lane import FINISH, Room
from pylos.policy.load import Loaded, LoadError, hooks_of, load
from pylos.policy.telling import Teller
from pylos.policy.wire import RINGS, receive, send
from pylos.rights import give_up_root

NICENESS = 5
"""Policies give way to traffic that needs none."""
SHARE_TRIES = 20
STACK = 8 << 20
"""Bytes of a thread's stack, at most, where the system names no bound."""
OUT_OF_MEMORY = 71
"""The exit code of a lane that has no memory left."""
HUNG = 72
"""The exit code of a lane whose last policies did not come to an end."""


def main(control: int, line: int | None = None) -> int:
    """Be a lane; gives the exit code. `control` is the supervisor's socket, `line` the gateway's."""
    gateway = None if line is None else socket.socket(fileno=line)
    with socket.socket(fileno=control) as supervisor:
        for one in (supervisor, *filter(None, [gateway])):
            one.set_inheritable(False)  # what a policy starts must not keep them open
        setup = receive(supervisor)
        if setup is None:
            return 0
        bound = confine(setup[0].get("memory"))
        names = [one["name"] for one in setup[0]["policies"]]
        teller = Teller(names)
        teller.take_over()
        try:
            loaded, ready = load_all(setup[0]["policies"])
            if bound is not None:
                settle(bound, loaded)
            if gateway is not None:
                return in_loop(Answering(supervisor, gateway, loaded, teller).live(ready))
        except FaultyError as error:
            send(supervisor, {"type": "failed", "faults": error.faults})
            return 1
        with suppress(BrokenPipeError):  # who has asked may be gone
            send(supervisor, ready)
        return 0


def confine(memory: int | None) -> int | None:
    """Give up rights, some of the turns at the processor, and all memory but so many bytes more than there is now.

    Gives the bound.
    """
    give_up_root([Path.cwd()])
    give_way()
    if not memory:
        return None
    bound = data_size() + memory
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (within(bound, most), most))
    return bound


def give_way() -> None:
    """Let workers go first."""
    with suppress(OSError, AttributeError):  # what is woken as a batch lets the worker go on: it asks more at once
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)


async def take_share() -> None:
    """Take the share of the processors that is meant for one who answers; see BEGIN.

    Where each session has its share, niceness counts within one alone. It can be changed ten times a second, by all
    processes together.
    """
    for _ in range(SHARE_TRIES):
        try:
            Path("/proc/self/autogroup").write_text(str(NICENESS), encoding="ascii")  # noqa: ASYNC240 - a file of the kernel
        except BlockingIOError:
            await asyncio.sleep(0.1)
        except OSError:
            return
        else:
            return


def settle(bound: int, loaded: Iterable[Loaded]) -> None:
    """Bound the memory for good: the stacks of threads, which are mostly only reserved, come on top."""
    stack = resource.getrlimit(resource.RLIMIT_STACK)[0]
    if stack == resource.RLIM_INFINITY:
        stack = STACK
    bound = within(bound + stack * sum(one.threads for one in loaded), resource.getrlimit(resource.RLIMIT_DATA)[1])
    resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))


def within(bound: int, most: int) -> int:
    """Give a bound that a process may give itself."""
    return bound if most == resource.RLIM_INFINITY else min(bound, most)


def data_size() -> int:
    """Give the bytes that count for the bound already: much of it is only reserved, by allocators."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmData:")), 0)


class FaultyError(Exception):
    """Policies that cannot be used, and why."""

    def __init__(self, faults: list[dict[str, Any]]) -> None:
        super().__init__(str(faults))
        self.faults = faults


def load_all(wanted: list[Mapping[str, Any]]) -> tuple[list[Loaded], dict[str, Any]]:
    """Load all policies, and give what there is to say about them. Raises FaultyError with all faults."""
    loaded, faults = [], []
    for one in wanted:
        try:
            loaded.append(replace(load(one["call"], one["settings"]), concurrency=one.get("concurrency")))
        except LoadError as error:
            faults += [{"name": one["name"], **asdict(fault)} for fault in error.faults]
    if faults:
        raise FaultyError(faults)
    told = [{"name": one["name"], **traits(each)} for one, each in zip(wanted, loaded, strict=True)]
    files = sorted(map(str, own_files({one["call"].partition(":")[0].partition(".")[0] for one in wanted})))
    return loaded, {"type": "ready", "policies": told, "files": files, "code": digest_of(files)}


def traits(loaded: Loaded) -> dict[str, object]:
    """Say of a policy what the gateway has to know."""
    policy = loaded.policy
    return {
        "phase": policy.phase,
        "body": policy.body,
        "is_async": policy.is_async,
        "blocking": policy.blocking,
        "lane": policy.lane,
    }


def digest_of(files: Iterable[str]) -> str:
    """Give a digest of what files hold, wherever the folder is in which they lie."""
    digest, folder = hashlib.sha256(), Path.cwd()
    for file in map(Path, files):
        name = file.relative_to(folder) if file.is_relative_to(folder) else Path(file.name)
        with suppress(OSError):
            digest.update(str(name).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def in_loop(lane: Coroutine[Any, Any, int]) -> int:
    """Run it in a loop of uvloop where that is installed, which costs half of what asyncio's does."""
    try:
        runner = importlib.import_module("uvloop").run
    except ImportError:
        runner = asyncio.run
    return int(runner(lane))


class Answering:
    """A lane that has its policies, and answers workers until the gateway's stream ends."""

    def __init__(
        self, supervisor: socket.socket, gateway: socket.socket, loaded: Sequence[Loaded], teller: Teller
    ) -> None:
        self._supervisor = supervisor
        self._gateway = gateway
        self._loaded = loaded
        self._teller = teller

    async def live(self, ready: Mapping[str, Any]) -> int:
        """Answer to the end; gives the exit code. Raises FaultyError when a hook fails at the start."""
        state = SimpleNamespace()
        start, stop = hooks_of(self._loaded)
        for hook in start:
            await started(hook, state)
        room = Room(self._loaded, self._failed, state)
        closed = asyncio.Event()
        self._follow(self._gateway, lambda told, given: attach(room, told, given), closed.set)
        self._follow(self._supervisor, self._pong, lambda: None)
        await take_share()
        send(self._supervisor, ready)
        watchdog = asyncio.create_task(stay_alive())
        await closed.wait()
        ended = await room.finish()
        watchdog.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(FINISH):
                for hook in stop:
                    await hook(state)
        if not ended:
            os._exit(HUNG)  # a thread that hangs would hold up a usual exit
        return 0

    def _failed(self, call: Any, failure: BaseException) -> None:  # noqa: ANN401 - a Call
        self._teller.failed(call, failure)
        if isinstance(failure, MemoryError):
            self._teller.tell("error", "lane_out_of_memory", "the lane ends, and another one takes its place", call)
            os._exit(OUT_OF_MEMORY)

    def _pong(self, told: Mapping[str, Any], _: list[int]) -> None:
        if told["type"] == "ping":
            send(self._supervisor, {"type": "pong"})

    def _follow(
        self, stream: socket.socket, heard: Callable[[dict[str, Any], list[int]], None], ended: Callable[[], None]
    ) -> None:
        """Hear each message of a stream, until it ends or says what cannot be."""
        loop = asyncio.get_running_loop()

        def readable() -> None:
            try:
                told = receive(stream, 1)  # a message that has begun is there at once
                if told is not None:
                    heard(*told)
                    return
            except ConnectionError:
                pass  # the other side has ended, and had not read all that it was told
            except (OSError, ValueError, KeyError) as error:
                self._teller.tell("error", "lane_not_understood", repr(error), None)
            loop.remove_reader(stream)
            ended()

        loop.add_reader(stream, readable)


async def stay_alive() -> None:
    """Say again and again that the loop runs. Where a policy keeps it from that for too long, the process ends.

    A supervisor sees to that sooner; but one that was killed does not.
    """
    while True:
        faulthandler.dump_traceback_later(ORPHANED, exit=True)
        await asyncio.sleep(ORPHANED / 4)


ORPHANED = 20.0
"""Seconds without a turn of the loop."""


async def started(hook: Hook, state: SimpleNamespace) -> None:
    """Run a hook. Raises FaultyError where that fails, which is the fault of all policies of its module."""
    try:
        await hook(state)
    except BaseException as error:  # noqa: BLE001 - also sys.exit
        told = "".join(traceback.format_exception(error)).rstrip()
        message = f"the hook {hook.name} failed\n{told}"
        raise FaultyError([{"name": None, "path": ["call"], "message": message, "hint": None}]) from None


def attach(room: Room, told: Mapping[str, Any], descriptors: list[int]) -> None:
    """Take a worker in. Raises ValueError for what is no worker."""
    if told["type"] != "attach" or len(descriptors) != RINGS:
        for one in descriptors:
            os.close(one)
        raise ValueError(f"{told['type']} with {len(descriptors)} descriptors")
    for one in descriptors:
        os.set_inheritable(one, False)  # noqa: FBT003 - it takes no keyword
    jobs, answers, bell, back = descriptors
    room.attach(Lane(jobs, answers, bell, back), bell)


if __name__ == "__main__":
    # The directory of the configuration comes first, as for a script.
    sys.path.insert(0, str(Path.cwd()))
    sys.exit(main(*map(int, sys.argv[1:])))
