"""How long to wait before a gateway process is replaced: not at all, unless they die young one after the other."""

from __future__ import annotations

from pylos.errors import GatewayError

FIRST_DELAY = 0.1
LONGEST_DELAY = 5.0
GROWN_UP = 10.0
"""A process that lived this long (seconds) says nothing against the next one."""


class Backoff:
    """Delays in seconds: 0 first, then 0.1 doubling to 5; from the start again after a process that lived 10 s.

    After `most` of them one after the other, it is given up; without it, never.
    """

    def __init__(self, most: int | None = None) -> None:
        self._next = 0.0
        self._most = most
        self._tries = 0

    def delay(self, lived: float) -> float:
        """Give the delay before replacing a process that lived so long. Raises GatewayError when it is given up."""
        if lived >= GROWN_UP:
            self._next, self._tries = 0.0, 0
        if self._tries == self._most:
            raise GatewayError(f"given up: {self._tries + 1} processes one after the other ended or did not start")
        self._tries += 1
        delay = self._next
        self._next = min(max(FIRST_DELAY, delay * 2), LONGEST_DELAY)
        return delay
