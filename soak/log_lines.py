"""Reads the access log while it is written, all files that it has had."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

from soak.ledger import Ledger

TOKEN = re.compile(r"(?:^|&)t=([^&]+)")
BEGINNING = b'{"ts":'
SETTLED = 120.0
"""Seconds without a line after which a file that is no longer written to is removed."""


class LogLines:
    """The files of the access log, the one in use last."""

    def __init__(self, ledger: Ledger, first: Path) -> None:
        self._ledger = ledger
        self._files = [_File(first)]
        self.torn = 0
        """Lines that a killed process has not finished."""

    def follow(self, path: Path) -> None:
        """Read another file too."""
        self._files.append(_File(path))

    def renamed(self, path: Path, fresh: Path) -> None:
        """Read the file in use under its new name, and the one that will be made in its place."""
        self._files[-1].path = path
        self.follow(fresh)

    def read(self) -> None:
        """Take what is there."""
        for file in self._files:
            for line in file.lines():
                self._take(line)
        for file in [one for one in self._files[:-1] if one.idle > SETTLED]:
            self._files.remove(file)
            file.path.unlink(missing_ok=True)

    def _take(self, line: bytes) -> None:
        try:
            record = json.loads(line)
        except ValueError:
            # The next process has appended to what a killed one has left in the middle.
            whole = line.rfind(BEGINNING)
            if whole <= 0:
                self._ledger.breach(f"a line of the access log does not parse: {line[:200]!r}")
                return
            self.torn += 1
            self._take(line[whole:])
            return
        if found := TOKEN.search(record["query"] or ""):
            self._ledger.line(found[1])


class _File:
    """One file, and how far it was read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._at = 0
        self._rest = b""
        self._grew = time.monotonic()

    @property
    def idle(self) -> float:
        return time.monotonic() - self._grew

    def lines(self) -> list[bytes]:
        try:
            with self.path.open("rb") as file:
                file.seek(self._at)
                data = file.read()
        except FileNotFoundError:
            return []
        if data:
            self._grew = time.monotonic()
        self._at += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        return lines
