"""What can happen to a running supervisor. One at a time: whatever comes during a reload waits for its end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from pylos.errors import PylosError
from pylos.supervisor.process import GatewayProcess
from pylos.supervisor.source import Source


@dataclass(frozen=True)
class Reload:
    """Someone wants the configuration to be read again."""

    reason: str
    source: Source | None = None
    """A new source; None = the one in use."""
    outcome: asyncio.Future[PylosError | None] | None = None
    """Told what came of it, None for success."""


@dataclass(frozen=True)
class Ended:
    """A gateway process has ended."""

    process: GatewayProcess


@dataclass(frozen=True)
class Replace:
    """The time has come to start a gateway process, if there is still none."""


@dataclass(frozen=True)
class Shutdown:
    """All is to end, requests in flight first."""

    reason: str


Event = Reload | Ended | Replace | Shutdown
