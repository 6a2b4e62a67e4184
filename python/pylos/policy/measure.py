"""What a policy in Python costs: one lane is asked as a worker asks it, without a gateway and without a network."""

from __future__ import annotations

import select
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pylos._core import Caller
from pylos.policy.answer import Kind
from pylos.policy.wire import receive, send, start

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
    """By what was said: `pass`, `allow`, `deny`, `answer`, `failed`."""


def measure(policy: Mapping[str, Any], folder: Path, question: Question, *, seconds: float, in_flight: int) -> Measured:
    """Ask one policy (name, call, settings) for so long, with so many questions under way. Raises MeasureError."""
    with lane(policy, folder) as (process, caller):
        asked: dict[int, float] = {}
        waits: list[float] = []
        verdicts: Counter[str] = Counter()
        number, before = 0, cpu_ns(process.pid)
        own, began = time.process_time(), time.perf_counter()
        while (now := time.perf_counter()) < began + seconds:
            for _ in range(in_flight - len(asked)):
                caller.ask(number, 0, question.method, question.target, question.fields)
                asked[number] = now
                number += 1
            caller.flush()
            answers = caller.answers()
            if not answers and not select.select([caller.descriptors()[3]], [], [], SILENT_SECONDS)[0]:
                raise MeasureError(f"it has said nothing for {SILENT_SECONDS:g} s")
            now = time.perf_counter()
            for answered, kind, _ in answers:
                waits.append(now - asked.pop(answered))
                verdicts[Kind(kind).name.lower()] += 1
        took, count = time.perf_counter() - began, len(waits)
        if not count:
            raise MeasureError("it has answered nothing in that time")
        waits.sort()
        return Measured(
            calls=count,
            seconds=took,
            lane_us=(cpu_ns(process.pid) - before) / count / 1000,
            worker_us=(time.process_time() - own) / count * 1e6,
            p50_us=waits[count // 2] * 1e6,
            p99_us=waits[count * 99 // 100] * 1e6,
            verdicts=dict(verdicts),
        )


@contextmanager
def lane(policy: Mapping[str, Any], folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Caller]]:
    """Have a lane with one policy, for a while."""
    (control, theirs), (line, its) = socket.socketpair(), socket.socketpair()
    with control, line:
        process = start(folder, theirs, its)
        try:
            control.settimeout(READY_SECONDS)
            send(control, {"type": "setup", "policies": [policy], "memory": None})
            told = receive(control, READY_SECONDS)
            if told is None or told[0]["type"] != "ready":
                raise MeasureError("it cannot be used" if told is None else told[0]["faults"][0]["message"])
            caller = Caller()
            send(line, {"type": "attach"}, caller.descriptors())
            yield process, caller
        except TimeoutError:
            raise MeasureError(f"it was not there within {READY_SECONDS:g} s") from None
        finally:
            process.kill()
            process.wait()


def cpu_ns(pid: int) -> int:
    """Give the CPU time of all threads of a process, in nanoseconds."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text(encoding="ascii").split()[0]) for task in tasks)
