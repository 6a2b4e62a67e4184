"""What was done to the gateway and when: only that explains why a request failed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum

GRACE = 2.0
"""Seconds in which what an incident has broken may come to light after it."""
RECOVERY = 15.0
"""Seconds in which targets are found to be well again, and a lane has another process in its place."""


class Effect(Enum):
    """What an incident may break."""

    ENDS_REQUESTS = "requests in flight of the process that was killed, and its last lines of the log"
    CLOSES_KEPT = "connections that are kept between two requests"
    HURTS_TARGETS = "requests to the targets that are there to be hurt"
    MOVES_LIMITS = "requests to a route with a limit, of a gateway process that must ask the one after it"
    DRAINS = "what lasts, when the drain's time is over"
    LOSES_LANES = "requests that wait for a policy in Python"


@dataclass
class Incident:
    """One thing that was done; `end` is None while it lasts. Times are those of the monotonic clock."""

    name: str
    effects: frozenset[Effect]
    begin: float
    end: float | None = None


class Incidents:
    """All that was done, in the order of time."""

    def __init__(self) -> None:
        self.all: list[Incident] = []
        self.start = time.monotonic()

    @contextmanager
    def during(self, name: str, *effects: Effect) -> Iterator[None]:
        """Do something that may break what `effects` say, from now to the end of the block."""
        incident = Incident(name, frozenset(effects), time.monotonic())
        self.all.append(incident)
        try:
            yield
        finally:
            incident.end = time.monotonic()

    def explain(self, effect: Effect, begin: float, end: float, grace: float = GRACE) -> bool:
        """Whether something with this effect happened in a span of time, or shortly before."""
        return any(
            effect in one.effects and one.begin <= end and (one.end is None or one.end + grace >= begin)
            for one in reversed(self.all)
        )

    def over(self, effect: Effect, begin: float, end: float) -> bool:
        """Whether something with this effect was over in a span of time, but for its last second."""
        return any(
            effect in one.effects and one.end is not None and begin <= one.end and one.end - 1.0 <= end
            for one in reversed(self.all)
        )

    def elapsed(self, when: float | None = None) -> float:
        """Give a time in seconds since the start."""
        return (time.monotonic() if when is None else when) - self.start
