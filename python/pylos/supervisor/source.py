"""Where a configuration comes from: a file, which may change, or a document that is what it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pylos.config import Config, Loaded, load
from pylos.errors import Place, Problem


@dataclass(frozen=True)
class Checked:
    """A sound configuration, as far as the supervisor cares about it."""

    table: dict[str, Any]
    """In the form that the gateway takes."""
    name: str = "the configuration"
    """What to call it where a place in a file is not known."""
    warnings: list[Problem] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    """The files it was read from."""

    def problems(self, found: Iterable[Mapping[str, Any]]) -> list[Problem]:
        """Take over what the gateway process found wrong. Rare: the same compiler has checked the table before."""
        place = Place(self.name)
        return [
            Problem(each["code"], each["severity"], tuple(each["path"]), each["message"], each["hint"], place)
            for each in found
        ]


Source = Path | Config | Loaded | Checked


def read(source: Source) -> Checked:
    """Load and check a source, as it is now. Raises ConfigError."""
    if isinstance(source, Checked):
        return source
    loaded = source if isinstance(source, Loaded) else load(source)
    name = str(source) if isinstance(source, Path) else Checked.name
    return Checked(loaded.table, name, loaded.warnings, loaded.watch)
