"""Files that one process at a time has: the lock goes with the process, however that ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class TakenError(Exception):
    """Another process has it."""

    def __init__(self, owner: str) -> None:
        super().__init__(owner)
        self.owner = f" (process {owner})" if owner else ""
        """Which one, to be put behind a name."""


def opened(path: Path) -> int:
    """Open the file of a lock, made where it is missing; no child inherits it. Raises OSError."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def take(lock: int) -> None:
    """Take a lock, and leave our number in it for whoever comes next. Raises TakenError, OSError."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise TakenError(os.pread(lock, 20, 0).decode(errors="replace").strip()) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
