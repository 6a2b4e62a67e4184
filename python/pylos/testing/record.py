"""What a scripted upstream saw, and the waiting for it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pylos.testing.message import Request

WAIT_SECONDS = 10.0


class Record:
    """The requests of one upstream. Its connections' threads write, the test's thread reads and waits."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.stopping = False
        self._changed = threading.Condition()

    def add(self, request: Request) -> None:
        """Note a request of which the head has come."""
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()

    def changed(self) -> None:
        """Something that a test may wait for has happened."""
        with self._changed:
            self._changed.notify_all()

    def wait(self, done: Callable[[], bool], timeout: float, state: Callable[[], str]) -> None:
        """Wait until `done`; the error says the state that was reached."""
        with self._changed:
            if not self._changed.wait_for(done, timeout):
                raise TimeoutError(f"after {timeout} s: {state()}")
