"""Notice that a configuration file has changed.

Folders are watched, not files: editors and deployments replace a file by renaming another over it, or turn a symbolic
link somewhere on the way to it. Whatever happens in a folder on the way, the files' contents decide whether it matters.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from watchfiles import awatch

from pylos.contents import is_folder, is_link
from pylos.supervisor import log

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

    async def follow(self, files: Iterable[Path], known: bytes = b"") -> None:
        """Watch these files from now on. `known` is the digest of their contents when they were read, if they were.

        Where that cannot be done it is told: what serves does not depend on it.
        """
        try:
            await self._follow(tuple(files), known)
        except (OSError, RuntimeError, ValueError) as error:
            tell_of_a_failure(str(error))

    async def _follow(self, files: tuple[Path, ...], known: bytes) -> None:
        if files == self._files and folders_to_watch(files) == self._folders:
            return  # and what changed since the last look is still to be reported
        known = self._contents if files == self._files else known or contents(files)
        await self.close()
        self._files, self._folders, self._contents = files, folders_to_watch(files), known
        if closed := sorted(str(folder) for folder in self._folders if not can_be_watched(folder)):
            tell_of_a_failure("they may not be listed", closed)
        if self._folders:
            self._task = asyncio.create_task(self._watch(self._folders), name="watch configuration files")
            await asyncio.sleep(0)  # the task's first step sets up the watch
        self._look()  # from here on no change is missed, so this is the time to look for earlier ones

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
                self._look()
        except (OSError, RuntimeError) as error:
            tell_of_a_failure(str(error))

    def _look(self) -> None:
        if (found := contents(self._files)) != self._contents:
            self._contents = found
            self._changed()


def can_be_watched(folder: Path) -> bool:
    """Whether changes in a folder are told: to enter it is enough to read its files, but not for that."""
    return os.access(folder, os.R_OK, effective_ids=True)


def tell_of_a_failure(why: str, folders: Sequence[str] = ()) -> None:
    """Say that files are not watched: all, or those in some folders."""
    files = f"files in {', '.join(folders)}" if folders else "configuration files"
    log.warning("watch_failed", f"{files} are not watched ({why}); reload with SIGHUP", folders=folders)


def contents(files: Iterable[Path]) -> bytes:
    """Give a digest of the files' contents; a file that cannot be read counts as another content.

    Of a folder, in which a pattern looks for files, the names count.
    """
    digest = hashlib.sha256()
    for file in files:
        try:
            data = names_in(file) if file.is_dir() else file.read_bytes()
        except OSError as error:
            digest.update(f"!{error.errno}".encode())
        else:
            digest.update(len(data).to_bytes(8, "big") + data)
    return digest.digest()


def names_in(folder: Path) -> bytes:
    """List a folder, without what editors leave there while they write."""
    names = (path.name for path in folder.iterdir())
    return "\0".join(sorted(name for name in names if not name.startswith(".") and not name.endswith("~"))).encode(
        errors="surrogateescape"
    )


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
