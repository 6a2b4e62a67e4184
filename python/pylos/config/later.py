"""What a document says that only later versions run: told once (P110), and taken out before anything else is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pylos.config.problems import Report
from pylos.errors import KeyPath
from pylos.model import later

MESSAGE = "is not in this version of Pylos"
HINT = "take it out: a later version will run it"


@dataclass
class Present:
    """What is left of a document for this version."""

    document: dict[str, Any]
    settled: dict[KeyPath, set[KeyPath]] = field(default_factory=dict)
    """By table: keys that were taken out, and those that are not missing beside them."""

    def take_out(self, path: KeyPath, stands_for: tuple[str, ...] = ()) -> None:
        """Note what is gone."""
        table, inner = (path[:2], path[2:]) if path[0] != "pylos" else (path[:1], path[1:])
        gone = self.settled.setdefault(table, set())
        gone.add(inner)
        gone.update((*inner[:-1], key) for key in stands_for)


def without_later(document: Mapping[str, Any], report: Report) -> Present:
    """Report what this version does not run, and give the document without it."""
    present = Present({})
    for kind, tables in document.items():
        if kind in later.KINDS:
            report.add("P110", (kind,), MESSAGE, hint=HINT, part="key")
        elif kind == "pylos":
            present.document[kind] = Search(report, present, ("pylos",)).cleared(tables, ("pylos",))
        elif kind == "defaults" and isinstance(tables, dict):
            present.document[kind] = {
                name: Search(report, present, (str(name),)).cleared(table, (kind, name))
                for name, table in tables.items()
            }
        elif isinstance(tables, dict):
            present.document[kind] = named_tables(kind, tables, report, present)
        else:
            present.document[kind] = tables
    return present


def named_tables(kind: str, tables: Mapping[str, Any], report: Report, present: Present) -> dict[str, Any]:
    """Clear all tables of a kind; a policy of a type of later versions goes as a whole."""
    found: dict[str, Any] = {}
    searches: dict[str, Search] = {}
    for name, table in tables.items():
        where = kind
        if kind == "policy":
            policy_type = table.get("type") if isinstance(table, dict) else None
            if isinstance(policy_type, str) and policy_type in later.POLICY_TYPES:
                report.add("P110", (kind, name, "type"), f"`{policy_type}` {MESSAGE}", hint=HINT)
                continue
            where = f"policy:{policy_type}"
        if where not in searches:
            searches[where] = Search(report, present, (where,))
        found[name] = searches[where].cleared(table, (kind, name))
    return found


class Search:
    """Looks through the tables of one kind."""

    def __init__(self, report: Report, present: Present, start: later.Place) -> None:
        self._report = report
        self._present = present
        self._start = start
        self._keys = {place: keys for place, keys in later.KEYS.items() if place[:1] == start}
        self._values = {place: is_later for place, is_later in later.VALUES.items() if place[:1] == start}
        self._ways = {place[:length] for place in (*self._keys, *self._values) for length in range(1, len(place) + 1)}
        """All places on the way to something."""

    def cleared(self, table: Any, path: KeyPath) -> Any:  # noqa: ANN401 - whatever stands in the table's place
        """Give a table without the keys of later versions; say nothing more about their values."""
        return self.part(table, path, self._start) if self._ways else table

    def part(self, value: Any, path: KeyPath, place: later.Place) -> Any:  # noqa: ANN401 - any part of a document
        """Go through a part of a table, where there is something to look for."""
        steps: Iterable[tuple[str | int, later.Place]]
        if isinstance(value, dict):
            value = self.known_keys(value, path, place)
            steps = [(key, (*place, key)) for key in value if (*place, key) in self._ways]
        elif isinstance(value, list) and (*place, "*") in self._ways:
            steps = [(index, (*place, "*")) for index in range(len(value))]
        else:
            return value
        for step, inner in steps:
            before = value[step]
            if inner in self._values and self._values[inner](before):
                self.note_value(before, (*path, step))
            elif (after := self.part(before, (*path, step), inner)) is not before:
                value = value.copy()
                value[step] = after
        return value

    def known_keys(self, table: dict[str, Any], path: KeyPath, place: later.Place) -> dict[str, Any]:
        """Report the keys of later versions and leave them out."""
        keys = self._keys.get(place)
        if keys is None or keys.names.isdisjoint(table):
            return table
        for key in sorted(table.keys() & keys.names):
            self._report.add("P110", (*path, key), MESSAGE, hint=HINT, part="key")
            self._present.take_out((*path, key), keys.stands_for.get(key, ()))
        return {key: value for key, value in table.items() if key not in keys.names}

    def note_value(self, value: object, path: KeyPath) -> None:
        """Report a value of later versions; that this version cannot read it is no news."""
        what = f"`{value}` " if isinstance(value, str) else "a table as its value "
        self._report.add("P110", path, f"{what}{MESSAGE}", hint=HINT)
        self._report.spoil(path)
