"""Certifiers of certificates under test, and waiting for what becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lines import Lines

from pylos.supervisor.acme import Certificate, Certifier, Pace, RetryDelays, Storage, Wanted
from pylos.supervisor.acme.answers import StoredAnswers

PATIENCE = 45
"""Seconds for anything to happen."""
PACE = Pace(RetryDelays(first=0.3, longest=2), look=5, lock_poll=0.1, seen=0)


def token(storage: Path, asked: str) -> str | None:
    """Answer http-01 as any machine would."""
    return StoredAnswers(Storage(storage)).look().tokens.get(asked)


def certificate_for(storage: Path, asked: str) -> tuple[str, str] | None:
    """Answer tls-alpn-01 as any machine would."""
    found = StoredAnswers(Storage(storage)).look().certificates.get(asked)
    return None if found is None else (found.chain, found.key)


@dataclass
class Machine:
    """A certifier, and what has become of it."""

    certifier: Certifier
    lines: Lines
    new: list[Certificate] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until something holds: looked at when there is a certificate, and ten times a second."""
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self.changed.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.changed.wait(), 0.1)

    async def certificate(self, number: int = 1) -> Certificate:
        """Wait for so many certificates; gives the last."""
        try:
            await self.until(lambda: len(self.new) >= number)
        except TimeoutError:
            raise AssertionError([self.certifier.status(), self.lines.told]) from None
        return self.new[number - 1]


@asynccontextmanager
async def machine(folder: Path, *wanted: Wanted, lease: float = 60) -> AsyncIterator[Machine]:
    """Run a certifier on a storage."""
    lines = Lines()

    async def on_new(certificate: Certificate) -> None:
        found.new.append(certificate)
        found.changed.set()

    found = Machine(Certifier(Storage(folder, lease=lease), wanted, on_new, pace=PACE, teller=lines), lines)
    task = asyncio.create_task(found.certifier.run())
    try:
        yield found
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run the story of a test."""
    asyncio.run(asyncio.wait_for(test, PATIENCE * 2))
