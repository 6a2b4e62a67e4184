"""Which routes and policies of a configuration a test run has exercised."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Self

from pylos.config import Loaded, load
from pylos.config.program import is_module
from pylos.errors import PylosError
from pylos.testing.fitted import Table


class Coverage:
    """The routes and policies of one configuration, and which of them were exercised.

    A route counts when it takes a request, a policy when it acts on one: when it is reached and its `if` holds. A
    filter that lets a request pass has acted too; one behind a filter that refuses has not. What only watches
    (`enforce = 0`) counts likewise. A chain is only a list, and nothing of its own.
    """

    def __init__(self, name: str, loaded: Loaded) -> None:
        self.name = name
        self.origin = origin_of(name)
        self._parts: dict[str, dict[str, Any]] = {
            "route": loaded.table["route"],
            "policy": {name: one for name, one in loaded.table["policy"].items() if one["kind"]["type"] != "chain"},
        }
        self._seen: dict[str, set[str]] = {"route": set(), "policy": set()}

    @classmethod
    def of(cls, source: str) -> Self:
        """Cover a file, a program or "module:name". Raises PylosError, also where there is nothing to cover."""
        made = cls(source, load(source))
        if not made.total:
            raise PylosError(f"{source} has neither routes nor policies: there is nothing to cover")
        return made

    @property
    def total(self) -> int:
        """How many routes and policies there are."""
        return sum(map(len, self._parts.values()))

    @property
    def percent(self) -> float:
        """How many percent of them were exercised."""
        return 100 * sum(map(len, self._seen.values())) / self.total

    def missing(self, kind: str) -> list[str]:
        """Name what was not exercised, of "route" or "policy"."""
        return sorted(self._parts[kind].keys() - self._seen[kind])

    def shared(self, kind: str, table: Table, origin: str | None) -> set[str]:
        """Name what a gateway's table has in common with this configuration.

        From the same file everything, by name: stand-ins and variables may differ. Else what says the same.
        """
        ours, theirs = self._parts[kind], table[kind]
        return {name for name in ours.keys() & theirs.keys() if origin == self.origin or ours[name] == theirs[name]}

    def count(self, kind: str, names: Collection[str]) -> None:
        """Note what was exercised."""
        self._seen[kind] |= self._parts[kind].keys() & set(names)

    def lines(self) -> Iterator[str]:
        """Write the table."""
        yield f"{'':10}{'exercised':>10}{'of':>6}"
        for kind, heading in (("route", "routes"), ("policy", "policies")):
            missing = self.missing(kind)
            seen, there = len(self._seen[kind]), len(self._parts[kind])
            never = f"   never: {', '.join(missing)}" if missing else ""
            yield f"{heading:10}{seen:>10}{there:>6}{_share(seen, there):>9}{never}"
        yield f"{'all':10}{sum(map(len, self._seen.values())):>10}{self.total:>6}{self.percent:>7.1f} %"


def _share(seen: int, there: int) -> str:
    return f"{100 * seen / there:.1f} %" if there else "-"


ACTIVE: list[Coverage] = []
"""The coverages of the test run, set by the pytest plugin."""


def origin_of(source: str) -> str:
    """Give a source a name that is the same from every folder."""
    return source if is_module(source) else str(Path(source).resolve())
