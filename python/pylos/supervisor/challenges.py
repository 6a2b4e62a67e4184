"""What authorities are answered that want to see whose a domain is: told to the gateway process, which answers them.

The answers are in a storage, which several machines may share: so whichever of them is asked, it has the answer. It is
looked for what has changed often enough that `LOOKS` of them have come before the authority is told to ask.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from pylos.errors import PylosError
from pylos.supervisor import log
from pylos.supervisor.source import in_thread

if TYPE_CHECKING:
    from pylos.supervisor.acme import Storage

LOOK_SECONDS = 0.5
Order = dict[str, Any]
"""`tokens`, the key authorization of each, and `certificates` by the name that is asked for: always all of them."""
NONE: Order = {"tokens": {}, "certificates": {}}


class Challenges:
    """Looks at what is to be answered, and passes it on to `tell` when it has changed."""

    def __init__(self, tell: Callable[[Order], Awaitable[None]]) -> None:
        self._tell = tell
        self._storages: list[Storage] = []
        self._made: dict[tuple[str, str], dict[str, str]] = {}
        """Certificates for `tls-alpn-01`, by domain and key authorization: made once."""
        self._task: asyncio.Task[None] | None = None
        self._failing: str | None = None
        self.order: Order | None = None
        """What holds now; None where nobody is to be answered."""

    async def follow(self, storages: Iterable[Storage]) -> None:
        """Look there from now on."""
        self._storages = list(storages)
        if self._storages:
            self.order = self.order or NONE
            self.start()
        else:
            await self.stop()
            if self.order is not None and self.order != NONE:
                await self._tell(NONE)
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

    async def _run(self) -> None:
        while True:
            try:
                found = await in_thread(self._look)
                if found != self.order:
                    await self._tell(found)  # before it counts as told: where that fails it is told again
                    self.order = found
                self._failing = None
            except PylosError as error:
                if self._failing != str(error):
                    self._failing = str(error)
                    log.error("challenges_failed", f"authorities may get no answers: {error}")
            await asyncio.sleep(LOOK_SECONDS)

    def _look(self) -> Order:
        """Read all answers. Blocks; raises StorageError."""
        tokens: dict[str, str] = {}
        certificates: dict[str, Order] = {}
        made: dict[tuple[str, str], dict[str, str]] = {}
        for storage in self._storages:
            for record in storage.leftovers("http-01", math.inf):
                tokens[record.key] = record.value
            for record in storage.leftovers("tls-alpn-01", math.inf):
                key = record.domain, record.value
                made[key] = self._made.get(key) or certificate_for(*key)
                certificates[record.key] = {"names": [record.key], **made[key]}
        self._made = made
        return {"tokens": tokens, "certificates": certificates}


def certificate_for(domain: str, key_authorization: str) -> dict[str, str]:
    """Make the certificate of an answer by `tls-alpn-01`."""
    from pylos.supervisor.acme.solver import Proof  # noqa: PLC0415 - what it needs takes long to import
    from pylos.supervisor.acme.tls_alpn_01 import answer_certificate  # noqa: PLC0415

    chain, key = answer_certificate(Proof("tls-alpn-01", domain, "", key_authorization))
    return {"chain": chain, "key": key}
