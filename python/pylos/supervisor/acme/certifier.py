"""Keeps a list of certificates up to date, and says how they are."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pylos.supervisor import log
from pylos.supervisor.acme import leftovers
from pylos.supervisor.acme.answers import Answers, StoredAnswers
from pylos.supervisor.acme.background import Background
from pylos.supervisor.acme.certificate import Certificate
from pylos.supervisor.acme.dns_01 import DnsSolver
from pylos.supervisor.acme.errors import SettingsError
from pylos.supervisor.acme.http_01 import HttpSolver
from pylos.supervisor.acme.issue import Issuer
from pylos.supervisor.acme.keeper import Keeper, Means, OnNew, Pace, Teller
from pylos.supervisor.acme.local import LocalAuthority
from pylos.supervisor.acme.selfsigned import selfsigned
from pylos.supervisor.acme.settings import ChallengeType, Wanted
from pylos.supervisor.acme.solver import Solver
from pylos.supervisor.acme.storage import Broken, Storage
from pylos.supervisor.acme.threads import Threads
from pylos.supervisor.acme.tls_alpn_01 import TlsAlpnSolver, Turns

AT_ONCE = 4
"""So many certificates are asked for at a time."""
END = 5.0
"""Seconds that an end waits for answers to be taken away, and for a storage."""
LOAD = 5.0
"""Seconds that a start waits for a storage."""


@dataclass(frozen=True, slots=True)
class Status:
    """How a certificate is. Times are in seconds since 1970."""

    name: str
    domains: tuple[str, ...]
    state: str
    """"valid", "renewing" (valid, and on its way to be followed), "asking" or "missing" (there is none), "expired"."""
    begins: float | None
    ends: float | None
    source: str | None
    issuer: str | None
    failures: int
    error: str | None
    """The last one, until something succeeds."""
    error_at: float | None
    next_step: float
    """When it is renewed or tried again."""

    def as_json(self) -> dict[str, Any]:
        """Give it with times as texts (RFC 3339)."""
        times = {key: _text(getattr(self, key)) for key in ("begins", "ends", "error_at", "next_step")}
        plain = {key: getattr(self, key) for key in ("name", "state", "source", "issuer", "failures", "error")}
        return {**plain, "domains": list(self.domains), **times}


class Certifier:
    """Keeps certificates. `run` does the work; all other methods are called from the same event loop."""

    def __init__(  # noqa: PLR0913, the last ones are for tests
        self,
        storage: Storage,
        wanted: Iterable[Wanted],
        on_new: OnNew,
        *,
        pace: Pace | None = None,
        teller: Teller = log,
        now: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._storage = storage
        self._threads = Threads()
        self._on_new = on_new
        self._pace = pace or Pace()
        self._teller = teller
        self._now = now
        self._chance = chance
        self._local = LocalAuthority(storage, self._threads, now)
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._answers = StoredAnswers(storage, now)
        self._wanted = _by_name(wanted)
        self._background, self._turns = Background(), Turns()
        self._keepers: dict[str, Keeper] = {}
        self._tasks: dict[Keeper, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._stand_ins: dict[str, Certificate] = {}
        for one in self._wanted.values():
            self._keepers[one.name] = self._keeper(one)

    async def load(self, patience: float = LOAD) -> None:
        """Read what is stored before `run` does, or what `update` has added; `on_new` is not told, `current` gives it.

        What cannot be read, or not in so many seconds, is left to `run`, which tells it.
        """
        reading = [asyncio.create_task(keeper.load()) for keeper in self._keepers.values() if keeper.current is None]
        if reading:
            _, late = await asyncio.wait(reading, timeout=patience)
            for task in late:
                task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)

    async def run(self) -> None:
        """Keep what is wanted, until cancelled; the end takes some seconds at most."""
        cleaning = asyncio.create_task(self._clean())
        try:
            while True:
                self._changed.clear()
                await self._adjust()
                changed = asyncio.create_task(self._changed.wait())
                try:
                    await asyncio.wait({changed, *self._tasks.values()}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    changed.cancel()
        finally:
            cleaning.cancel()
            await asyncio.gather(cleaning, return_exceptions=True)
            await self._end(list(self._tasks))
            await self._background.end(END)

    def update(self, wanted: Iterable[Wanted]) -> None:
        """Keep these from now on. What is still wanted is not disturbed. Raises SettingsError, and nothing changes."""
        self._wanted = _by_name(wanted)
        for name, one in self._wanted.items():
            if name in self._keepers:
                self._keepers[name].update(one, self._means(one))
            else:
                self._keepers[name] = self._keeper(one)
        for name in [name for name in self._keepers if name not in self._wanted]:
            del self._keepers[name]
        self._changed.set()

    def current(self, name: str) -> Certificate | None:
        """Give the certificate of a name; one that has run out too, since nothing better is there."""
        keeper = self._keepers.get(name)
        return None if keeper is None else keeper.current

    def stand_in(self, name: str) -> Certificate:
        """Give what is to be shown until there is a certificate: signed by itself, and told. Raises KeyError."""
        wanted = self._wanted[name]
        made = self._stand_ins.get(name)
        if made is None or made.ends <= self._now() or not made.covers(wanted.domains):
            made = self._stand_ins[name] = selfsigned(wanted.domains, name, self._now)
            text = (
                f"certificate {name} is not there yet: one that is signed by itself stands in, which no client trusts"
            )
            self._teller.warning("certificate_stand_in", text, certificate=name)
        return made

    def hurry(self, name: str) -> None:
        """Renew now. Raises KeyError."""
        self._keepers[name].hurry()

    def answers(self) -> Answers:
        """Give what validators are answered, whichever machine they ask: all that is in the storage.

        Blocks, so it is called in a thread, by one at a time, every `answers.LOOK` seconds. Raises StorageError; then
        what was there before holds.
        """
        return self._answers.look()

    async def local_root(self) -> str:
        """Give the root of the authority for development (PEM); it is made when there is none. Raises StorageError."""
        return (await self._local.root()).chain

    def status(self) -> list[Status]:
        """Say how all are, in the order in which they are wanted."""
        return [self._status(self._keepers[name]) for name in self._wanted]

    def _status(self, keeper: Keeper) -> Status:
        current, state = keeper.current, keeper.state
        if current is None:
            word = "asking" if keeper.busy else "missing"
        elif current.ends <= self._now():
            word = "expired"
        else:
            word = "renewing" if keeper.busy else "valid"
        return Status(
            name=keeper.wanted.name,
            domains=keeper.wanted.domains,
            state=word,
            begins=None if current is None else current.begins,
            ends=None if current is None else current.ends,
            source=None if current is None else current.source,
            issuer=None if current is None else current.issuer,
            failures=state.failures,
            error=keeper.storage_error or keeper.use_error or keeper.contention or state.error,
            error_at=state.error_at,
            next_step=keeper.next_step,
        )

    def _keeper(self, wanted: Wanted) -> Keeper:
        return Keeper(wanted, self._means(wanted))

    def _means(self, wanted: Wanted) -> Means:
        solvers: dict[ChallengeType, Solver] = {
            "http-01": HttpSolver(self._storage, self._threads),
            "tls-alpn-01": TlsAlpnSolver(self._storage, self._threads),
        }
        if wanted.dns is not None:
            solvers["dns-01"] = DnsSolver(wanted.dns, self._storage, self._threads)
        issuer = Issuer(
            self._storage,
            self._threads,
            solvers,
            self._tell,
            seen=self._pace.seen,
            background=self._background,
            turns=self._turns,
        )
        return Means(
            issuer, self._local, self._on_new, self._teller, self._pace, self._at_once, self._now, self._chance
        )

    def _tell(self, text: str) -> None:
        self._teller.warning("certificate_challenge", text)

    async def _adjust(self) -> None:
        """Let the tasks be those of the keepers; one that ended, against all rules, begins anew."""
        ended = [keeper for keeper, task in self._tasks.items() if task.done()]
        for keeper in ended:
            name, error = keeper.wanted.name, self._tasks[keeper].exception()
            self._teller.error("certificate_keeper", f"certificate {name}: {error!r}; it goes on", certificate=name)
        # Not by name: one that is wanted no more may be wanted anew before this is its turn.
        wanted = {*self._keepers.values()}
        await self._end([keeper for keeper, task in self._tasks.items() if keeper not in wanted or task.done()])
        if ended:
            await asyncio.sleep(self._pace.lock_poll)
        for keeper in self._keepers.values():
            if keeper not in self._tasks:
                self._tasks[keeper] = asyncio.create_task(keeper.run(), name=f"certificate {keeper.wanted.name}")

    async def _end(self, keepers: Iterable[Keeper]) -> None:
        tasks = [self._tasks.pop(keeper) for keeper in keepers]
        for task in tasks:
            task.cancel()
        if tasks:  # what hangs, a storage perhaps, is not waited for
            await asyncio.wait(tasks, timeout=END)

    async def _clean(self) -> None:
        """Take away, day by day, what attempts that died have left."""
        while True:
            dns = {
                domain.removeprefix("*."): one.dns
                for one in self._wanted.values()
                if one.dns is not None
                for domain in one.domains
            }
            for error in await leftovers.clean(self._storage, self._threads, dns, self._now()):
                text = f"what former attempts have left is not taken away: {error}"
                self._teller.warning("certificate_leftovers", text)
            await asyncio.sleep(leftovers.EVERY)


def told_broken(teller: Teller = log) -> Callable[[Broken], None]:
    """Give an `on_broken` for a storage that tells it."""
    return lambda broken: teller.error("certificate_broken", str(broken), file=str(broken.file))


def _by_name(wanted: Iterable[Wanted]) -> Mapping[str, Wanted]:
    named: dict[str, Wanted] = {}
    for one in wanted:
        if one.name in named:
            raise SettingsError(f"two certificates have the name {one.name!r}")
        named[one.name] = one
    return named


def _text(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
