"""What authorities are answered that want to see whose a domain is: told to the gateway process, which answers them.

The answers are in a storage, which several machines may share: so whichever of them is asked, it has the answer. It is
looked for what has changed so often that the client, which waits for it, may say that all of them know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pylos.errors import PylosError
from pylos.supervisor import log
from pylos.supervisor.aside import in_thread

if TYPE_CHECKING:
    from pylos.supervisor.acme import Certifier

Order = dict[str, Any]
"""`tokens`, the key authorization of each, and `certificates` by the name that is asked for: always all of them."""
NOTHING: Order = {"tokens": {}, "certificates": {}}


STOP_SECONDS = 5.0
"""How long it is waited for that an order is told which is on its way."""


class OneStorage:
    """What is to be answered by one storage: what it said last, where it fails or hangs."""

    def __init__(self, certifier: Certifier) -> None:
        self.order = NOTHING
        self._certifier = certifier
        self._looking: asyncio.Task[None] | None = None
        self._failing: str | None = None

    def look(self) -> asyncio.Task[None]:
        """Begin to look, unless that is under way."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="look into a storage")
        return self._looking

    async def _look(self) -> None:
        try:
            self.order = (await in_thread(self._certifier.answers)).as_json()
            self._failing = None
        except Exception as error:  # noqa: BLE001 - whatever becomes of one storage, the others are looked at
            told = str(error) if isinstance(error, PylosError) else f"a defect of Pylos: {error!r}"
            if self._failing != told:
                self._failing = told
                log.error("challenges_failed", f"authorities may get no answers: {told}")


class Challenges:
    """Looks at what is to be answered, and passes it on to `tell` when it has changed."""

    def __init__(self, tell: Callable[[Order], Awaitable[None]]) -> None:
        self._tell = tell
        self._storages: dict[Certifier, OneStorage] = {}
        self._task: asyncio.Task[None] | None = None
        self._telling: asyncio.Future[None] | None = None
        self.order: Order | None = None
        """What holds now; None where no authority is asked."""

    async def follow(self, certifiers: Iterable[Certifier]) -> None:
        """Look at the storages of these from now on."""
        self._storages = {one: self._storages.get(one) or OneStorage(one) for one in certifiers}
        if self._storages:
            self.order = NOTHING if self.order is None else self.order
            self.start()
        elif self.order is not None:
            await self.stop()
            with suppress(PylosError):  # the gateway process has just died: the next one has none of them
                await self._pass_on(NOTHING)
            self.order = None

    def start(self) -> None:
        """Look until it is stopped."""
        if self._task is None and self._storages:
            self._task = asyncio.create_task(self._run(), name="look for answers to authorities")

    async def stop(self) -> None:
        """Look no more; what was told stays."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        if self._telling is not None:  # what is on its way has to arrive whole, or nothing after it is understood
            await asyncio.wait([self._telling], timeout=STOP_SECONDS)

    async def _run(self) -> None:
        from pylos.supervisor.acme.answers import LOOK  # noqa: PLC0415 - what it needs takes long to import

        while True:
            # A storage that hangs holds up none but its own answers.
            await asyncio.wait({one.look() for one in self._storages.values()}, timeout=LOOK / 2)
            with suppress(PylosError):  # the gateway process has just died: the next one is told before it serves
                await self._pass_on(self._all())
            await asyncio.sleep(LOOK)

    async def _pass_on(self, order: Order) -> None:
        """Tell what is new; it counts as told first, so that a process that begins meanwhile gets it too."""
        if order != self.order:
            before, self.order = self.order, order
            self._telling = asyncio.ensure_future(self._tell(order))
            try:
                await asyncio.shield(self._telling)
            except BaseException:
                self.order = before
                raise

    def _all(self) -> Order:
        """Give all answers that are known."""
        found = NOTHING
        for storage in self._storages.values():
            found = {key: {**found[key], **storage.order[key]} for key in NOTHING}
        return found
