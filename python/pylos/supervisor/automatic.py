"""Certificates that come by themselves: what is wanted is kept, and put into tables.

Of each storage one `Certifier` keeps what is wanted there. It is imported when a configuration wants some, since that
takes long.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pylos.errors import GatewayError, PylosError
from pylos.supervisor import log
from pylos.supervisor.source import in_thread

if TYPE_CHECKING:
    from pylos.supervisor.acme import Certificate, Certifier, Storage, Wanted

Plain = Mapping[str, Any]
FOLDER = "acme"
"""Of the state directory."""
STOP_SECONDS = 5.0
"""How long it is waited for that what is under way ends."""
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

    async def shown(self, acme: Plain, missing: Iterable[str], names: Plain) -> dict[str, Certificate]:
        """Give the certificate of each `tls` that wants one: what is there, else one that stands in.

        `missing` are those without any, and `names` theirs: of a `tls` that nobody keeps, one stands in.
        Raises PylosError where there is no place to keep them.
        """
        found: dict[str, Certificate] = {}
        for name in acme.get("tls", {}):
            stored = await self._stored(acme, name) or await self._made_here(acme, name)
            found[name] = self._stand_in(name, acme["tls"][name]["domains"]) if stored is None else stored
        for name in missing:
            if name not in found:
                found[name] = self._stand_in(name, names[name] or ["localhost"])
        return found

    async def follow(self, acme: Plain, code: Path) -> None:
        """Keep these from now on, and no others. `code` is the folder in which functions are looked for."""
        by_folder: dict[Path, list[Wanted]] = {}
        for name in acme.get("tls", {}):
            from pylos.supervisor.wanted import wanted_of  # noqa: PLC0415 - see above

            by_folder.setdefault(self._folder(acme, name), []).append(wanted_of(acme, name, code))
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

    async def _stored(self, acme: Plain, name: str) -> Certificate | None:
        """Give what is there for a `tls`, as it is known or as it is stored."""
        kept = self._keep(self._folder(acme, name))
        if name in kept.names and (current := kept.certifier.current(name)) is not None:
            return current
        try:
            return await in_thread(lambda: kept.storage.certificate(name))
        except PylosError as error:
            log.error("certificate_storage", f"certificate {name}: {error}", certificate=name)
            return None

    async def _made_here(self, acme: Plain, name: str) -> Certificate | None:
        """Make one, where this machine itself is the authority: nobody has to wait for that."""
        from pylos.supervisor.acme import LocalAuthority  # noqa: PLC0415 - see above
        from pylos.supervisor.acme.threads import Threads  # noqa: PLC0415
        from pylos.supervisor.wanted import is_local, wanted_of  # noqa: PLC0415

        if not is_local(acme, name):
            return None
        storage = self._keep(self._folder(acme, name)).storage
        try:
            made = await LocalAuthority(storage, Threads()).issue(wanted_of(acme, name, Path()))
            await in_thread(lambda: storage.keep_certificate(made))
        except PylosError as error:
            log.error("certificate_storage", f"certificate {name}: {error}", certificate=name)
            return None
        return made

    def _stand_in(self, name: str, domains: Sequence[str]) -> Certificate:
        """Make what is shown until there is a certificate, and tell it; it stays the same one."""
        key = name, tuple(domains)
        if key not in self._stand_ins:
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
