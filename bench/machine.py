"""The machine: what it is, whether it is quiet, and the lock that lets one benchmark run at a time."""

import fcntl
import os
import platform
import re
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import procfs
from bench.process import BenchError

LOCK = Path("/tmp/pylos-bench.lock")  # noqa: S108 - one name for all users of the machine is the point
LEAST_IDLE = 0.90
MOST_LOAD = 1.0
SAMPLE_SECONDS = 2.0
PATIENCE_SECONDS = 150.0
FOREIGN_LIMIT = 0.10
"""Share of CPU time that others may take in a run whose figures are to be kept."""


def describe() -> str:
    cpus = os.cpu_count()
    memory = procfs.parse_kib(Path("/proc/meminfo").read_text(), "MemTotal") / 2**20
    return f"{_cpu_model()}, {cpus} CPUs, {memory:.0f} GiB, Linux {platform.release()} {platform.machine()}"


def _cpu_model() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1].strip() if found else "unknown CPU"


def raise_descriptor_limit() -> None:
    """Thousands of connections on both sides; children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextmanager
def lock(path: Path = LOCK) -> Iterator[None]:
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BenchError(f"another benchmark runs on this machine (it holds {path})") from None
        yield


def why_busy() -> str | None:
    """None when the machine is quiet. A load average that only remembers past work is given time to fall."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        idle = idle_share()
        load = os.getloadavg()[0]
        if idle < LEAST_IDLE:
            return f"the CPUs were idle for {idle:.0%} of {SAMPLE_SECONDS:.0f} s (at least {LEAST_IDLE:.0%} is needed)"
        if load <= MOST_LOAD:
            return None
        if time.monotonic() > deadline:
            return f"the load average is {load:.2f} (at most {MOST_LOAD:.2f})"


def idle_share() -> float:
    before = procfs.machine_time()
    time.sleep(SAMPLE_SECONDS)
    after = procfs.machine_time()
    return 1 - (after.busy - before.busy) / max(after.total - before.total, 1)
