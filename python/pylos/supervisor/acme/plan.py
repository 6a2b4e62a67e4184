"""What is made of what is stored, and when something is due. Pure: time is an argument."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from pylos.supervisor.acme import schedule
from pylos.supervisor.acme.certificate import Certificate
from pylos.supervisor.acme.records import StateRecord
from pylos.supervisor.acme.schedule import Life, RetryDelays, credible
from pylos.supervisor.acme.settings import Authority, Wanted


@dataclass(frozen=True, slots=True)
class Own:
    """What has failed here: it holds even if it could not be stored, and whatever other machines store."""

    about: str = ""
    failures: int = 0
    next_try: float = 0.0


@dataclass(frozen=True, slots=True)
class Situation:
    """What is wanted, what there is, and what is known about it."""

    wanted: Wanted
    current: Certificate | None
    """In use."""
    state: StateRecord
    """As all machines know it."""
    own: Own
    forgives: float
    """When what is wanted was put right: attempts that began before do not count."""
    delays: RetryDelays

    @property
    def is_right(self) -> bool:
        """Whether what is in use is what is wanted."""
        return self.current is not None and fits(self.wanted, self.current)

    @property
    def authority(self) -> Authority | None:
        """Who has given what is in use, and is still wanted; not this machine itself."""
        source = None if self.current is None else self.current.source
        found = [one for one in self.wanted.authorities if one.directory == source and not one.is_local]
        return found[0] if found else None

    @property
    def counts(self) -> bool:
        """Whether what is stored is about what is wanted, and not about what was put right since."""
        tried = self.state.tried_at
        return self.state.about == about(self.wanted) and (tried is None or tried > self.forgives)

    @property
    def failures(self) -> int:
        """How often in a row it has failed; an attempt that nobody has ended has, too."""
        stored = self.state.failures + self.state.is_open if self.counts else 0
        return max(stored, self.own.failures) if self.own.about == about(self.wanted) else stored

    @property
    def due(self) -> float:
        """When it is renewed, or tried again."""
        state = self.state
        # Without failures it is said of a certificate that was new: where that is gone it says nothing.
        counts = self.counts and (state.failures or state.is_open or self.is_right)
        after = max(state.next_try if counts else 0.0, self.held_off)
        if self.own.about == about(self.wanted):
            after = max(after, self.own.next_try)
        if self.current is None or not self.is_right:
            return max(after, self.contended)
        life = Life(self.current.begins, self.current.ends)
        window = state.window if state.window_of == self.current.fingerprint else None
        return max(schedule.renewal(life, self.current.fraction, window), after)

    @property
    def contended(self) -> float:
        """Until when a certificate for something else is left in place: others want it, or did a short time ago.

        Machines that share a storage, and want different things under one name, would else issue without end.
        """
        if self.state.issued_for in {None, about(self.wanted)}:
            return 0.0
        return schedule.contended(self.state.issued_at, self.state.changes, self.delays)

    @property
    def held_off(self) -> float:
        """Until when no authority may be asked."""
        return min(self.state.held_off.get(authority.directory, 0.0) for authority in self.wanted.authorities)

    def takes(self, found: Certificate) -> bool:
        """Whether what is stored is to be used: not what is older, or for something else than what is in use."""
        current = self.current
        if current is None or found.fingerprint == current.fingerprint:
            return current is None
        if fits(self.wanted, found) != self.is_right:
            return not self.is_right
        return found.begins > current.begins or found.ends > current.ends


def fits(wanted: Wanted, certificate: Certificate) -> bool:
    """Whether a certificate is what is wanted."""
    sources = {authority.directory for authority in wanted.authorities}
    is_of_kind = certificate.key_type == wanted.key_type
    return is_of_kind and certificate.covers(wanted.domains) and certificate.source in sources


def about(wanted: Wanted) -> str:
    """Give a digest of what failures are about: with other domains, authorities or challenges they count no more.

    Not of what may differ among machines that want the same: paths, resolvers, an address for letters.
    """
    directories = tuple(authority.directory for authority in wanted.authorities)
    what = repr((wanted.domains, directories, wanted.challenges, wanted.key_type))
    return hashlib.sha256(what.encode()).hexdigest()[:16]


def own_believed(own: Own, now: float, delays: RetryDelays) -> Own:
    """Give what has failed here without a next try that no clock which is right can have said."""
    return replace(own, next_try=credible(now, own.next_try, max(delays.longest, schedule.HOUR)))


def believed(state: StateRecord, now: float, delays: RetryDelays) -> StateRecord:
    """Leave out of what is stored the times that no right clock can have written, and those that are over."""
    longest = max(delays.longest, schedule.HOUR)
    held_off = {url: credible(now, until, schedule.HELD_OFF) for url, until in state.held_off.items()}
    said = {
        "held_off": {url: until for url, until in held_off.items() if until > now},
        "next_try": credible(now, state.next_try, longest),
        "issued_at": credible(now, state.issued_at, 0.0),
        "window_ask_at": credible(now, state.window_ask_at, schedule.ASK_LATEST),
    }
    return state.model_copy(update=said)


def issued(before: StateRecord, wanted: Wanted, now: float, ends: float, held_off: dict[str, float]) -> StateRecord:
    """Give what all machines are to know of a certificate that is new."""
    what = about(wanted)
    going = before.changes if now - before.issued_at < schedule.FORGOTTEN else 0
    return StateRecord(
        name=wanted.name,
        about=what,
        issued_for=what,
        issued_at=now,
        changes=0 if before.issued_for in {None, what} else going + 1,
        held_off=held_off,
        next_try=schedule.soonest(now, ends),
    )
