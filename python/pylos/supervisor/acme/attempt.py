"""One attempt: the authorities in turn, until one gives a certificate. Who wants to be left alone is not asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from pylos.supervisor.acme import schedule
from pylos.supervisor.acme.certificate import Certificate
from pylos.supervisor.acme.errors import AcmeError, AuthorityError, ChallengeError, StorageError
from pylos.supervisor.acme.issue import Issuer
from pylos.supervisor.acme.settings import Authority, Wanted

NOT_OURS = {"rateLimited", "serverInternal"}
"""Problems at a challenge that say nothing about our answer to it."""


class Local(Protocol):
    """The authority for development."""

    async def issue(self, wanted: Wanted) -> Certificate:
        """Make a certificate. Raises AcmeError."""


@dataclass(slots=True)
class Attempt:
    """What is asked for, by which means, and what has become of it."""

    wanted: Wanted
    current: Certificate | None
    """What it follows."""
    has_failed: bool
    """Whether the attempt before did: then staging directories are tried first."""
    held_off: dict[str, float]
    """Until when directories are not to be asked; those that say so are added."""
    issuer: Issuer
    local: Local
    now: Callable[[], float]
    tell: Callable[[str, str], None]
    """Told the event, and a text about what is tried in another way."""
    errors: list[str] = field(default_factory=list)

    async def run(self) -> Certificate | None:
        """Ask them; None where all have failed, by `errors`, or are held off."""
        self.held_off = {url: until for url, until in self.held_off.items() if until > self.now()}
        for authority in [one for one in self.wanted.authorities if one.directory not in self.held_off]:
            if self.errors:
                self.tell("certificate_authority", f"{self.errors[-1]}\n      = the next authority is asked")
            try:
                return await self._ask(authority)
            except AcmeError as error:
                self._hold_off(error)
                self.errors.append(str(error))
            except Exception as error:  # noqa: BLE001, what nobody has thought of is a failure too, and waited after
                told = f"{self.wanted.name}: {authority.directory} gave us an answer that we fail at: {error!r}"
                self.errors.append(told)
        return None

    async def _ask(self, authority: Authority) -> Certificate:
        if authority.is_local:
            return await self.local.issue(self.wanted)
        if authority.staging is not None and self.has_failed and authority.staging not in self.held_off:
            await self._rehearse(authority, authority.staging)
        current = self.current
        replaces = current.renewal_id if current is not None and current.source == authority.directory else None
        if current is not None and not current.domains.intersection(self.wanted.domains):
            replaces = None  # a certificate replaces one with which it shares a name (RFC 9773 section 5)
        return await self.issuer.issue(self.wanted, authority, replaces=replaces)

    async def _rehearse(self, authority: Authority, staging: str) -> None:
        """Try the staging directory. What fails there and is not our answer to a challenge is no reason to stop."""
        try:
            await self.issuer.issue(self.wanted, authority, url=staging)
        except StorageError:
            raise
        except ChallengeError as error:
            if error.fault.problem is None or error.fault.problem.code not in NOT_OURS:
                raise
            self._pass_on(error)
        except Exception as error:  # noqa: BLE001, what nobody has thought of is staging's own, too
            self._pass_on(error)

    def _pass_on(self, error: Exception) -> None:
        self._hold_off(error)
        told = str(error) if isinstance(error, AcmeError) else repr(error)
        self.tell("certificate_staging", f"{told}\n      = that is staging: the authority itself is asked")

    def _hold_off(self, error: Exception) -> None:
        """Leave alone who wants it: the directory that said so, staging or not."""
        if isinstance(error, AuthorityError) and error.fault.retry_after is not None:
            self.held_off[error.fault.authority] = schedule.held_off(self.now(), error.fault.retry_after)
