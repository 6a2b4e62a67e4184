"""What authorities are answered that want to see whose a domain is: told to the gateway process, which answers them.

The answers are in a storage, which several machines may share: so whichever of them is asked, it has the answer. It is
looked for what has changed so often that the client, which waits for it, may say that all of them know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pylos.errors import PylosError
from pylos.supervisor import log
from pylos.supervisor.aside import in_thread

if TYPE_CHECKING:
    from pylos.supervisor.acme import Certifier

Order = dict[str, Any]
"""`tokens`, the key authorization of each, and `certificates` by the name that is asked for: always all of them."""
NOTHING: Order = {"tokens": {}, "certificates": {}}


class Challenges:
    """Looks at what is to be answered, and passes it on to `tell` when it has changed."""

    def __init__(self, tell: Callable[[Order], Awaitable[None]]) -> None:
        self._tell = tell
        self._certifiers: Sequence[Certifier] = ()
        self._task: asyncio.Task[None] | None = None
        self._failing: str | None = None
        self.order: Order | None = None
        """What holds now; None where no authority is asked."""

    async def follow(self, certifiers: Iterable[Certifier]) -> None:
        """Look at the storages of these from now on."""
        self._certifiers = list(certifiers)
        if self._certifiers:
            self.order = NOTHING if self.order is None else self.order
            self.start()
        elif self.order is not None:
            await self.stop()
            await self._pass_on(NOTHING)
            self.order = None

    def start(self) -> None:
        """Look until it is stopped."""
        if self._task is None and self._certifiers:
            self._task = asyncio.create_task(self._run(), name="look for answers to authorities")

    async def stop(self) -> None:
        """Look no more; what was told stays."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        from pylos.supervisor.acme.answers import LOOK  # noqa: PLC0415 - what it needs takes long to import

        while True:
            try:
                await self._pass_on(await in_thread(self._look))
                self._failing = None
            except PylosError as error:
                if self._failing != str(error):
                    self._failing = str(error)
                    log.error("challenges_failed", f"authorities may get no answers: {error}")
            await asyncio.sleep(LOOK)

    async def _pass_on(self, order: Order) -> None:
        """Tell what is new; it counts as told first, so that a process that begins meanwhile gets it too."""
        if order != self.order:
            before, self.order = self.order, order
            try:
                await self._tell(order)
            except BaseException:
                self.order = before
                raise

    def _look(self) -> Order:
        """Read all answers. Blocks; raises StorageError."""
        found = NOTHING
        for certifier in self._certifiers:
            told = certifier.answers().as_json()
            found = {key: {**found[key], **told[key]} for key in NOTHING}
        return found
