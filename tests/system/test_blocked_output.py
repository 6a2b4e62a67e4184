"""Nobody reads what a gateway has to say: requests go on all the same."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from contextlib import ExitStack, suppress

import pytest
from system.rig import configuration

from pylos import Gateway
from pylos.testing import RawClient
from pylos.testing.plugin import UpstreamFactory

PIPE_BYTES = 4096
NEWCOMERS = 20
LATE = 0.1
"""Seconds that a new connection may wait for its answer."""
PATIENCE = 0.5


class FullPipe:
    """A pipe that is given away as standard error, and takes nothing any more once it is filled."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def fill(self) -> None:
        """Fill it up."""
        os.set_blocking(self.writing, False)
        with suppress(BlockingIOError):
            while True:
                os.write(self.writing, b"\n")
        os.set_blocking(self.writing, True)

    def empty(self) -> None:
        """Read it from now on."""
        threading.Thread(target=self._drain, daemon=True).start()

    def _drain(self) -> None:
        while os.read(self.reading, 65536):
            pass


@pytest.fixture
def pipe() -> FullPipe:
    return FullPipe()


def test_blocked_standard_error_holds_up_nobody(pipe: FullPipe, upstream: UpstreamFactory):
    """That a target fails is told by the worker that noticed, into a pipe that is full."""
    more = '[upstream.dead]\ntargets = ["http://127.0.0.1:1"]\n[route.dead]\nmatch = "/dead"\nto = "dead"\n'
    text = configuration(upstream(), pylos="access_log = false\nworkers = 2", more=more)
    gateway = Gateway.from_toml(text, stderr=pipe.writing).start()
    with ExitStack() as stack:
        stack.callback(gateway.stop, drain=False)
        stack.callback(pipe.empty)
        pipe.fill()
        first = stack.enter_context(RawClient(gateway.address(), timeout=LATE))
        with suppress(TimeoutError):
            for _ in range(6):
                assert first.get("/dead").status in (502, 503)
        waits = [_wait(stack.enter_context(RawClient(gateway.address(), timeout=PATIENCE))) for _ in range(NEWCOMERS)]
    assert max(waits) < LATE, f"{sum(wait > LATE for wait in waits)} of {NEWCOMERS} waited"


def _wait(client: RawClient) -> float:
    """Give the seconds until a new connection has its answer; it is kept."""
    started = time.monotonic()
    with suppress(TimeoutError):
        assert client.get().status == 200
    return time.monotonic() - started
