"""How long to wait before a gateway process is replaced: not at all, unless they die young one after the other."""

from __future__ import annotations

FIRST_DELAY = 0.1
LONGEST_DELAY = 5.0
GROWN_UP = 10.0
"""A process that lived this long (seconds) says nothing against the next one."""


class Backoff:
    """Delays in seconds: 0 first, then 0.1 doubling to 5; from the start again after a process that lived 10 s."""

    def __init__(self) -> None:
        self._next = 0.0

    def delay(self, lived: float) -> float:
        """Give the delay before replacing a process that lived so long."""
        if lived >= GROWN_UP:
            self._next = 0.0
        delay = self._next
        self._next = min(max(FIRST_DELAY, delay * 2), LONGEST_DELAY)
        return delay
