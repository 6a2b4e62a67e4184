"""A certifier under test, whose authorities are made up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from lines import Lines

from pylos.supervisor.acme import (
    Authority,
    AuthorityError,
    Certificate,
    Certifier,
    Pace,
    RetryDelays,
    Storage,
    StorageError,
    Wanted,
    selfsigned,
)
from pylos.supervisor.acme.errors import Fault
from pylos.supervisor.acme.issue import Issuer

FIRST = Authority("first", "https://first.test/dir")
SECOND = Authority("second", "https://second.test/dir")
LOCAL = Authority("local", "local")
SHOP = Wanted("shop", ("shop.test",), (FIRST, SECOND))
PACE = Pace(RetryDelays(first=0.05, longest=0.1), look=0.2, lock_poll=0.02, storage_retry=0.05)
PATIENCE = 20


class Authorities:
    """Stand in the place of the protocol: each attempt is a call, and does what `does` says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.does: Callable[[Authority], Certificate | None] = lambda _: None
        self.rehearses: Callable[[Authority], object] = lambda _: None
        """The same at a staging directory."""

        async def issue(
            _: Issuer, wanted: Wanted, authority: Authority, *, url: str | None = None, **__: object
        ) -> Certificate:
            if url is not None:
                self.asked.append(f"{authority.name} staging")
                self.rehearses(authority)
                return selfsigned(wanted.domains, wanted.name)
            self.asked.append(authority.name)
            made = self.does(authority) or selfsigned(wanted.domains, wanted.name)
            return Certificate.read(wanted.name, made.chain, made.key, authority.directory)

        monkeypatch.setattr(Issuer, "issue", issue)


class FullDisk:
    """Certificates cannot be stored as long as it is full. Another machine's, in `keep`, can."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = True
        self.keep = Storage.keep_certificate

        def keep(storage: Storage, certificate: Certificate) -> None:
            if self.full:
                raise StorageError("No space left on device")
            self.keep(storage, certificate)

        monkeypatch.setattr(Storage, "keep_certificate", keep)


def refusing(retry_after: float | None = None) -> Callable[[Authority], Certificate | None]:
    def refuse(authority: Authority) -> None:
        raise AuthorityError(Fault("refused it", authority.directory, retry_after=retry_after))

    return refuse


class Running:
    def __init__(self, folder: Path, *wanted: Wanted, **options: object) -> None:
        self.lines, self.new, self.offered = Lines(), [], 0
        self.has_room = True
        storage = Storage(folder)
        given = {"pace": PACE, "teller": self.lines, **options}
        self.certifier = Certifier(storage, wanted, self.on_new, **given)  # type: ignore[arg-type]

    async def on_new(self, certificate: Certificate) -> None:
        self.offered += 1
        if not self.has_room:
            raise RuntimeError("no room")
        self.new.append(certificate)

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():  # noqa: ASYNC110, most of what is waited for gives no signal
                await asyncio.sleep(0.005)


@asynccontextmanager
async def running(folder: Path, *wanted: Wanted, **options: object):
    found = Running(folder, *wanted, **options)
    task = asyncio.create_task(found.certifier.run())
    try:
        yield found
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def made(domains: tuple[str, ...], days: float) -> Certificate:
    """Make a certificate that began so many days from now."""
    signed = selfsigned(domains, "shop", lambda: time.time() + days * 86400)
    return Certificate.read("shop", signed.chain, signed.key, FIRST.directory)


def stored(folder: Path, domains: tuple[str, ...], days: float) -> Certificate:
    found = made(domains, days)
    Storage(folder).keep_certificate(found)
    return found
