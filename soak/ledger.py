"""What became of each request: answered, failed for a reason that is known, or a broken invariant.

A request has a token, which stands in its query, in its answer and in its one line of the access log.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from soak.incidents import GRACE, Effect, Incidents
from soak.messages import Malformed

MOST_REMEMBERED = 200_000
"""Tokens that are remembered after their line was found, to notice a second one."""
MOST_TOLD = 50
"""Broken invariants that are told one by one."""
LINE_SECONDS = 15.0
"""How long the line of an answer may take to be found, on a busy machine."""

LOST = (OSError, EOFError, TimeoutError, asyncio.IncompleteReadError)
"""How an exchange ends that the other side did not finish."""


class Wrong(Exception):  # noqa: N818 - what an answer is
    """An answer that nothing explains: another body, another request's, a status that was not to come."""


class Spared(Exception):  # noqa: N818 - what a request is
    """A kept connection was closed between two requests; the request is asked again, as clients do."""


@dataclass
class Asked:
    """One request under way."""

    kind: str
    token: str
    began: float
    effects: frozenset[Effect]
    """What may explain its failure."""


@dataclass
class Times:
    """How long answers took, in seconds; a sample of them, so that a long run needs no more memory than a short one."""

    sample: list[float] = field(default_factory=list)
    most: float = 0.0
    count: int = 0

    def add(self, seconds: float) -> None:
        """Add one."""
        self.count += 1
        self.most = max(self.most, seconds)
        if len(self.sample) < 10_000:
            self.sample.append(seconds)
        else:
            self.sample[self.count * 7919 % 10_000] = seconds

    def share(self, share: float) -> float:
        """Give the time that so many answers took at most."""
        ordered = sorted(self.sample)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


class Ledger:
    """Keeps the account of all requests."""

    def __init__(self, incidents: Incidents) -> None:
        self.answered: Counter[str] = Counter()
        self.explained: Counter[str] = Counter()
        self.spared: Counter[str] = Counter()
        self.times: dict[str, Times] = {}
        self.broken: list[str] = []
        self.broken_count = 0
        self.lines = 0
        self.lines_excused = 0
        self.admitted = 0
        """Requests that a limit has let pass."""
        self.left = 0
        """Clients that left in the middle."""
        self._incidents = incidents
        self._number = 0
        self._awaited: dict[str, tuple[float, float]] = {}
        """When they began and were answered; no line yet."""
        self._early: dict[str, None] = {}
        """With a line, and not answered yet."""
        self._done: OrderedDict[str, bool] = OrderedDict()
        """Those that are over, and whether they have had their line."""

    # -- requests -----------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def asking(self, kind: str, *effects: Effect) -> AsyncIterator[Asked]:
        """Ask in a block: that it ends well is the answer. What it raises is looked at here, and goes no further."""
        self._number += 1
        now = time.monotonic()
        asked = Asked(kind, f"{kind}.{self._number}", now, frozenset({Effect.ENDS_REQUESTS, *effects}))
        try:
            yield asked
        except Wrong as wrong:
            self._give_up(asked)
            self.breach(f"{asked.token}: {wrong}", asked.began)
        except ConnectionRefusedError:
            self._give_up(asked)
            self.breach(f"{asked.token}: the connection was refused", asked.began)
        except Spared:
            self._give_up(asked)
            self.spared[kind] += 1
        except (*LOST, Malformed, asyncio.LimitOverrunError) as error:
            self._give_up(asked)
            self._fail(asked, repr(error))
        else:
            self._answer(asked)

    def _answer(self, asked: Asked) -> None:
        now = time.monotonic()
        self.answered[asked.kind] += 1
        self.times.setdefault(asked.kind, Times()).add(now - asked.began)
        if asked.token in self._early:
            del self._early[asked.token]
            self._finish(asked.token, had_line=True)
        else:
            self._awaited[asked.token] = asked.began, now

    def _fail(self, asked: Asked, how: str) -> None:
        now = time.monotonic()
        if any(self._incidents.explain(effect, asked.began, now) for effect in asked.effects):
            self.explained[asked.kind] += 1
        else:
            self.breach(f"{asked.token} failed, and nothing explains it: {how}", asked.began)

    def explains(self, effect: Effect, began: float, grace: float) -> bool:
        """Whether what happened since then, or in `grace` seconds before, may have this effect now."""
        return self._incidents.explain(effect, began, time.monotonic(), grace)

    def had_its_drain(self, asked: Asked, seconds: float) -> bool:
        """Whether an upgrade has come since a request began, and so many seconds were over then."""
        return self._incidents.over(Effect.DRAINS, asked.began, time.monotonic() - seconds)

    def spare(self, since: float, how: BaseException) -> None:
        """Tell the end of a kept connection on which nothing had been answered; raises Spared where it had a reason."""
        now = time.monotonic()
        for effect in (Effect.CLOSES_KEPT, Effect.ENDS_REQUESTS):
            if self._incidents.explain(effect, since, now):
                raise Spared from how
        raise Wrong(f"a kept connection was closed for no reason: {how!r}") from how

    def _give_up(self, asked: Asked) -> None:
        """Await no line; one may come all the same."""
        had_line = asked.token in self._early
        self._early.pop(asked.token, None)
        self._finish(asked.token, had_line=had_line)

    # -- lines of the log ---------------------------------------------------------------------------------------------

    def line(self, token: str) -> None:
        """Take note of a line of the access log."""
        self.lines += 1
        if token in self._awaited:
            del self._awaited[token]
            self._finish(token, had_line=True)
        elif token in self._early or self._done.get(token):
            self.breach(f"{token} has two lines in the access log")
        elif token in self._done:
            self._done[token] = True
        else:
            self._early[token] = None

    def look_for_lines(self, *, last: bool = False) -> None:
        """Find answers whose line has not come, though it should have; the `last` time all of them."""
        now = time.monotonic()
        late = [token for token, (_, when) in self._awaited.items() if last or now - when > LINE_SECONDS]
        for token in late:
            began, when = self._awaited.pop(token)
            # What a slow client has read last may have been in the system's hands for long, and its process killed.
            if self._incidents.explain(Effect.ENDS_REQUESTS, began, when + GRACE):
                self.lines_excused += 1
            else:
                self.breach(f"{token} was answered and has no line in the access log", when)

    def _finish(self, token: str, *, had_line: bool) -> None:
        self._done[token] = had_line
        while len(self._done) > MOST_REMEMBERED:
            self._done.popitem(last=False)

    # -- what must not be ---------------------------------------------------------------------------------------------

    def breach(self, what: str, when: float | None = None) -> None:
        """Tell a broken invariant."""
        self.broken_count += 1
        if len(self.broken) < MOST_TOLD:
            now, began = self._incidents.elapsed(), self._incidents.elapsed(when)
            span = f"{began:.2f} s" if when is None else f"{began:.2f} to {now:.2f} s"
            self.broken.append(f"{span}: {what}")
