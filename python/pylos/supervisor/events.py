"""What can happen to a running supervisor, one thing at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, TypeVar

from pylos.config.diff import Change
from pylos.errors import Problem, PylosError
from pylos.supervisor.history import History
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


class ChangedError(PylosError):
    """The configuration in use is not the one that was to be replaced."""


class Instead(NamedTuple):
    """A configuration that is to be used though it is not what the source says."""

    checked: Checked
    reason: str
    drift: str
    """Why it is used."""
    restores: int | None = None
    """Of a former one, its number."""


@dataclass(frozen=True)
class Rollback:
    """Someone wants a former configuration back."""

    reason: str
    number: int | None
    """Which; None = the one before the one in use."""
    outcome: Outcome | None = None
    refused: ClassVar = "rollback_refused"
    """The event that tells of a refusal."""

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """Everybody who is told."""
        return () if self.outcome is None else (self.outcome,)

    def instead(self, history: History, _digest: str) -> Instead:
        """Find it. Raises PylosError."""
        entry = history.find(self.number)
        number = entry.restores or entry.number
        drift = f"configuration {number} was put back by a rollback"
        return Instead(entry.checked, f"rollback to {number}, {self.reason}", drift, number)


@dataclass(frozen=True)
class Put:
    """Someone has sent a configuration, to replace one that was looked at."""

    reason: str
    checked: Checked
    known: Collection[str] | None
    """Digests of what it may replace; None = of anything."""
    outcome: Outcome | None = None
    refused: ClassVar = "put_refused"

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """Everybody who is told."""
        return () if self.outcome is None else (self.outcome,)

    def instead(self, _history: History, digest: str) -> Instead:
        """Give it. Raises ChangedError when what has this digest is in use, and was not looked at."""
        if self.known is not None and digest not in self.known:
            raise ChangedError(f"another configuration is in use by now, with the digest {digest}")
        return Instead(self.checked, self.reason, f"another one was put into use, {self.reason}")


@dataclass(frozen=True)
class Renewed:
    """There may be new certificates: of files, as they were read for a configuration, or such as come by themselves."""

    reason: str
    of: Checked | None = None
    """The configuration that files were read for."""
    found: Checked | PylosError | None = None
    """The same with what they say now, or what is wrong with them."""

    def over(self, in_use: Checked) -> Checked | None:
        """Give what is to be used in place of what is in use; None where that has been replaced since.

        Raises what is wrong with a file.
        """
        if self.found is None:
            return in_use
        if self.of is not in_use:
            return None
        if isinstance(self.found, PylosError):
            raise self.found
        return self.found


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
class Upgradable:
    """The program has been found to start with the configuration, or not."""

    wanted: Upgrade
    found: Checked | PylosError | None
    """What the source says, for a gateway process that is to take over; None for a program that reads it itself."""


@dataclass(frozen=True)
class Shutdown:
    """All is to end, requests in flight first."""

    reason: str
    deadline: float | None = None
    """Seconds that these have; None = as the configuration says."""


Event = Reload | Read | Rollback | Put | Renewed | Ended | Replace | Upgrade | Upgradable | Shutdown

Answer = TypeVar("Answer")


def tell(outcome: asyncio.Future[Answer] | None, result: Answer | PylosError) -> None:
    """Tell who asked what came of it."""
    if outcome is None or outcome.done():
        return
    if isinstance(result, PylosError):
        outcome.set_exception(result)
        outcome.exception()  # told, as far as we are concerned: who asked may have left
    else:
        outcome.set_result(result)
