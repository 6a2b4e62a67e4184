"""All that a run has: what is served, what stands behind it, and who keeps the accounts."""

from __future__ import annotations

import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from soak.document import Document
from soak.incidents import Incidents
from soak.ledger import Ledger
from soak.log_lines import LogLines
from soak.served import HOST, PATIENCE, Served, page, until
from soak.targets import TargetProcess


@dataclass
class Site:
    """The gateway with its surroundings, as actions find them."""

    served: Served
    document: Document
    """What the gateway uses now."""
    shaky: tuple[TargetProcess, ...]
    """Targets that may be hurt."""
    incidents: Incidents
    ledger: Ledger
    log_lines: LogLines
    chance: random.Random
    gateways: int = 1
    """Gateway processes that there were, one after the other."""

    def next(self, **changes: Any) -> Document:  # noqa: ANN401 - as the fields are
        """Give the document that comes next."""
        return replace(self.document, number=self.document.number + 1, **changes)

    async def uses(self, document: Document) -> None:
        """Wait until the gateway answers by a document, and go by it from now on."""

        async def answers() -> bool:
            return await page(document.port, "/number") == (200, str(document.number))

        await until(answers, PATIENCE, f"configuration {document.number} in use")
        self.document = document


@asynccontextmanager
async def open_site(seed: int, folder: Path) -> AsyncIterator[Site]:
    """Start targets and a gateway, and end them."""
    steady = (TargetProcess("steady-1"), TargetProcess("steady-2"))
    shaky = (TargetProcess("shaky-1"), TargetProcess("shaky-2"))
    served = Served(folder)
    incidents = Incidents()
    ledger = Ledger(incidents)
    try:
        for target in (*steady, *shaky):
            await target.start()
        log = folder / "access.log"
        document = Document(free_port(), free_port(), steady, shaky, log)
        await served.start(document)
        chance = random.Random(seed)  # noqa: S311 - chaos that can be had again
        yield Site(served, document, shaky, incidents, ledger, LogLines(ledger, log), chance)
    finally:
        await served.kill()
        for target in (*steady, *shaky):
            await target.kill()


def free_port() -> int:
    """Give a port that nobody listens on now."""
    with socket.create_server((HOST, 0)) as found:
        return int(found.getsockname()[1])
