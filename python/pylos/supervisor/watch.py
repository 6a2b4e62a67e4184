"""Notice that a configuration file has changed.

Folders are watched, not files: editors and deployments replace a file by renaming another over it, or turn a symbolic
link somewhere on the way to it. Whatever happens in a folder on the way, the files' contents decide whether it matters.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path

from watchfiles import awatch

from pylos.contents import digest, is_folder, is_link
from pylos.supervisor import log
from pylos.supervisor.aside import in_thread

QUIET_MS = 100
"""A change counts when nothing has happened for so long: a file is often written in several steps."""
LONGEST_LINK_CHAIN = 40
PAUSE_SECONDS = 0.5
"""After so long it is tried again where a folder has gone that was just found."""


class Watcher:
    """Calls `changed` when the contents of the followed files change. Ended by `close`."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._files: tuple[Path, ...] = ()
        self._contents = b""
        self._task: asyncio.Task[None] | None = None
        self._looking = asyncio.Lock()

    async def follow(self, files: Iterable[Path], known: bytes = b"") -> None:
        """Watch these files from now on. `known` is the digest of their contents when they were read, if they were.

        Where that cannot be done it is told: what serves does not depend on it.
        """
        files = tuple(files)
        if files == self._files and self._task is not None and not self._task.done():
            return  # and what changed since the last look is still to be reported
        known = self._contents if files == self._files else known or await in_thread(lambda: digest(files))
        await self.close()
        self._files, self._contents = files, known
        if files:
            set_up = asyncio.Event()
            self._task = asyncio.create_task(self._watch(files, set_up), name="watch configuration files")
            await set_up.wait()  # that holds the event loop up: not when someone has just been told to go on

    async def close(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _watch(self, files: tuple[Path, ...], set_up: asyncio.Event) -> None:
        """Watch the folders that there are, and begin anew when these are others."""
        told: list[str] = []
        try:
            while True:
                folders = await in_thread(lambda: folders_to_watch(files))
                if folders.closed and folders.closed != told:
                    tell_of_a_failure("they may not be listed", folders.closed)
                told = folders.closed
                try:
                    await self._watch_while(folders, files, set_up)
                except FileNotFoundError:  # one has gone since
                    await asyncio.sleep(PAUSE_SECONDS)
        except (OSError, RuntimeError, ValueError) as error:
            tell_of_a_failure(str(error))
        finally:
            set_up.set()

    async def _watch_while(self, folders: Folders, files: tuple[Path, ...], set_up: asyncio.Event) -> None:
        """Watch folders as long as they are those of the files."""
        others = asyncio.Event()

        async def look() -> None:
            set_up.set()
            await self._look()
            if await in_thread(lambda: folders_to_watch(files)) != folders:
                others.set()

        # From when the watch is set up no change is missed. This look, which begins then, is for earlier ones.
        earlier = asyncio.create_task(look(), name="look for earlier changes")
        try:
            watching = awatch(*folders.open, recursive=False, step=QUIET_MS, stop_event=others)
            async with aclosing(watching) as changes:
                async for _ in changes:
                    await look()
        finally:
            earlier.cancel()

    async def _look(self) -> None:
        async with self._looking:  # an earlier look must not end after a later one
            if (found := await in_thread(lambda: digest(self._files))) != self._contents:
                self._contents = found
                self._changed()


@dataclass(frozen=True)
class Folders:
    """Those in which something can happen to files: each with what tells it from another one of its name."""

    found: Mapping[Path, tuple[int, int, bool]]
    """Device and number, and whether changes in it are told: to read its files it is enough to enter it."""

    @property
    def open(self) -> list[Path]:
        """Those that can be watched."""
        return [folder for folder, (*_, told) in self.found.items() if told]

    @property
    def closed(self) -> list[str]:
        """The others."""
        return sorted(str(folder) for folder, (*_, told) in self.found.items() if not told)


def tell_of_a_failure(why: str, folders: Sequence[str] = ()) -> None:
    """Say that files are not watched: all, or those in some folders."""
    files = f"files in {', '.join(folders)}" if folders else "configuration files"
    log.warning("watch_failed", f"{files} are not watched ({why}); reload with SIGHUP", folders=folders)


def folders_to_watch(files: Iterable[Path]) -> Folders:
    """Give the folder of each file, and of everything that a symbolic link on the way to it points at.

    In the place of one that is not there, the nearest one in which it may come to be; above one that may not be listed,
    the nearest one in which it can be seen that it may.
    """
    found: dict[Path, tuple[int, int, bool]] = {}
    for file in files:
        path = file.absolute()
        for folder in (*([path] if is_folder(path) else []), *_folders_on_the_way(path)):
            for nearest in (folder, *folder.parents):
                if nearest not in found and (identity := identity_of(nearest)) is not None:
                    found[nearest] = identity
                if nearest in found and found[nearest][-1]:
                    break
    return Folders(found)


def identity_of(folder: Path) -> tuple[int, int, bool] | None:
    """Tell a folder from another one of its name; None where there is none."""
    try:
        status = folder.stat()
    except OSError:
        return None
    if not stat.S_ISDIR(status.st_mode):
        return None
    return status.st_dev, status.st_ino, os.access(folder, os.R_OK, effective_ids=True)


def _folders_on_the_way(path: Path) -> Iterable[Path]:
    for _ in range(LONGEST_LINK_CHAIN):
        yield path.parent
        link = next((part for part in (path, *path.parents) if is_link(part)), None)
        if link is None:
            return
        yield link.parent
        try:
            path = link.parent / link.readlink() / path.relative_to(link)
        except OSError:  # it is gone since
            return
