"""The certificates of the configuration in use: they are renewed while it stays.

Those of files are read again when these change, whatever the configuration came from and whatever its own file says by
now. Those that come by themselves are put in when they have come. Either way an event says that there are new ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pylos.contents import digest
from pylos.errors import PylosError
from pylos.supervisor import log
from pylos.supervisor.aside import in_thread
from pylos.supervisor.automatic import Automatic
from pylos.supervisor.challenges import Challenges, Order
from pylos.supervisor.events import Event, Instead, Renewed
from pylos.supervisor.reports import report_warnings
from pylos.supervisor.source import Checked
from pylos.supervisor.watch import Watcher

if TYPE_CHECKING:
    from pylos.supervisor.acme import Certificate

UNUSED_SECONDS = 30.0
"""After so long it is tried again to use what is sound and could not be used."""
AGAIN_SECONDS = 86400.0
"""So often it is told which ones of files do not hold for long: it may be months until the next reload."""
GATHER_SECONDS = 0.2
"""Certificates that come within so long of each other are put into use together."""
Table = dict[str, Any]


class Certificates:
    """Those of one supervisor."""

    def __init__(
        self,
        put: Callable[[Event], None],
        state: Callable[[], Path | None],
        answer: Callable[[Order], Awaitable[None]],
        *,
        watch: bool = True,
    ) -> None:
        self._put = put
        self._watch = watch
        self._watcher = Watcher(self._files_changed)
        self._automatic = Automatic(state, self._have_come)
        self._challenges = Challenges(answer)
        self._followed = Checked({})
        self._reading: asyncio.Task[None] | None = None
        self._reminding: asyncio.Task[None] | None = None
        self._missed: asyncio.Task[None] | None = None
        self._trying: asyncio.TimerHandle | None = None
        self._announced = False

    @property
    def challenges(self) -> Order | None:
        """What authorities are to be answered; None where nobody asks any."""
        return self._challenges.order

    async def filled(self, checked: Checked) -> Checked:
        """Give a configuration with the certificates that come by themselves, or what stands in for them.

        Raises PylosError where there is no place to keep them.
        """
        missing = dict(unfilled(checked.table))
        if not missing and not checked.acme.get("tls"):
            return checked
        shown = await self._automatic.shown(checked.acme, checked.folder, missing)
        return replace(checked, table=with_certificates(checked.table, shown))

    async def again(self, checked: Checked) -> Checked:
        """Give a configuration with the certificates that its files have now. Raises PylosError."""
        return await in_thread(lambda: read_again(checked))

    async def of_now(self, instead: Instead) -> Checked:
        """Give what is used instead: a former configuration has its certificates of now, which may be renewed since."""
        if instead.restores is None:
            return instead.checked
        try:
            return await self.again(instead.checked)
        except PylosError as error:
            text = f"{instead.reason}: its certificates cannot be read now, so it has those of then\n{error}"
            log.warning("certificates_kept", text)
            return instead.checked

    async def follow(self, checked: Checked) -> None:
        """See that the certificates of this one, which is in use, are renewed."""
        self._followed = checked
        if self._reminding is None:
            self._reminding = asyncio.create_task(self._remind(), name="tell which certificates do not hold for long")
        try:
            if self._watch:
                await self._watcher.follow(dict.fromkeys(checked.material), checked.material_contents)
                self._look_for_missed(checked)
            await self._automatic.follow(checked.acme, checked.folder)
            await self._challenges.follow(self._automatic.asking)
        except PylosError as error:  # told before by `filled`; or a defect of the checks, by which nothing else ends
            log.error("certificates_failed", f"certificates are not renewed: {error}")

    def try_again(self, renewed: Renewed) -> None:
        """Come back to what could not be put into use, in a while: nobody else tells of it again.

        Of files that are wrong who mends them does.
        """
        if not isinstance(renewed.found, PylosError) and self._trying is None:
            self._trying = asyncio.get_running_loop().call_later(UNUSED_SECONDS, self._try_again)

    def status(self) -> list[dict[str, Any]]:
        """Say how those are that come by themselves, by the name of their `tls`."""
        wanted, known = self._followed.acme.get("tls", {}), self._automatic.status()
        return [
            {"tls": name, "acme": one["acme"], **{key: told for key, told in known[name].items() if key != "name"}}
            for name, one in wanted.items()
            if name in known
        ]

    def hurry(self, name: str) -> None:
        """Renew the one of a `tls` now. Raises PylosError."""
        self._automatic.hurry(name)

    async def root(self) -> str:
        """Give the root of this machine's own authority (PEM). Raises PylosError."""
        return await self._automatic.root()

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Let be what is under way, and ask no authority while the block runs: this may become another program."""
        await self._challenges.stop()
        await self._automatic.pause()
        try:
            yield
        finally:
            self._automatic.resume()
            self._challenges.start()

    async def close(self) -> None:
        """End all of it."""
        await self._watcher.close()
        for waiting in (self._reading, self._reminding, self._missed, self._trying):
            if waiting is not None:
                waiting.cancel()
        await self._challenges.stop()
        await self._automatic.close()

    # -- inside -------------------------------------------------------------------------------------------------------

    def _try_again(self) -> None:
        """Begin anew: what has come by itself is put in, and files that have changed are found out about then."""
        self._trying = None
        self._have_come()

    def _look_for_missed(self, checked: Checked) -> None:
        """Find out about files that have changed since they were read for what is in use by now.

        The watch told of that for a configuration that was still in use then, and tells it once. Nobody waits: the
        files may be on a server that hangs.
        """

        async def look() -> None:
            with suppress(PylosError):
                if await in_thread(lambda: digest(checked.material)) != checked.material_contents:
                    self._files_changed()

        if self._missed is not None:
            self._missed.cancel()
        if checked.material_contents:
            self._missed = asyncio.create_task(look(), name="look for missed certificates")

    def _files_changed(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        self._reading = asyncio.create_task(self._read(self._followed), name="read certificates again")

    async def _read(self, checked: Checked) -> None:
        try:
            found: Checked | PylosError = await self.again(checked)
        except PylosError as error:
            found = error
        except Exception as error:  # noqa: BLE001 - a defect of the checks must not end what serves
            found = PylosError(f"certificates cannot be read, by a defect of Pylos: {type(error).__name__}")
        self._put(Renewed("a file has changed", checked, found))

    async def _remind(self) -> None:
        """Tell each day which certificates, of files and in use, do not hold, or not for long.

        What cannot be read is told by who reads it to use it.
        """
        while True:
            await asyncio.sleep(AGAIN_SECONDS)
            with suppress(Exception):
                report_warnings((await self.again(self._followed)).warnings)

    def _have_come(self) -> None:
        """Tell that certificates are new which come by themselves, once for all that come about now."""
        if not self._announced:
            self._announced = True
            asyncio.get_running_loop().call_later(GATHER_SECONDS, self._announce)

    def _announce(self) -> None:
        self._announced = False
        self._put(Renewed("a certificate has come"))


def unfilled(table: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """List the `tls` that have no certificate yet, each with its names."""
    for name, tls in table.get("tls", {}).items():
        for certificate in tls["certificates"]:
            if not certificate["key"]:
                yield name, certificate["names"]


def with_certificates(table: Table, shown: Mapping[str, Certificate]) -> Table:
    """Give a table with certificates for these `tls`, under the names that are wanted."""
    tls = dict(table["tls"])
    for name, certificate in shown.items():
        (stands,) = tls[name]["certificates"]
        pair = {"names": stands["names"], "chain": certificate.chain, "key": certificate.key}
        tls[name] = {**tls[name], "certificates": [pair]}
    return {**table, "tls": tls}


def read_again(checked: Checked) -> Checked:
    """Read the certificates of files again. Blocks; raises PylosError."""
    if not checked.named:
        return checked
    from pylos.config.reread import read_again, with_material  # noqa: PLC0415 - what it needs takes long to import

    known = digest(checked.material)
    found = read_again(checked.named, checked.name)
    files = list(found.material.files)
    if files != checked.material:  # of a former configuration they were not known: what changes meanwhile is noticed
        known = digest(files)
        found = read_again(checked.named, checked.name)
    table = with_material(checked.table, found.material)
    return replace(checked, table=table, material=files, material_contents=known, warnings=found.warnings)
