"""Keeps one certificate: looks, waits, renews. Of all machines with the storage, one at a time acts."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from pylos.supervisor.acme import plan, schedule
from pylos.supervisor.acme.answers import SEEN
from pylos.supervisor.acme.attempt import Attempt, Local
from pylos.supervisor.acme.certificate import Certificate
from pylos.supervisor.acme.client import Client
from pylos.supervisor.acme.errors import AuthorityError, StorageError, shown
from pylos.supervisor.acme.issue import Issuer
from pylos.supervisor.acme.locks import Held
from pylos.supervisor.acme.plan import Own, Situation, about, fits, issued
from pylos.supervisor.acme.records import StateRecord
from pylos.supervisor.acme.schedule import RetryDelays
from pylos.supervisor.acme.settings import Wanted

OnNew = Callable[[Certificate], Awaitable[None]]
ATTEMPT = 600.0
"""Seconds after which an attempt that was begun is nothing to wait for any more."""


class Teller(Protocol):
    """Where it is told what happens; the module `pylos.supervisor.log` is one."""

    def info(self, event: str, text: str, **fields: object) -> None:
        """Tell something that went as it should."""

    def warning(self, event: str, text: str, **fields: object) -> None:
        """Tell something odd."""

    def error(self, event: str, text: str, **fields: object) -> None:
        """Tell something that went wrong."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often something is done, in seconds."""

    backoff: RetryDelays = field(default_factory=RetryDelays)
    look: float = 600.0
    """The storage is looked at for what other machines have stored."""
    lock_poll: float = 3.0
    """The same while another machine is at work."""
    storage_retry: float = 30.0
    """A storage that fails is tried again."""
    seen: float = SEEN
    """So long after it was stored an answer is given by all machines, and the authority is told."""


@dataclass(frozen=True, slots=True)
class Means:
    """What keepers share."""

    issuer: Issuer
    local: Local
    on_new: OnNew
    teller: Teller
    pace: Pace
    at_once: asyncio.Semaphore
    """How many certificates may be asked for at a time."""
    now: Callable[[], float] = time.time
    chance: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True)
class _Hurried:
    """Somebody has asked for a new certificate in place of this one."""

    fingerprint: str | None


