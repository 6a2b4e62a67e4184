"""Whether a document is sound: its shape, the names in it, and (by the table's compiler) what it means.

A document with mistakes is checked to the end: what can be read of it is lowered and compiled too, so that all
problems are told at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pylos._core import check as compile_table
from pylos._core import routes as list_routes
from pylos.config.lower import file_path, lower, lower_upstream
from pylos.config.problems import Places, Report, closest, did_you_mean, listed
from pylos.config.shape import shape
from pylos.errors import ConfigError, KeyPath, Problem
from pylos.model import Document, Upstream
from pylos.model.document import KINDS


@dataclass(frozen=True)
class Loaded:
    """A sound configuration."""

    config: Document
    """What the file says, with all defaults."""
    table: dict[str, Any]
    """The same in the form that the gateway takes."""
    warnings: list[Problem]
    watch: list[Path]
    """The files it was read from."""

    def routes(self) -> list[dict[str, Any]]:
        """List the routes, in the order in which they are tried: route, methods, host, path, action, to, ..."""
        return list_routes(encoded(self.table))


def check(document: Mapping[str, Any], places: Places, watch: list[Path]) -> Loaded:
    """Check a document; raises ConfigError with every problem."""
    report = Report(places)
    config = shape(document, report)
    check_listeners(document, report)
    check_names(document, report)
    table = lower(config)
    if report.wrong:
        check_remains(table, document, report)
    else:
        add_findings(compile_table(encoded(table)), document, report)
    if report.wrong:
        raise ConfigError(report.problems)
    return Loaded(config, table, report.problems, watch)


def check_listeners(document: Mapping[str, Any], report: Report) -> None:
    """Refuse a document that would serve nobody."""
    if not document.get("listen") and "listen" not in misspelled_kinds(document).values():
        hint = 'add [listen.http] with bind = "127.0.0.1:8080"'
        report.add("P105", (), "there is no [listen.NAME]: nothing would be served", hint=hint)


def check_names(document: Mapping[str, Any], report: Report) -> None:
    """Find every name of an upstream or policy that is not there."""
    for path, kind, name in references(document):
        known = names_of(document, kind)
        if name not in known:
            otherwise = f"known are {listed(sorted(known))}" if known else f"add [{kind}.{name}]"
            report.add("P107", path, f"there is no {kind} `{name}`", hint=did_you_mean(name, known, otherwise))


def references(document: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str, str]]:
    """List all uses of names: where, of which kind, and the name."""
    for kind, key, meant in REFERENCES:
        for path, table in tables_of(document, kind):
            value = table.get(key)
            if isinstance(value, str) and key == "to":
                yield (*path, key), meant, value
            if isinstance(value, list) and key != "to":
                yield from (((*path, key, index), meant, name) for index, name in enumerate(value) if is_text(name))


def tables_of(document: Mapping[str, Any], kind: str) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    """List the tables of a kind that can use names, wherever they have the form of tables at all."""
    tables = as_table(document.get(kind))
    if kind == "pylos":
        yield (kind,), tables
        return
    for name, value in tables.items():
        table = as_table(value)
        if kind != "policy" or table.get("type") == "chain":
            yield (kind, name), table


def is_text(value: object) -> bool:
    """Whether a value is a string."""
    return isinstance(value, str)


REFERENCES = (
    ("pylos", "use", "policy"),
    ("listen", "use", "policy"),
    ("policy", "use", "policy"),
    ("route", "use", "policy"),
    ("route", "without", "policy"),
    ("route", "to", "upstream"),
)


def names_of(document: Mapping[str, Any], kind: str) -> set[str]:
    """Give the names of a kind, also of those tables that are wrong and of those whose kind is misspelled."""
    kinds = [kind, *(wrong for wrong, meant in misspelled_kinds(document).items() if meant == kind)]
    return {name for spelling in kinds for name in as_table(document.get(spelling))}


def misspelled_kinds(document: Mapping[str, Any]) -> dict[str, str | None]:
    """Give the unknown kinds, and which were probably meant."""
    return {kind: closest(kind, KINDS) for kind in document if kind not in KINDS}


def as_table(value: object) -> Mapping[str, Any]:
    """Give a value that ought to be a table; what is none has no keys."""
    return value if isinstance(value, dict) else {}


def check_remains(table: dict[str, Any], document: Mapping[str, Any], report: Report) -> None:
    """Let the compiler check what could be read: without policies, and with stand-ins for upstreams, that could not."""
    policies, upstreams = table["policy"], table["upstream"]
    for user in (table["pylos"], *table["listen"].values(), *policies.values(), *table["route"].values()):
        for key in user.keys() & {"use", "without"}:
            user[key] = [name for name in user[key] if name in policies]
    for route in table["route"].values():
        if route["to"] is not None:
            upstreams.setdefault(route["to"], lower_upstream(STAND_IN))
    # Warnings would be about what is left of the document, not about what was written.
    found = [one for one in compile_table(encoded(table)) if one["severity"] == "error"]
    add_findings(found, document, report)


STAND_IN = Upstream.model_validate({"targets": ["127.0.0.1:1"]})


def encoded(table: Mapping[str, Any]) -> bytes:
    """Write a table as it goes over to the compiler."""
    return json.dumps(table).encode()


def add_findings(found: Iterable[Mapping[str, Any]], document: Mapping[str, Any], report: Report) -> None:
    """Report what the compiler found, at the places of the document."""
    for one in found:
        path = file_path(tuple(one["path"]), document)
        report.add(one["code"], path, one["message"], hint=one["hint"], severity=one["severity"])
