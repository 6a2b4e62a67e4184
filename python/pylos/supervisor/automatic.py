"""Certificates that come by themselves: what is wanted is kept, and put into tables.

Of each storage one `Certifier` keeps what is wanted there. It is imported when a configuration wants some, since that
takes long.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pylos.errors import GatewayError, PylosError
from pylos.supervisor import log
from pylos.supervisor.aside import in_thread

if TYPE_CHECKING:
    from pylos.supervisor.acme import Certificate, Certifier, Storage, Wanted

Plain = Mapping[str, Any]
FOLDER = "acme"
"""Of the state directory."""
STOP_SECONDS = 5.0
"""How long it is waited for that what is under way ends."""
STORAGE_SECONDS = 5.0
"""How long it is waited for what is stored."""
AGAIN_SECONDS = 30.0
"""After so long what has ended against all rules begins anew."""


class Kept:
    """What is kept in one storage."""

    def __init__(self, storage: Storage, certifier: Certifier) -> None:
        self.storage = storage
        self.certifier = certifier
        self.names: Collection[str] = ()
        self.asks = False
        """Whether an authority elsewhere is asked."""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Keep it from now on."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"keep certificates in {self.storage.folder}")

    async def stop(self) -> None:
        """Let be what is under way. It can be started again."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task], timeout=STOP_SECONDS)

    async def _run(self) -> None:
        while True:
            try:
                await self.certifier.run()
            except Exception as error:  # noqa: BLE001 - a defect there must not end what serves
                text = f"certificates are not renewed for {AGAIN_SECONDS:g} s, by a defect of Pylos: {error!r}"
                log.error("certificates_failed", text)
            await asyncio.sleep(AGAIN_SECONDS)


