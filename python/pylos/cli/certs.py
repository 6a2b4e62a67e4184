"""`pylos certs`: which certificates are shown, and until when they hold."""

from __future__ import annotations

from typing import Any

from pylos.cli.options import ConfigFile, Json, chosen
from pylos.cli.output import show_json, show_table
from pylos.config import load
from pylos.errors import printable

HEADS = ("TLS", "NAMES", "KEY", "EXPIRES", "FILE", "NOTE")


def certs(*, config: ConfigFile = None, json: Json = False) -> None:
    """List the certificates of a configuration: for which names, with what kind of key, until when, from which file.

    They are read from the files as they are now, and are sound: `pylos check` says what is wrong with others.

    [bold]Examples[/bold]

      pylos certs

      pylos certs -c gateway.toml --json
    """
    loaded = load(chosen(config))
    rows: list[dict[str, Any]] = []
    if loaded.pairs:
        from pylos.config.certificates import listed  # noqa: PLC0415 - what it needs takes long to import

        rows = list(listed(loaded))
    if json:
        show_json(rows)
        return
    lines = [columns(row) for row in rows]
    width = len(HEADS) if any(line[-1] for line in lines) else len(HEADS) - 1
    show_table(HEADS[:width], [line[:width] for line in lines])


def columns(row: dict[str, Any]) -> list[str]:
    """Write one row for a reader; the note is empty where there is nothing to say."""
    day = str(row["not_after"]).partition("T")[0]
    cells = (row["tls"], ",".join(row["names"]), row["key"], day, row["file"], row["note"] or "")
    return [printable(cell) for cell in cells]
