"""What a configuration means: all that counts when it is compared with another."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from pylos.config.check import Loaded
from pylos.config.compiled import Compiled, compile_sound

Plain = dict[str, Any]
Table = Mapping[str, Any]
BESIDE = ("test", "secrets", "acme")
"""What a document has beside the gateway's table."""


class Meaning:
    """A document (a table and what stands beside it), and what its table compiles to, at most once."""

    def __init__(self, document: Table, compiled: Compiled | None = None) -> None:
        self.document = document
        self._given = compiled

    @classmethod
    def of(cls, loaded: Loaded) -> Meaning:
        """Take what was loaded, and compiled with that."""
        return cls(loaded.document, loaded.compiled)

    @cached_property
    def compiled(self) -> Compiled:
        """The table as the core has it. Raises PylosError when this version of Pylos cannot use it."""
        if self._given is not None:
            return self._given
        return compile_sound({key: value for key, value in self.document.items() if key not in BESIDE})

    @cached_property
    def rows(self) -> list[Plain]:
        """The routes in their order of precedence."""
        return self.compiled.routes()
