"""What the requests to one gateway under test have exercised of a configuration that is covered.

What is known of each request is an explanation: of what `explain` was asked, of what the package's own clients sent,
and, from the access log, of every other request. The log has no header fields: what depends on them does not count
from there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from pylos.config import Loaded
from pylos.config.explain import Asker, Explanation, PolicyWord, Refuse
from pylos.errors import PylosError
from pylos.testing.coverage import ACTIVE, Coverage, origin_of
from pylos.testing.fitted import Table, fitted
from pylos.testing.message import Fields

LOGGED = frozenset({"client.ip", "request.host", "request.method", "request.path", "request.query"})
"""What an `if` may ask for that a line of the access log tells."""


class Use:
    """The time in which one gateway used one table that a coverage is about."""

    def __init__(self, loaded: Loaded, shared: list[tuple[Coverage, str, set[str]]], number: int) -> None:
        self._loaded = loaded
        self._asker = Asker.of(loaded)
        self._shared = shared
        self._number = number
        self._log: Path | None = None
        self._start = 0
        self._end: int | None = None

    @classmethod
    def of(cls, loaded: Loaded, source: str | None, number: int) -> Self | None:
        """Begin; None where no coverage is about this table."""
        origin = None if source is None else origin_of(source)
        shared = [
            (coverage, kind, names)
            for coverage in ACTIVE
            for kind in ("route", "policy")
            if (names := coverage.shared(kind, loaded.table, origin))
        ]
        return cls(loaded, shared, number) if shared else None

    def is_of(self, loaded: Loaded) -> bool:
        """Whether it is about the same table."""
        return loaded.table == self._loaded.table

    def with_log(self, loaded: Loaded, folder: Callable[[], Path]) -> Loaded:
        """Give the document with an access log that can be read at the end."""
        log = loaded.table["pylos"]["access_log"]
        ours = log is None or log["path"] == "-"
        if self._log is None:
            self._log = folder() / f"{OURS}{self._number}.log" if ours else Path(log["path"])
            self._start = _size(self._log)
        self._end = None

        def edit(table: Table) -> None:
            if ours:
                table["pylos"]["access_log"] = {"path": str(self._log)}

        return fitted(loaded, edit)

    def asked(self, listener: str | None, method: str, path: str, headers: Fields, peer: str | None) -> None:
        """Count a request that was sent, of which everything is known."""
        with suppress(PylosError):  # what makes no sense to the gateway either has exercised nothing
            self.explained(self._asker.ask(method, path, headers=headers, peer=peer, listener=listener))

    def explained(self, told: Explanation) -> None:
        """Count what an explanation tells."""
        self._count("route", [told.route.name] if told.route else [])
        self._count("policy", [word.name for word in reached(told)])

    def leave(self) -> None:
        """Stand back for another table: what a log of the test's own tells from now on is about that one."""
        if self._log is not None and not self._log.name.startswith(OURS):
            self._end = _size(self._log)

    def end(self) -> None:
        """Count what the access log tells, once the gateway has written its last line."""
        if self._log is None or not self._log.exists():
            return
        told: dict[tuple[object, ...], Mapping[str, Any]] = {}
        for text in self._log.read_bytes()[self._start : self._end].splitlines():
            with suppress(ValueError, KeyError, TypeError):  # half a line of a gateway that was killed, or none of ours
                line = json.loads(text)
                told[tuple(line[fact] for fact in FACTS)] = line
        for line in told.values():
            self._logged(line)

    def _logged(self, line: Mapping[str, Any]) -> None:
        """Count a request by its line of the log."""
        route = line["route"]
        self._count("route", [route] if route else [])
        told = self._retold(line)
        refused = line["reason"] is not None and line["status"] < SERVER_ERROR
        if (
            told is not None
            and (told.route.name if told.route else None) == route
            and _reason(told) == (line["reason"] if refused else None)
        ):
            self._count("policy", self._surely_acted(told, refused=refused))
        elif route:
            self._count("policy", self._surely_reached(route, refused=refused))

    def _retold(self, line: Mapping[str, Any]) -> Explanation | None:
        """Explain a logged request, as far as its line tells it."""
        query = f"?{line['query']}" if line["query"] is not None else ""
        host = [("host", line["host"])] if line["host"] else []
        with suppress(PylosError):
            return self._asker.ask(
                line["method"],
                f"{line['path']}{query}",
                headers=host,
                peer=line["client"],
                listener=line["listener"],
            )
        return None

    def _surely_acted(self, told: Explanation, *, refused: bool) -> list[str]:
        """Name the policies that acted, of what can be told without header fields.

        Behind one of which that cannot be told nothing is sure of a refused request: it may be what refused.
        """
        names = [word.name for word in told.policies]
        unsure = [name for name in names if not self._is_told_by_log(name)]
        if refused and unsure:
            names = names[: names.index(unsure[0])]
        return [word.name for word in reached(told) if word.name in names and word.name not in unsure]

    def _surely_reached(self, route: str, *, refused: bool) -> list[str]:
        """Name the policies that a request has met whatever else it was: the first, or all if it was let through."""
        policies: list[str] = next((row["policies"] for row in self._loaded.routes() if row["route"] == route), [])
        table = self._loaded.table["policy"]
        met = [name for name in policies if table[name]["if"] is None]
        return [name for name in met if name == policies[0]] if refused else met

    def _is_told_by_log(self, policy: str) -> bool:
        return LOGGED.issuperset(self._loaded.compiled.asks().get(policy, ()))

    def _count(self, kind: str, names: Collection[str]) -> None:
        for coverage, of_kind, shared in self._shared:
            if kind == of_kind:
                coverage.count(kind, shared.intersection(names))


FACTS = ("method", "host", "path", "query", "client", "listener", "route", "reason", "status")
"""What of a line makes a difference: a thousand requests that are alike are looked at once."""

OURS = "pylos-coverage-"


def _size(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


SERVER_ERROR = 500
"""From here on a refusal is no word of a policy."""


def _reason(told: Explanation) -> str | None:
    return told.outcome.reason if isinstance(told.outcome, Refuse) else None


def reached(told: Explanation) -> Iterator[PolicyWord]:
    """Give the policies that act on a request: as far as the one that refuses it, and those whose `if` holds."""
    words = told.policies
    if isinstance(told.outcome, Refuse) and told.outcome.stage == "admit":
        refusal = f": {told.outcome.status} {told.outcome.reason}"
        end = next((at for at, word in enumerate(words, 1) if word.acts and word.effect.endswith(refusal)), 0)
        words = words[:end]  # where it was none of them, it is not told how far the request came
    yield from filter(acts, words)


def acts(word: PolicyWord) -> bool:
    """Whether a policy does its work on a request, be it only to watch."""
    if word.enforce == 0:
        return word.condition is None or word.condition.holds is True
    return word.acts
