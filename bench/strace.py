"""System calls of a proxy's processes, counted by strace in a run of its own (it slows the proxy down)."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.process import STOP_DEADLINE, BenchError, pinned


@contextmanager
def attached(pids: list[int], report: Path, cpus: tuple[int, ...]) -> Iterator[None]:
    """Count while the block runs; the table of `strace -c` is then in `report`."""
    targets = [word for pid in pids for word in ("-p", str(pid))]
    tracer = subprocess.Popen(
        [*pinned(cpus), "strace", "-c", "-f", "-o", str(report), *targets],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _wait_until_attached(tracer, len(pids))
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=STOP_DEADLINE)


def _wait_until_attached(tracer: subprocess.Popen[str], count: int) -> None:
    for line in tracer.stderr or ():
        count -= " attached" in line
        if count == 0:
            return
    raise BenchError("strace could not attach to the proxy (is ptrace allowed here?)")


def parse(report: str) -> dict[str, int]:
    """Give calls by name; columns are % time, seconds, usecs/call, calls, [errors,] name."""
    calls: dict[str, int] = {}
    for line in report.splitlines():
        words = line.split()
        if len(words) in {5, 6} and words[0].replace(".", "").isdigit() and words[-1] != "total":
            calls[words[-1]] = int(words[3])
    return calls
