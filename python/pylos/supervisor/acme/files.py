"""Files that are there whole or not at all, on a disk of this machine or one that several machines share.

All functions block, and raise StorageError with the file's name in place of OSError.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pylos.supervisor.acme.errors import StorageError

LONGEST_SLUG = 60
LARGEST = 1 << 20
"""Bytes of a file that is read."""
UNFINISHED = ".new"
Stamp = tuple[int, int, int]
"""Time of the last change (ns), inode and size of a file."""


PERMISSIONS = "let the user that the gateway runs as own the storage, with all that is in it"
ROOM = "make room on its disk; what is new is kept in memory until then, and tried again by itself"
SERVER = "see to the disk or the file server; it is tried again by itself"
KIND = "something else has the name of a folder or file of the storage: take it away"
REMEDIES = {
    errno.EACCES: PERMISSIONS,
    errno.EPERM: PERMISSIONS,
    errno.ENOSPC: ROOM,
    errno.EDQUOT: ROOM,
    errno.EROFS: "its file system is mounted read only: mount it to be written, or choose another place",
    errno.EIO: SERVER,
    errno.ESTALE: SERVER,
    errno.ENOTDIR: KIND,
    errno.EISDIR: KIND,
    errno.EEXIST: KIND,
}


def label(name: str) -> str:
    """Give the file name of any name: what is readable of it, and a hash, so that no two share one.

    It has no separator, begins with no dot, and differs for names that a file system takes for the same.
    """
    slug = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:LONGEST_SLUG]
    return f"{slug or 'x'}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def write(path: Path, data: bytes) -> None:
    """Put a file (mode 0600) in place of what is there, in one step, and see that it is on the disk."""
    with _told(path, "written"):
        make_folder(path.parent)
        new = path.with_name(f".{path.name}.{secrets.token_hex(8)}{UNFINISHED}")
        try:
            create(new, data)
            new.replace(path)
        except BaseException:
            with suppress(OSError):
                new.unlink()
            raise
        _sync_folder(path.parent)


def create(path: Path, data: bytes) -> None:
    """Make a file (mode 0600) that must not be there yet: FileExistsError. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def read(path: Path) -> bytes | None:
    """Give what is in a file; None where there is none."""
    with _told(path, "read"):
        try:
            with path.open("rb") as file:
                return file.read(LARGEST)
        except (FileNotFoundError, NotADirectoryError):
            return None


def remove(path: Path) -> None:
    """Remove a file, if it is there."""
    with _told(path, "removed"), suppress(FileNotFoundError):
        path.unlink()


def names(folder: Path) -> list[str]:
    """List a folder without what is being written; a folder that is not there is empty."""
    with _told(folder, "listed"):
        try:
            return sorted(name for name in os.listdir(folder) if not name.startswith("."))  # noqa: PTH208, names do
        except FileNotFoundError:
            return []


def unfinished(folder: Path, before: float) -> list[Path]:
    """List what `write` has begun before a point in time (s since 1970), and not ended, in all folders below."""
    found = []
    with _told(folder, "listed"):
        for path in folder.rglob(f".*{UNFINISHED}"):
            with suppress(FileNotFoundError):
                if path.lstat().st_mtime < before:
                    found.append(path)
    return found


def stamps(folder: Path) -> dict[str, Stamp]:
    """List a folder as `names` does, and with each file what is another where a file has taken its place."""
    with _told(folder, "listed"):
        try:
            with os.scandir(folder) as entries:
                return {entry.name: stamp for entry in entries if (stamp := _stamp(entry)) is not None}
        except FileNotFoundError:
            return {}


def _stamp(entry: os.DirEntry[str]) -> Stamp | None:
    if entry.name.startswith("."):
        return None
    try:
        found = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def make_folder(path: Path) -> None:
    """Make a folder with those above it that are missing, all with mode 0700. Raises OSError."""
    if not path.is_dir():
        make_folder(path.parent)  # `parents=True` would give those the usual mode
        path.mkdir(mode=0o700, exist_ok=True)


def set_aside(path: Path, folder: Path) -> Path | None:
    """Move a broken file away, so that a new one can take its place; None where another machine was faster."""
    with _told(path, "set aside"):
        make_folder(folder)
        aside = folder / f"{path.parent.name}-{path.name}-{secrets.token_hex(4)}"
        try:
            path.rename(aside)
        except FileNotFoundError:
            return None
        return aside


def _sync_folder(path: Path) -> None:
    """See that a rename is on the disk. Some file systems of networks cannot, and need not."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _told(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise failed(path, what, error) from error


def failed(path: Path, what: str, error: OSError) -> StorageError:
    """Say what the file system refuses, and what to do."""
    remedy = REMEDIES.get(error.errno or 0, "the storage must be a folder that this user alone can read and write")
    return StorageError(f"{path} cannot be {what}: {error.strerror or error}\n      = {remedy}")