class Keeper:
    """Keeps the certificate of one name."""

    def __init__(self, wanted: Wanted, means: Means) -> None:
        self.wanted = wanted
        self.current: Certificate | None = None
        self.state = StateRecord(name=wanted.name)
        self.busy = False
        """Whether this machine is asking an authority right now."""
        self.storage_error: str | None = None
        self.use_error: str | None = None
        """Why what is in `current` was not taken into use; that is tried again."""
        self.contention: str | None = None
        """Who keeps us from having what is wanted."""
        self._means = means
        self._storage = means.issuer.storage
        self._threads = means.issuer.threads
        self._wake = asyncio.Event()
        self._hurried: _Hurried | None = None
        self._quiet_told = False
        self._unstored: Certificate | None = None
        self._unused = False
        self._told_of: str | None = None
        self._is_gone = False
        """What is in use, and right, is not stored any more: it is stored again."""
        self._own = Own()
        self._forgives = 0.0

    def update(self, wanted: Wanted, means: Means) -> None:
        """Keep something else under the same name; what there is stays in use until then."""
        if wanted != self.wanted:
            self.wanted, self._means = wanted, means
            # It may be what was wrong that has changed: a secret, say.
            self._own, self._forgives = Own(), means.now()
            self._wake.set()

    def hurry(self) -> None:
        """Renew now, whatever was planned; or as soon as an authority may be asked, and that is told."""
        self._hurried = _Hurried(self._fingerprint)
        if (wait := self._situation.held_off - self._means.now()) > 0:
            self._tell("certificate_held_off", f"all its authorities want to be left alone; renewed in {wait:.0f} s")
        self._wake.set()

    async def load(self) -> None:
        """Read what is stored, and take it as what is in use. Raises StorageError."""
        self.state = await self._stored_state()
        self.current = await self._threads.run(self._storage.certificate, self.wanted.name)

    async def run(self) -> None:
        """Keep it until cancelled."""
        while True:
            try:
                wait = await self._turn()
                self.storage_error = None
            except StorageError as error:
                if self.storage_error != str(error):
                    self._means.teller.error("certificate_storage", f"certificate {self.wanted.name}: {error}")
                self.storage_error, wait = str(error), self._means.pace.storage_retry
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait)
            self._wake.clear()

    @property
    def next_step(self) -> float:
        """When the certificate is renewed or tried again, in seconds since 1970; what has passed means now."""
        return self._renewal

    async def _turn(self) -> float:
        """Do what is to be done now; gives the seconds until there may be more."""
        await self._offer()
        wait = await self._kept()
        return min(wait, self._means.pace.storage_retry) if self._unused else wait

    async def _kept(self) -> float:
        """Look, and work where something is due; gives the seconds until there may be more."""
        await self._look()
        if (wait := self._wait()) > 0:
            return min(wait, self._means.pace.lock_poll if self._is_awaited else self._means.pace.look)
        async with self._means.at_once:  # before the lock: who waits here keeps no other machine from it
            held = await self._threads.run(self._storage.locks.take, self._lock)
            if held is None:
                return self._means.pace.lock_poll
            try:
                await self._while_held(held)
            finally:
                await asyncio.shield(self._threads.run(held.release))
        return min(max(self._wait(), 0.0), self._means.pace.look)

    async def _look(self) -> None:
        """Take over what is stored: by this process before, by the one before it, or by another machine."""
        if self._unstored is not None:
            return  # what is stored is older
        found = await self._threads.run(self._storage.certificate, self.wanted.name)
        self.state = await self._stored_state()
        self._is_gone = found is None and self._situation.is_right
        if found is not None and self._situation.takes(found):
            await self._use(found)
        self._tell_contention(found)

    def _tell_contention(self, found: Certificate | None) -> None:
        """Tell, once for each, of certificates for something else that keep coming."""
        self.contention = None
        situation = self._situation
        if found is None or fits(self.wanted, found) or situation.contended == 0.0:
            return
        if not situation.is_right and situation.contended <= self._means.now():
            return  # it was wanted before, and is followed now
        told = (
            f"what is stored is for {', '.join(sorted(found.domains))} from {found.source}: another machine with this "
            "storage wants that under the same name, or this one did a short time ago"
        )
        self.contention = f"certificate {self.wanted.name}: {told}" if not situation.is_right else None
        if self._told_of != found.fingerprint:
            self._told_of = found.fingerprint
            hint = "give certificates of different domains or authorities different names"
            self._tell("certificate_contended", f"{told}\n      = {hint}")

    async def _stored_state(self) -> StateRecord:
        """Read what all machines know, without times that cannot be."""
        state = await self._threads.run(self._storage.state, self.wanted.name)
        return plan.believed(state, self._means.now(), self._means.pace.backoff)

    async def _use(self, certificate: Certificate) -> None:
        self.current = certificate
        if self._situation.is_right:
            self._own, self._quiet_told = Own(), False
        self._unused = True
        await self._offer()

    async def _offer(self) -> None:
        """Let what is new be taken into use, as often as it takes."""
        certificate = self.current
        if certificate is None or not self._unused:
            return
        try:
            await self._means.on_new(certificate)
        except Exception as error:  # noqa: BLE001, what others do with it must not end the keeping
            text = f"certificate {certificate.name} was not taken into use: {error!r}"
            if text != self.use_error:
                again = f"\n      = tried again in {self._means.pace.storage_retry:.0f} s, and on"
                self._means.teller.error("certificate_unused", text + again, certificate=certificate.name)
            self.use_error = text
        else:
            self._unused, self.use_error = False, None

    def _wait(self) -> float:
        """Seconds until something is to be done under the lock; 0 or less is now."""
        now = self._means.now()
        if self._is_gone or self._unstored is not None:
            return 0.0
        ask = self.state.window_ask_at if self._asks and self.state.window_of == self._fingerprint else now
        return min(self._renewal, ask if self._asks else float("inf")) - now

    @property
    def _renewal(self) -> float:
        """When it is renewed: by plan, or as soon as can be."""
        return self._situation.held_off if self._hurry else self._situation.due

    @property
    def _situation(self) -> Situation:
        delays = self._means.pace.backoff
        own = plan.own_believed(self._own, self._means.now(), delays)
        return Situation(self.wanted, self.current, self.state, own, self._forgives, delays)

    @property
    def _hurry(self) -> bool:
        """Whether somebody wants a new certificate now, and no machine has got one since."""
        return self._hurried is not None and self._hurried.fingerprint == self._fingerprint

    @property
    def _is_awaited(self) -> bool:
        """Whether another machine may be about to store something."""
        tried = self.state.tried_at
        return self.state.is_open and tried is not None and self._means.now() - tried < ATTEMPT

    @property
    def _lock(self) -> str:
        return f"certificate {self.wanted.name}"

    @property
    def _fingerprint(self) -> str | None:
        return None if self.current is None else self.current.fingerprint

    @property
    def _asks(self) -> bool:
        """Whether an authority can be asked when the certificate in use is to be renewed (RFC 9773 section 4.3)."""
        current = self.current
        return (
            current is not None
            and current.renewal_id is not None
            and self._means.now() < current.ends  # "MUST NOT" afterwards
            and self._situation.authority is not None
        )

    async def _while_held(self, held: Held) -> None:
        """Work as long as the lock is ours."""
        work = asyncio.create_task(self._work())
        holding = asyncio.create_task(self._hold(held))
        try:
            await asyncio.wait({work, holding}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                text = f"certificate {self.wanted.name}: the lock in the storage was lost, and with it this attempt"
                self._means.teller.warning("certificate_lock", text, certificate=self.wanted.name)
        finally:
            self.busy = False
            for task in (holding, work):
                task.cancel()
            results = await asyncio.gather(work, holding, return_exceptions=True)
        if isinstance(results[0], Exception):
            raise results[0]

    async def _hold(self, held: Held) -> None:
        """Renew the lease; ends when the lock is lost."""
        while held.is_valid:
            await asyncio.sleep(self._storage.locks.lease / 4)
            # A storage that hangs is not waited for longer than the lock is ours.
            with suppress(StorageError, TimeoutError):
                if not await asyncio.wait_for(self._threads.run(held.renew), held.left):
                    return

    async def _work(self) -> None:
        """Look again, since another one may have had the lock until now; then do what is due."""
        await self._look()
        if self._is_gone:
            self._unstored = self.current
        await self._store()
        if self._asks and (self.state.window_of != self._fingerprint or self.state.window_ask_at <= self._means.now()):
            await self._ask()
        if self._renewal > self._means.now():
            return
        self.busy = True
        self._hurried = None
        await self._renew()

    async def _begin(self, wanted: Wanted) -> None:
        """Write down that an attempt begins, and when the next one may if this process does not live to say more."""
        now, before = self._means.now(), self.state
        failures = self._situation.failures
        first = before.first_failure if self._situation.counts and before.first_failure is not None else now
        following = self._retry(now, failures + 1)
        said = {"failures": failures, "first_failure": first, "next_try": following, "is_open": True, "tried_at": now}
        await self._keep(before.model_copy(update=said | {"about": about(wanted)}))

    def _retry(self, now: float, failures: int) -> float:
        ends = None if self.current is None else self.current.ends
        return schedule.retry(now, failures, self._means.chance(), self._means.pace.backoff, ends)

    async def _ask(self) -> None:
        """Ask when the authority wants the certificate to be renewed. Without an answer, the one before holds."""
        current = self.current
        authority = self._situation.authority
        if current is None or authority is None or current.renewal_id is None:
            return
        now, issuer = self._means.now(), self._means.issuer
        window = self.state.window if self.state.window_of == current.fingerprint else None
        wait: float | None = None
        try:
            client = await Client.open(authority, self._storage, self._threads, registers=False, sleep=issuer.sleep)
            found = await client.renewal_window(current.renewal_id, self.wanted.name)
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001, whatever it is, it must not be asked again at once
            wait = error.fault.retry_after if isinstance(error, AuthorityError) else None
        else:
            window = None if found is None else (found.start, found.end)
            wait = schedule.DAY if found is None else found.retry_after
            if found is not None and found.explanation is not None and found.end <= now:
                why = shown(found.explanation)
                self._tell("certificate_window", f"it is to be renewed, says {authority.directory}: {why}")
        said = {"window": window, "window_of": current.fingerprint, "window_ask_at": schedule.ask_again(now, wait)}
        await self._keep(self.state.model_copy(update=said))

    async def _renew(self) -> None:
        """Ask the authorities in turn; store what there is of it, or of the failure."""
        wanted, means = self.wanted, self._means
        # What cannot be stored is to be known before an authority is asked for what would be lost.
        await self._begin(wanted)
        state = self.state
        attempt = Attempt(
            wanted=wanted,
            current=self.current,
            has_failed=state.failures > 0,
            held_off=dict(state.held_off),
            issuer=means.issuer,
            local=means.local,
            now=means.now,
            tell=self._tell,
        )
        certificate = await attempt.run()
        if certificate is not None:
            await self._got(wanted, certificate, attempt.held_off)
        else:
            await self._failed(wanted, attempt.errors, attempt.held_off)

    def _tell(self, event: str, text: str) -> None:
        self._means.teller.warning(event, f"certificate {self.wanted.name}: {text}", certificate=self.wanted.name)

    async def _got(self, wanted: Wanted, certificate: Certificate, held_off: dict[str, float]) -> None:
        """Use a new certificate, and store it; where that fails now it is done later, and not asked for again."""
        self._unstored = certificate
        text = f"certificate {wanted.name} is new, from {certificate.source}"
        self._means.teller.info("certificate_new", text, certificate=wanted.name, source=certificate.source)
        self.state = issued(self.state, wanted, self._means.now(), certificate.ends, held_off)
        try:
            await self._store()
        finally:
            await self._use(certificate)

    async def _store(self) -> None:
        """Store what could not be stored when it was new."""
        if self._unstored is None:
            return
        found = await self._threads.run(self._storage.certificate, self.wanted.name)
        if found is not None and self._situation.takes(found):
            self._unstored = None  # another machine has got a newer one meanwhile
            await self._look()
            return
        await self._threads.run(self._storage.keep_certificate, self._unstored)
        await self._keep(self.state)
        self._unstored, self._is_gone = None, False

    async def _failed(self, wanted: Wanted, errors: list[str], held_off: dict[str, float]) -> None:
        """Remember a failure, and when to try again: not before one authority may be asked."""
        now, before = self._means.now(), self.state
        failures = before.failures + bool(errors)
        first = before.first_failure or now
        following = self._retry(now, failures)
        said = {"failures": failures, "next_try": following, "held_off": held_off, "is_open": False}
        said |= {"error": "\n".join(errors), "error_at": now} if errors else {}
        self.state = before.model_copy(update=said)
        if wanted == self.wanted:  # else something else is wanted by now
            self._own = Own(about(wanted), failures, following)
        if errors:
            self._tell_failure(now, first, following)
        await self._keep(self.state)

    def _tell_failure(self, now: float, first: float, following: float) -> None:
        name, error = self.wanted.name, self.state.error
        has_expired = self.current is not None and self.current.ends <= now
        if schedule.is_loud(now, first) or has_expired:
            text = f"certificate {name}: {error}\n      = tried again in {following - now:.0f} s"
            self._means.teller.error("certificate_failed", text, certificate=name, next_try=following)
        elif not self._quiet_told:
            self._quiet_told = True
            text = (
                f"certificate {name} has failed for 30 days; it is tried on, once a day, and not told any more: {error}"
            )
            self._means.teller.error("certificate_given_up", text, certificate=name)

    async def _keep(self, state: StateRecord) -> None:
        self.state = state
        await self._threads.run(self._storage.keep_state, state)
