"""Locks among machines that share nothing but a folder.

A lock is a folder of numbered files, its generations; the highest one says who has it. Taking it is making the next
number, which one alone can do (O_EXCL holds on NFS too, open(2)). The holder writes its file anew before the lease runs
out. Whoever waits takes over when it has seen the same bytes for longer than a lease by its own clock: clocks of
machines need not agree, and those of files are not asked. A holder knows by its own clock when others may take over.

After making a number the taker reads again what it has judged, and after renewing the holder lists the numbers:
whichever was later sees the other one. Both may give up then; both cannot go on.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pylos.supervisor.acme import files
from pylos.supervisor.acme.errors import StorageError

LEASE = 60.0
"""Seconds."""
MARGIN = 1.25
"""A lease counts as run out for others after so many of it: clocks of machines run at nearly the same speed."""
BOOTTIME: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Of Linux; the monotonic clock of macOS (clock_gettime(3)) goes on by itself."""
KEPT = 8
"""Former generations that stay, so that nobody who was slow makes one of them anew."""


def clock() -> float:
    """Give seconds that go on while the machine sleeps: a lease runs out meanwhile, and others take over."""
    return time.clock_gettime(BOOTTIME)


@dataclass(slots=True)
class _Seen:
    """What a lock looked like, and since when."""

    generation: int
    content: bytes
    since: float


class Locks:
    """The locks of a storage, as one process sees them. All methods block; they raise StorageError."""

    def __init__(self, folder: Path, lease: float = LEASE, clock: Callable[[], float] = clock) -> None:
        self._folder = folder
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        self.lease = lease
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"

    def take(self, name: str) -> Held | None:
        """Take a lock; None while another one has it, who can be asked for by `holder`."""
        folder = self._folder / files.label(name)
        try:
            files.make_folder(folder)
        except OSError as error:
            raise files.failed(folder, "made", error) from error
        top = _top(folder)
        judged = files.read(folder / str(top)) if top else None
        if top and (judged is None or not self._has_run_out(name, top, judged)):
            return None
        held = Held(folder, top + 1, self.owner, self.lease, self._clock)
        if not held.make():
            return None
        if _top(folder) != held.generation or (top and files.read(folder / str(top)) != judged):
            files.remove(held.path)
            return None
        self._seen.pop(name, None)
        for old in _generations(folder):
            if old <= top - KEPT:
                files.remove(folder / str(old))
        return held

    def holder(self, name: str) -> str | None:
        """Say who has a lock: `HOST:PID:RANDOM`."""
        folder = self._folder / files.label(name)
        top = _top(folder)
        said = _said(files.read(folder / str(top)) or b"") if top else {}
        return None if said.get("released") else str(said.get("owner")) if said else None

    def _has_run_out(self, name: str, generation: int, content: bytes) -> bool:
        if _said(content).get("released") is True:
            return True
        seen, now = self._seen.get(name), self._clock()
        if seen is None or (seen.generation, seen.content) != (generation, content):
            self._seen[name] = _Seen(generation, content, now)
            return False
        return now - seen.since > self.lease * MARGIN


class Held:
    """A lock that was taken. Made by `Locks.take`; renewed by its owner, and released."""

    def __init__(self, folder: Path, generation: int, owner: str, lease: float, clock: Callable[[], float]) -> None:
        self.generation = generation
        self.path = folder / str(generation)
        self._folder = folder
        self._owner = owner
        self._lease = lease
        self._clock = clock
        self._renewed = 0
        self._until = clock() + lease

    @property
    def is_valid(self) -> bool:
        """Whether it is certain that nobody else has it."""
        return self._clock() < self._until

    @property
    def left(self) -> float:
        """For how many seconds that is so."""
        return max(0.0, self._until - self._clock())

    def make(self) -> bool:
        """Make the generation; False where another one was faster. Raises StorageError."""
        try:
            files.create(self.path, self._content())
        except FileExistsError:
            return False
        except OSError as error:
            raise files.failed(self.path, "written", error) from error
        return True

    def renew(self) -> bool:
        """Begin the lease anew; False where the lock is lost. Raises StorageError, and the lease runs on."""
        start = self._clock()
        if start >= self._until:
            return False
        self._renewed += 1
        files.write(self.path, self._content())
        if _top(self._folder) > self.generation:
            self._until = start
            return False
        self._until = start + self._lease
        return True

    def release(self) -> None:
        """Give it back; what cannot be written runs out by itself."""
        self._until = self._clock()
        with suppress(StorageError):
            files.write(self.path, self._content(released=True))

    def _content(self, *, released: bool = False) -> bytes:
        return json.dumps({"owner": self._owner, "renewed": self._renewed, "released": released}).encode()


def _top(folder: Path) -> int:
    return max(_generations(folder), default=0)


def _generations(folder: Path) -> list[int]:
    return [int(name) for name in files.names(folder) if name.isdecimal() and name.isascii()]


def _said(content: bytes) -> dict[str, object]:
    """Read what a holder has written; what is being written, or broken, says nothing."""
    try:
        said = json.loads(content)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