class Automatic:
    """All of a supervisor's. `changed` is called when a certificate is new, whatever is shown by then."""

    def __init__(self, state: Callable[[], Path | None], changed: Callable[[], None]) -> None:
        self._state = state
        """Gives the state directory, once there is one."""
        self._changed = changed
        self._kept: dict[Path, Kept] = {}
        self._paused = False
        self._stand_ins: dict[tuple[str, tuple[str, ...]], Certificate] = {}
        self._temporary: Path | None = None

    @property
    def asking(self) -> list[Certifier]:
        """Those that ask authorities elsewhere: what these want to see is in their storages."""
        return [kept.certifier for kept in self._kept.values() if kept.asks]

    async def shown(self, acme: Plain, code: Path, missing: Mapping[str, Sequence[str]]) -> dict[str, Certificate]:
        """Give the certificate of each `tls` that wants one: what is there, else one that stands in.

        One stands in, too, for those that are `missing` and nobody keeps, under these names. Raises PylosError where
        they cannot be kept.
        """
        wanted = [self._wanted(acme, name, code) for name in acme.get("tls", {})]
        stored = await asyncio.gather(*(self._in_time(folder, one) for folder, one in wanted))
        found = {one.name: known for (_, one), known in zip(wanted, stored, strict=True) if known is not None}
        stand_ins = {one.name: one.domains for _, one in wanted}
        stand_ins |= {name: tuple(names) or ("localhost",) for name, names in missing.items() if name not in stand_ins}
        return found | {name: self._stand_in(name, domains) for name, domains in stand_ins.items() if name not in found}

    async def follow(self, acme: Plain, code: Path) -> None:
        """Keep these from now on, and no others. `code` is the folder in which functions are looked for."""
        by_folder: dict[Path, list[Wanted]] = {}
        for name in acme.get("tls", {}):
            folder, one = self._wanted(acme, name, code)
            by_folder.setdefault(folder, []).append(one)
        for folder in self._kept.keys() - by_folder.keys():
            await self._kept.pop(folder).stop()
        for folder, wanted in by_folder.items():
            kept = self._keep(folder)
            kept.certifier.update(wanted)
            kept.names = [one.name for one in wanted]
            kept.asks = any(not authority.is_local for one in wanted for authority in one.authorities)
            if not self._paused:
                kept.start()

    def status(self) -> dict[str, dict[str, Any]]:
        """Say of each `tls` how its certificate is."""
        return {one.name: one.as_json() for kept in self._kept.values() for one in kept.certifier.status()}

    def hurry(self, name: str) -> None:
        """Renew the certificate of a `tls` now. Raises PylosError where none of this name comes by itself."""
        for kept in self._kept.values():
            if name in kept.names:
                kept.certifier.hurry(name)
                return
        known = sorted(one for kept in self._kept.values() for one in kept.names)
        hint = f"there are {', '.join(known)}" if known else "no [tls.NAME] has `acme`"
        raise PylosError(f"no certificate `{name}` comes by itself; {hint}")

    async def root(self) -> str:
        """Give the root of this machine's own authority (PEM). Raises PylosError."""
        return await self._keep(self._usual()).certifier.local_root()

    async def pause(self) -> None:
        """Let be what is under way, until `resume`."""
        self._paused = True
        await asyncio.gather(*(kept.stop() for kept in self._kept.values()))

    def resume(self) -> None:
        """Go on."""
        self._paused = False
        for kept in self._kept.values():
            if kept.names:
                kept.start()

    async def close(self) -> None:
        """End all of it."""
        await self.pause()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None

    # -- inside -------------------------------------------------------------------------------------------------------

    def _wanted(self, acme: Plain, name: str, code: Path) -> tuple[Path, Wanted]:
        """Say what is wanted for a `tls`, and where it is kept. Raises PylosError."""
        from pylos.supervisor.wanted import wanted_of  # noqa: PLC0415 - see above

        return self._folder(acme, name), wanted_of(acme, name, code)

    async def _in_time(self, folder: Path, wanted: Wanted) -> Certificate | None:
        """Give what is there, unless the storage fails or hangs: nobody waits for that, and it may work later."""
        try:
            async with asyncio.timeout(STORAGE_SECONDS):
                return await self._stored(self._keep(folder), wanted)
        except PylosError as error:
            told = str(error)
        except TimeoutError:
            told = f"{folder} does not answer"
        log.error("certificate_storage", f"certificate {wanted.name}: {told}", certificate=wanted.name)
        return None

    async def _stored(self, kept: Kept, wanted: Wanted) -> Certificate | None:
        """Give what is there, as it is known or as it is stored.

        Where this machine itself is the authority it is made: nobody has to wait for that.
        """
        name = wanted.name
        if name in kept.names and (current := kept.certifier.current(name)) is not None:
            return current
        found = await in_thread(lambda: kept.storage.certificate(name))
        if found is None and all(authority.is_local for authority in wanted.authorities):
            found = await self._made_here(kept.storage, wanted)
        return found

    async def _made_here(self, storage: Storage, wanted: Wanted) -> Certificate:
        from pylos.supervisor.acme import LocalAuthority  # noqa: PLC0415 - see above
        from pylos.supervisor.acme.threads import Threads  # noqa: PLC0415

        made = await LocalAuthority(storage, Threads()).issue(wanted)
        await in_thread(lambda: storage.keep_certificate(made))
        return made

    def _stand_in(self, name: str, domains: Sequence[str]) -> Certificate:
        """Make what is shown until there is a certificate, and tell it; it stays the same one."""
        key, made = (name, tuple(domains)), self._stand_ins.get((name, tuple(domains)))
        if made is None or made.ends <= time.time():
            from pylos.supervisor.acme import selfsigned  # noqa: PLC0415 - see above

            self._stand_ins[key] = selfsigned(domains, name)
            text = f"certificate {name} is not there yet: one that signs itself stands in, which no client trusts"
            log.warning("certificate_stand_in", text, certificate=name)
        return self._stand_ins[key]

    def _folder(self, acme: Plain, name: str) -> Path:
        """Give the folder where the certificate of a `tls` is kept."""
        from pylos.supervisor.wanted import is_local, storage_of  # noqa: PLC0415 - see above

        if (named := storage_of(acme, name)) is not None:
            return named
        if self._state() is None and not is_local(acme, name):
            raise GatewayError(
                f"[tls.{name}] acme: there is no state directory to keep accounts, keys and certificates in\n"
                '      = name one: [pylos] state = "DIR", or [acme.NAME] storage = "DIR"'
            )
        return self._usual()

    def _usual(self) -> Path:
        """Give the folder in the state directory; without one what is in it ends with the gateway."""
        if (state := self._state()) is not None:
            return state / FOLDER
        if self._temporary is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="pylos-acme-"))
        return self._temporary

    def _keep(self, folder: Path) -> Kept:
        """Give what is kept in a folder; nothing at first."""
        if folder not in self._kept:
            from pylos.supervisor.acme import Certifier, Storage, told_broken  # noqa: PLC0415 - see above

            storage = Storage(folder, told_broken())
            self._kept[folder] = Kept(storage, Certifier(storage, (), self._new))
        return self._kept[folder]

    async def _new(self, _: Certificate) -> None:
        """Hear of a certificate that is new, from an authority or in the storage."""
        with suppress(RuntimeError):
            self._changed()
