"""What can happen to a running supervisor, one thing at a time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from pylos.config.diff import Change
from pylos.errors import Problem, PylosError
from pylos.supervisor.process import GatewayProcess
from pylos.supervisor.source import Checked, Source


@dataclass(frozen=True)
class Taken:
    """A configuration is in use."""

    number: int
    changes: list[Change] | None
    """To the one before; [] when it is the same, and then nothing was done; None when they cannot be told."""
    warnings: list[Problem]


Outcome = asyncio.Future[Taken]
"""Told what came of it: a Taken, or a PylosError as its exception."""


@dataclass(frozen=True)
class Reload:
    """Someone wants the configuration to be read again."""

    reason: str
    source: Source | None = None
    """A new source; None = the one in use."""
    outcome: Outcome | None = None
    noticed: bool = False
    """Nobody asked: the watcher saw a change, perhaps one that has been read already."""
    others: tuple[Outcome, ...] = ()
    """Of those who asked for the same while it waited."""

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """Everybody who is told."""
        return (*filter(None, [self.outcome]), *self.others)

    def with_another(self, other: Reload) -> Reload:
        """Serve another one of the same source too; who asked gives the reason, rather than what was noticed."""
        first = other if self.noticed else self
        return replace(
            first, outcome=None, noticed=self.noticed and other.noticed, others=self.outcomes + other.outcomes
        )


@dataclass(frozen=True)
class Read:
    """What a reload asked for has been read, or is wrong."""

    wanted: Reload
    source: Source
    found: Checked | PylosError

    def sound(self) -> Checked:
        """Give what was read; raises what is wrong with it."""
        if isinstance(self.found, PylosError):
            raise self.found
        return self.found


@dataclass(frozen=True)
class Rollback:
    """Someone wants a former configuration back."""

    reason: str
    number: int | None
    """Which; None = the one before the one in use."""
    outcome: Outcome | None = None

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """Everybody who is told."""
        return () if self.outcome is None else (self.outcome,)


@dataclass(frozen=True)
class Ended:
    """A gateway process has ended."""

    process: GatewayProcess


@dataclass(frozen=True)
class Replace:
    """The time has come to start a gateway process, if there is still none."""


@dataclass(frozen=True)
class Upgrade:
    """The program is to be renewed, and the gateway process with it."""

    reason: str
    outcome: asyncio.Future[int] | None = None
    """Told the new gateway process, or the error; nothing where this process becomes another program."""


@dataclass(frozen=True)
class Shutdown:
    """All is to end, requests in flight first."""

    reason: str


Event = Reload | Read | Rollback | Ended | Replace | Upgrade | Shutdown
