"""Notice that a configuration file has changed.

Folders are watched, not files: editors and deployments replace a file by renaming another over it, or turn a symbolic
link somewhere on the way to it. Whatever happens in a folder on the way, the files' contents decide whether it matters.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from watchfiles import awatch

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
        """Watch these files from now on. `known` is the digest of their contents when they were read, if they were."""
        files = tuple(files)
        if files == self._files and folders_to_watch(files) == self._folders:
            return  # and what changed since the last look is still to be reported
        known = self._contents if files == self._files else known or contents(files)
        await self.close()
        self._files, self._folders, self._contents = files, folders_to_watch(files), known
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
            async for _ in awatch(*folders, recursive=False, step=QUIET_MS):
                self._look()
        except (OSError, RuntimeError) as error:
            log.warning("watch_failed", f"configuration files are not watched ({error}); reload with SIGHUP")

    def _look(self) -> None:
        if (found := contents(self._files)) != self._contents:
            self._contents = found
            self._changed()


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
        if file.is_dir():
            folders.add(file.absolute())
        folders.update(_folders_on_the_way(file.absolute()))
    return frozenset(folder for folder in folders if folder.is_dir())


def _folders_on_the_way(path: Path) -> Iterable[Path]:
    for _ in range(LONGEST_LINK_CHAIN):
        yield path.parent
        link = next((part for part in (path, *path.parents) if part.is_symlink()), None)
        if link is None:
            return
        yield link.parent
        path = link.parent / link.readlink() / path.relative_to(link)
