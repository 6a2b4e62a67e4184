"""The configurations that were in use, the last twenty of them. In memory: a new supervisor begins anew."""

from __future__ import annotations

import json
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pylos.config.diff import Change, changes, summary
from pylos.config.meaning import Meaning
from pylos.errors import PylosError
from pylos.supervisor.source import Checked

LONGEST = 20
UNTOLD = "what it changes cannot be told"


@dataclass(frozen=True)
class Entry:
    """One configuration that was put into use."""

    number: int
    """The generation that the gateway process knows it by."""
    time: datetime
    reason: str
    digest: str
    summary: str
    """What it changed."""
    restores: int | None
    """Of a rollback, the number of the document that it put back."""
    name: str
    packed: bytes = field(repr=False)
    """The document; a large one is a few kilobytes in this form."""
    folder: Path
    """Where its policies in Python are."""
    named: dict[str, Any] = field(default_factory=dict)
    """Where its certificates are read."""
    material: list[Path] = field(default_factory=list)
    """The files of that."""
    renews: bool = False
    """Only its certificates are new."""

    @property
    def document(self) -> dict[str, Any]:
        """Its table and tests."""
        document: dict[str, Any] = json.loads(zlib.decompress(self.packed))
        return document

    @property
    def checked(self) -> Checked:
        """The same as something to put into use."""
        document = self.document
        beside = {"tests": document.pop("test"), "secrets": document.pop("secrets"), "acme": document.pop("acme")}
        return Checked(document, self.name, **beside, folder=self.folder, named=self.named, material=self.material)

    def as_json(self, *, in_use: bool) -> dict[str, Any]:
        """Give all but the document as plain values."""
        return {
            "number": self.number,
            "time": self.time.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "reason": self.reason,
            "digest": self.digest,
            "summary": self.summary,
            "restores": self.restores,
            "in_use": in_use,
        }


class History:
    """What was in use, in order; the last entry is what is in use."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._entries: deque[Entry] = deque(maxlen=LONGEST)
        self._now = now

    def entry(
        self, number: int, checked: Checked, reason: str, restores: int | None = None
    ) -> tuple[Entry, list[Change]]:
        """Make the entry of what follows that in use, and give what it changes. Slow for a large document."""
        first = not self._entries
        found = [] if first else changes(Meaning(self.in_use.document), Meaning(checked.document))
        told = "the first" if first else summary(found)
        return self.bare_entry(number, checked, reason, restores, told), found

    def bare_entry(
        self, number: int, checked: Checked, reason: str, restores: int | None = None, told: str = UNTOLD
    ) -> Entry:
        """Make an entry without a look at what it changes."""
        packed = zlib.compress(json.dumps(checked.document).encode())
        beside = (checked.folder, checked.named, checked.material)
        return Entry(number, self._now(), reason, checked.digest, told, restores, checked.name, packed, *beside)

    def add(self, entry: Entry) -> None:
        """Note what is in use from now on; of renewals one after the other the last one is kept."""
        if entry.renews and self.in_use.renews:
            self._entries.pop()
        self._entries.append(entry)

    def renewal(self, number: int, checked: Checked, reason: str) -> Entry:
        """Make the entry of what is in use with other certificates. A rollback passes it over: it restores the same."""
        of = self.in_use.restores or self.in_use.number
        entry = self.bare_entry(number, checked, reason, of, f"new certificates for configuration {of}")
        return replace(entry, renews=True)

    @property
    def in_use(self) -> Entry:
        """What is in use."""
        return self._entries[-1]

    def find(self, number: int | None) -> Entry:
        """Find an entry; None is the one before that in use. Raises PylosError."""
        if number is None:
            return self._before()
        for entry in self._entries:
            if entry.number == number:
                return entry
        raise PylosError(f"there is no configuration {number} in the history; {self._known()}")

    def document(self, number: int | None) -> dict[str, Any]:
        """Give a former document, or the one in use, with its number. Raises PylosError."""
        entry = self.in_use if number is None else self.find(number)
        return {"number": entry.number, "document": entry.document}

    def _before(self) -> Entry:
        """Give the one before; before a restored one stands what was before it when it was new.

        So one rollback after the other goes further back, and never to what was just left.
        """
        in_use = self.in_use
        origin = in_use.restores or in_use.number
        for entry in reversed(self._entries):
            if entry.number < origin and entry.digest != in_use.digest:
                return entry
        raise PylosError(f"there is no configuration before the one in use; {self._known()}")

    def _known(self) -> str:
        return "there are " + ", ".join(str(entry.number) for entry in self._entries)

    def as_json(self) -> list[dict[str, Any]]:
        """List all entries, the latest first."""
        return [entry.as_json(in_use=entry is self.in_use) for entry in reversed(self._entries)]
