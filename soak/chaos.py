"""Does one thing after the other to the gateway, by the seed."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Mapping

from soak.actions import ACTIONS, Action
from soak.site import Site

ACTION_SECONDS = 180.0
MOST_EVENTS = 10_000


class Chaos:
    """The agent. `done` counts what it did, `story` has a line for each."""

    def __init__(self, site: Site, actions: Mapping[str, Action], every: float) -> None:
        self.done: Counter[str] = Counter()
        self.story: list[str] = []
        self._site, self._actions, self._every = site, actions, every

    async def run(self, seconds: float) -> None:
        """Act for so long. Without actions it only waits."""
        end = time.monotonic() + seconds
        chance = self._site.chance
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, chance.expovariate(1 / self._every)))
            if self._actions and time.monotonic() < end:
                names = list(self._actions)
                await self.act(chance.choices(names, [self._actions[name].weight for name in names])[0])

    async def act(self, name: str) -> None:
        """Do one thing. That it could not be done is a broken invariant."""
        began = time.monotonic()
        try:
            what = await asyncio.wait_for(self._actions[name].act(self._site), ACTION_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever it is, the gateway has not done as it should
            what = f"failed: {error!r}"
            self._site.ledger.breach(f"{name} {what}", began)
        self.done[name] += 1
        elapsed = self._site.incidents.elapsed
        if len(self.story) < MOST_EVENTS:
            self.story.append(f"{elapsed(began):8.2f} to {elapsed():8.2f} s  {name}: {what}")


def chosen(only: Collection[str], without: Collection[str]) -> dict[str, Action]:
    """Give the actions of a run. Raises ValueError for a name that there is not."""
    if unknown := (set(only) | set(without)) - ACTIONS.keys():
        raise ValueError(f"no action is called {', '.join(sorted(unknown))}; there are {', '.join(ACTIONS)}")
    return {name: action for name, action in ACTIONS.items() if name in (only or ACTIONS) and name not in without}
