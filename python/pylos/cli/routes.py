"""`pylos routes`: which requests go where."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pylos.cli.options import ConfigFile, Json, chosen
from pylos.cli.output import show_json, show_table
from pylos.config import load
from pylos.errors import Problem, printable

HEADS = ("ROUTE", "METHODS", "HOST", "PATH", "WHEN", "PRIORITY", "ACTION", "LISTENERS", "POLICIES", "NOTE")
IF_NEEDED = {"WHEN", "PRIORITY", "NOTE"}
"""Columns that are left out where they say nothing."""
SHADOWED = "P203"


def routes(*, config: ConfigFile = None, json: Json = False) -> None:
    """List the routes of a configuration, in the order in which they are tried: the most specific first.

    A match that never decides anything is marked as shadowed; `pylos check` says by which other one.

    [bold]Examples[/bold]

      pylos routes

      pylos routes -c gateway.toml --json
    """
    loaded = load(chosen(config))
    rows = marked(loaded.routes(), loaded.warnings, loaded.table["route"])
    if json:
        show_json(rows)
        return
    lines = [columns(row) for row in rows]
    shown = [at for at, head in enumerate(HEADS) if head not in IF_NEEDED or any(line[at] for line in lines)]
    show_table([HEADS[at] for at in shown], [[line[at] or "-" for at in shown] for line in lines])


def marked(rows: list[dict[str, Any]], warnings: Iterable[Problem], table: dict[str, Any]) -> list[dict[str, Any]]:
    """Say of each row whether it is shadowed."""
    shadowed = {match_of(warning, table): warning.message for warning in warnings if warning.code == SHADOWED}
    found = []
    for row in reversed(rows):  # of two that are the same, the later one is shadowed
        keys = ((row["route"], match) for match in table[row["route"]]["match"])
        why = next((shadowed.pop(key) for key in keys if key in shadowed and is_spelled(key[1], row)), None)
        found.append({**row, "shadowed": why})
    return found[::-1]


def match_of(warning: Problem, table: dict[str, Any]) -> tuple[str, str]:
    """Give the route and the match that a warning is about."""
    route, index = str(warning.path[1]), warning.path[-1]
    matches = table[route]["match"]
    return route, matches[index if isinstance(index, int) else 0]


def is_spelled(match: str, row: dict[str, Any]) -> bool:
    """Whether a row is made of this match."""
    methods, _, rest = match.rpartition(" ")
    host, slash, path = rest.partition("/")
    same_methods = sorted(methods.split(",")) == sorted(row["methods"] or [""])
    return same_methods and host.lower() == row["host"] and slash + path == row["path"]


def columns(row: dict[str, Any]) -> list[str]:
    """Write one row for a reader; empty where it says nothing."""
    return [
        printable(cell)
        for cell in (
            row["route"],
            ",".join(row["methods"]) if row["methods"] is not None else "any",
            row["host"] or "any",
            row["path"],
            ", ".join(row["when"]),
            str(row["priority"] or ""),
            " ".join(filter(None, [row["action"], row["to"]])),
            ",".join(row["listeners"]),
            ",".join(row["policies"]),
            "shadowed" if row["shadowed"] else "",
        )
    ]
