"""`pylos routes`: which requests go where."""

from __future__ import annotations

from typing import Any

from pylos.cli.options import ConfigFile, Json, chosen
from pylos.cli.output import show_json, show_table
from pylos.config import load

HEADS = ("ROUTE", "METHODS", "HOST", "PATH", "ACTION", "LISTENERS", "POLICIES")


def routes(*, config: ConfigFile = None, json: Json = False) -> None:
    """List the routes of a configuration, in the order in which they are tried: the most specific first.

    [bold]Examples[/bold]

      pylos routes

      pylos routes -c gateway.toml --json
    """
    rows = load(chosen(config)).routes()
    if json:
        show_json(rows)
    else:
        show_table(HEADS, [columns(row) for row in rows])


def columns(row: dict[str, Any]) -> list[str]:
    """Write one row for a reader."""
    return [
        row["route"],
        ",".join(row["methods"]) if row["methods"] is not None else "any",
        row["host"] or "any",
        row["path"],
        " ".join(filter(None, [row["action"], row["to"]])),
        ",".join(row["listeners"]),
        ",".join(row["policies"]) or "-",
    ]
