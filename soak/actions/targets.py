"""Targets that fail, in all ways that servers have."""

from __future__ import annotations

import asyncio

from soak.incidents import Effect
from soak.site import Site

MODES = ("hang", "cut", "reset", "refuse", "kill")


async def hurt(site: Site) -> str:
    """Hurt one of the targets that are there for it, and make it well again."""
    target, mode = site.chance.choice(site.shaky), site.chance.choice(MODES)
    seconds = site.chance.uniform(0.5, 3.0)
    with site.incidents.during(f"{mode} {target.name}", Effect.HURTS_TARGETS):
        if mode == "kill":
            await target.kill()
            await asyncio.sleep(seconds)
            await target.start()
        else:
            await target.order(mode)
            await asyncio.sleep(seconds)
            await target.order("serve")
    return f"{target.name}: {mode} for {seconds:.1f} s"
