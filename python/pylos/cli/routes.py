"""`pylos routes`: which requests go where."""

from __future__ import annotations

from typing import Any

from pylos.cli.options import ConfigFile, Json, chosen
from pylos.cli.output import show_json, show_table
from pylos.config import load
from pylos.errors import printable

HEADS = ("ROUTE", "METHODS", "HOST", "PATH", "WHEN", "PRIORITY", "ACTION", "LISTENERS", "POLICIES", "NOTE")
IF_NEEDED = {"WHEN", "PRIORITY", "NOTE"}
"""Columns that are left out where they say nothing."""


def routes(*, config: ConfigFile = None, json: Json = False) -> None:
    """List the routes of a configuration, in the order in which they are tried: the most specific first.

    A match that never decides anything is marked as shadowed; `pylos check` says by which other one.

    [bold]Examples[/bold]

      pylos routes

      pylos routes -c gateway.toml --json
    """
    rows = load(chosen(config)).routes()
    if json:
        show_json(rows)
        return
    lines = [columns(row) for row in rows]
    shown = [at for at, head in enumerate(HEADS) if head not in IF_NEEDED or any(line[at] for line in lines)]
    show_table([HEADS[at] for at in shown], [[line[at] or "-" for at in shown] for line in lines])


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
            "shadowed" if row["shadowed_by"] else "",
        )
    ]
