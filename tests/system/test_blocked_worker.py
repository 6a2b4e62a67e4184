"""One worker stands still, and new connections go to the others."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from system.rig import Front

from pylos.testing import RawClient
from pylos.testing.plugin import UpstreamFactory

NEWCOMERS = 30
PATIENCE = 0.5
LATE = 0.1
"""Seconds that a new connection may wait for its answer."""
PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WALL = 0x40000000
"""For waitpid: threads too (__WALL)."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="threads are stopped by Linux's means")


@contextmanager
def _standing_still(thread: int) -> Iterator[None]:
    """Stop one thread of another process for the length of a block, as a debugger does."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]

    def ptrace(request: int) -> None:
        if libc.ptrace(request, thread, None, None) < 0:
            raise OSError(ctypes.get_errno(), f"ptrace {request:#x} of thread {thread}")

    try:
        ptrace(PTRACE_SEIZE)
    except PermissionError:
        pytest.skip("this system lets nobody stop a thread")
    ptrace(PTRACE_INTERRUPT)
    os.waitpid(thread, WALL)
    try:
        yield
    finally:
        ptrace(PTRACE_DETACH)


def _worker(gateway_pid: int, name: str) -> int:
    threads = Path(f"/proc/{gateway_pid}/task").iterdir()
    return next(int(thread.name) for thread in threads if (thread / "comm").read_text().strip() == name)


def _wait(client: RawClient) -> float:
    """Give the seconds until a new connection has its answer; it is kept."""
    started = time.monotonic()
    with suppress(TimeoutError):
        assert client.get().status == 200
    return time.monotonic() - started


def test_a_worker_that_stands_still(front: Front, upstream: UpstreamFactory):
    gateway = front(upstream(), pylos="access_log = false\nworkers = 4")
    with ExitStack() as stack, _standing_still(_worker(gateway.gateway_pid, "pylos-1")):
        clients = (stack.enter_context(RawClient(gateway.address(), timeout=PATIENCE)) for _ in range(NEWCOMERS))
        waits = [_wait(client) for client in clients]
    late = [wait for wait in waits if wait > LATE]
    assert not late, f"{len(late)} of {len(waits)} waited, at most {max(late):.2f} s"
