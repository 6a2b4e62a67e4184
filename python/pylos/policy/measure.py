"""What a policy in Python costs: one lane is asked as a worker asks it, without a gateway and without a network."""

from __future__ import annotations

import select
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pylos._core import Caller
from pylos.policy.answer import Kind
from pylos.policy.wire import end_of, receive, send, started

READY_SECONDS = 30.0
SILENT_SECONDS = 30.0
"""A policy that says nothing for so long is not measured any further."""


class MeasureError(Exception):
    """A policy cannot be measured."""


@dataclass(frozen=True)
class Question:
    """The request that it is asked about, again and again."""

    method: str = "GET"
    target: str = "/"
    fields: bytes = b"host: localhost\r\n"
    """Lines that each end with CR and LF."""
    body: bytes | None = None
    """What a policy with `body` reads."""
    answer: tuple[int, bytes] = (200, b"content-type: text/plain\r\n")
    """Status and lines of the answer, for a policy that is asked about answers."""


@dataclass(frozen=True)
class Measured:
    """What came of it."""

    calls: int
    seconds: float
    lane_us: float
    """Microseconds of CPU in the lane for each call."""
    worker_us: float
    """Likewise where it is asked from; a gateway's worker needs less, since here it is Python that asks."""
    p50_us: float
    """Half of the answers took no longer, from the question on."""
    p99_us: float
    verdicts: dict[str, int]
    """By what was said: `pass`, `allow`, `deny`, `answer`, `edit`, `failed`."""


def measure(policy: Mapping[str, Any], folder: Path, question: Question, *, seconds: float, in_flight: int) -> Measured:
    """Ask one policy (name, call, settings) for so long, with so many questions under way. Raises MeasureError."""
    with lane(policy, folder) as (asking, process):
        before, own, began = cpu_ns(process.pid), time.process_time(), time.perf_counter()
        while time.perf_counter() < began + seconds:
            asking.ask(question, in_flight)
            if not asking.hear() and not asking.wait():
                raise MeasureError(f"its process {end_of(process)}")
        took, waits, count = time.perf_counter() - began, sorted(asking.waits), len(asking.waits)
        if not count:
            raise MeasureError("it has answered nothing in that time")
        return Measured(
            calls=count,
            seconds=took,
            lane_us=(cpu_ns(process.pid) - before) / count / 1000,
            worker_us=(time.process_time() - own) / count * 1e6,
            p50_us=waits[count // 2] * 1e6,
            p99_us=waits[count * 99 // 100] * 1e6,
            verdicts=dict(asking.verdicts),
        )


class Asking:
    """Asks a lane over its rings, and notes what it says. `line` ends with the lane."""

    def __init__(self, caller: Caller, line: socket.socket) -> None:
        self.waits: list[float] = []
        """Seconds, of all answers."""
        self.verdicts: Counter[str] = Counter()
        self._caller = caller
        self._line = line
        self._asked: dict[int, float] = {}
        self._number = 0

    def ask(self, question: Question, in_flight: int) -> None:
        """Ask until so many questions are under way, or the ring is full. Raises MeasureError."""
        now = time.perf_counter()
        with suppress(BlockingIOError):
            for _ in range(in_flight - len(self._asked)):
                self._ask_once(question)
                self._asked[self._number] = now
                self._number += 1
        self._caller.flush()

    def _ask_once(self, question: Question) -> None:
        method, target = question.method, question.target
        try:
            self._caller.ask(self._number, 0, method, target, question.fields, question.body, question.answer)
        except ValueError as error:
            raise MeasureError(str(error)) from None

    def hear(self) -> bool:
        """Take the answers that are there, and say whether there were any. Raises MeasureError."""
        try:
            answers = self._caller.answers()
            now = time.perf_counter()
            for number, kind, _ in answers:
                self.waits.append(now - self._asked.pop(number))
                self.verdicts[Kind(kind).name.lower()] += 1
        except (ConnectionError, ValueError, KeyError):
            raise MeasureError("its process has written what cannot be understood") from None
        return bool(answers)

    def wait(self) -> bool:
        """Wait for an answer; False when the lane has ended. Raises MeasureError when it says nothing."""
        bell = self._caller.descriptors()[3]
        told = select.select([bell, self._line.fileno()], [], [], SILENT_SECONDS)[0]
        if not told:
            raise MeasureError(f"it has said nothing for {SILENT_SECONDS:g} s")
        return bell in told


@contextmanager
def lane(policy: Mapping[str, Any], folder: Path) -> Iterator[tuple[Asking, subprocess.Popen[bytes]]]:
    """Have a lane with one policy, for a while. Raises MeasureError."""
    (control, theirs), (line, its) = socket.socketpair(), socket.socketpair()
    with control, line, started(folder, theirs, its) as process:
        caller = Caller()
        try:
            control.settimeout(READY_SECONDS)
            send(control, {"type": "setup", "policies": [policy], "memory": None})
            told = receive(control, READY_SECONDS)
            if told is None:
                raise MeasureError(f"its process {end_of(process)}")
            if told[0]["type"] != "ready":
                raise MeasureError(told[0]["faults"][0]["message"])
            send(line, {"type": "attach"}, caller.descriptors())
        except TimeoutError:
            raise MeasureError(f"it was not there within {READY_SECONDS:g} s") from None
        except (ConnectionError, ValueError, KeyError, TypeError, IndexError):
            raise MeasureError("its process has said what cannot be understood") from None
        yield Asking(caller, line), process


def cpu_ns(pid: int) -> int:
    """Give the CPU time of all threads of a process, in nanoseconds."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text(encoding="ascii").split()[0]) for task in tasks)
