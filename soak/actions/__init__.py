"""What is done to the gateway, one function each: it is done when they return, and they say what it was."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from soak.actions import kills, reloads, targets
from soak.site import Site


@dataclass(frozen=True)
class Action:
    """Something that is done, and how often beside the others."""

    act: Callable[[Site], Awaitable[str]]
    weight: int


ACTIONS = {
    "routes": Action(reloads.routes, 6),
    "listeners": Action(reloads.listeners, 4),
    "workers": Action(reloads.workers, 3),
    "broken_file": Action(reloads.broken_file, 2),
    "log_file": Action(reloads.log_file, 2),
    "hurt_target": Action(targets.hurt, 4),
    "kill_gateway": Action(kills.gateway, 2),
    "kill_lane": Action(kills.lane, 2),
    "kill_supervisor": Action(kills.supervisor, 1),
    "upgrade": Action(kills.upgrade, 2),
    "reopen": Action(kills.reopen, 2),
}
