"""Notice that a configuration file has changed.

Folders are watched, not files: editors and deployments replace a file by renaming another over it, or turn a symbolic
link somewhere on the way to it. Whatever happens in a folder on the way, the files' contents decide whether it matters.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from watchfiles import awatch

from pylos.contents import digest, is_folder, is_link
from pylos.supervisor import log
from pylos.supervisor.aside import in_thread

QUIET_MS = 100
"""A change counts when nothing has happened for so long: a file is often written in several steps."""
LONGEST_LINK_CHAIN = 40


class Watcher:
    """Calls `changed` when the contents of the followed files change. Ended by `close`."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._files: tuple[Path, ...] = ()
        self._folders: frozenset[Path] = frozenset()
        self._contents = b""
        self._task: asyncio.Task[None] | None = None
        self._looking = asyncio.Lock()

    async def follow(self, files: Iterable[Path], known: bytes = b"") -> None:
        """Watch these files from now on. `known` is the digest of their contents when they were read, if they were.

        Where that cannot be done it is told: what serves does not depend on it.
        """
        try:
            await self._follow(tuple(files), known)
        except (OSError, RuntimeError, ValueError) as error:
            tell_of_a_failure(str(error))

    async def _follow(self, files: tuple[Path, ...], known: bytes) -> None:
        folders = folders_to_watch(files)
        if files == self._files and folders == self._folders:
            return  # and what changed since the last look is still to be reported
        known = self._contents if files == self._files else known or await in_thread(lambda: digest(files))
        await self.close()
        self._files, self._folders, self._contents = files, folders, known
        if closed := sorted(str(folder) for folder in folders if not can_be_watched(folder)):
            tell_of_a_failure("they may not be listed", closed)
        if folders:
            self._task = asyncio.create_task(self._watch(folders), name="watch configuration files")
            await asyncio.sleep(0)  # the task's first step sets up the watch
        await self._look()  # from here on no change is missed, so this is the time to look for earlier ones

    async def close(self) -> None:
        """Stop watching."""
        self._folders = frozenset()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _watch(self, folders: frozenset[Path]) -> None:
        try:
            async for _ in awatch(*filter(can_be_watched, folders), recursive=False, step=QUIET_MS):
                await self._look()
        except (OSError, RuntimeError) as error:
            tell_of_a_failure(str(error))

    async def _look(self) -> None:
        async with self._looking:  # an earlier look must not end after a later one
            if (found := await in_thread(lambda: digest(self._files))) != self._contents:
                self._contents = found
                self._changed()


def can_be_watched(folder: Path) -> bool:
    """Whether changes in a folder are told: to enter it is enough to read its files, but not for that."""
    return os.access(folder, os.R_OK, effective_ids=True)


def tell_of_a_failure(why: str, folders: Sequence[str] = ()) -> None:
    """Say that files are not watched: all, or those in some folders."""
    files = f"files in {', '.join(folders)}" if folders else "configuration files"
    log.warning("watch_failed", f"{files} are not watched ({why}); reload with SIGHUP", folders=folders)


def folders_to_watch(files: Iterable[Path]) -> frozenset[Path]:
    """Give the folder of each file, and of everything that a symbolic link on the way to it points at."""
    folders: set[Path] = set()
    for file in files:
        if is_folder(file):
            folders.add(file.absolute())
        folders.update(_folders_on_the_way(file.absolute()))
    return frozenset(folder for folder in folders if is_folder(folder))


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
