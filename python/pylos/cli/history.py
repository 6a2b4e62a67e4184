"""`pylos history`: which configurations a running gateway has used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from pylos import supervisor
from pylos.cli.options import Json
from pylos.cli.output import show_json, show_table
from pylos.cli.running import Name
from pylos.config.diff import changes, rendered
from pylos.config.meaning import Meaning

HEADS = ("", "N", "TIME", "DIGEST", "REASON", "CHANGED")
Number = Annotated[
    int | None, typer.Argument(min=1, metavar="N", help="Show how the one in use differs from this one.")
]


def history(number: Number = None, *, name: Name = supervisor.DEFAULT_NAME, json: Json = False) -> None:
    """List the configurations that a running gateway has used, the latest first, at most 20; * is in use.

    With a number: what has changed from that one to the one in use.

    [bold]Examples[/bold]

      pylos history

      pylos history 3
    """
    line = supervisor.connect(name)
    try:
        if number is None:
            show_list(line.ask({"type": "history"})["entries"], line.ask({"type": "status"})["running"], json=json)
            return
        then, now = (line.ask({"type": "document", "number": which}) for which in (number, None))
    finally:
        line.close()
    found = changes(Meaning(then["document"]), Meaning(now["document"]))
    if json:
        shown = [change.as_json() for change in found]
        show_json({"from": then["number"], "to": now["number"], "changes": shown})
    else:
        typer.echo("\n".join(rendered(found) or ["the same as the one in use"]))


def show_list(entries: list[dict[str, Any]], running: Mapping[str, Any], *, json: bool) -> None:
    """Print the entries, and whether the file says what is in use."""
    if json:
        show_json({"entries": entries, "drift": running["drift"]})
        return
    show_table(HEADS, [row(entry) for entry in entries])
    if running["drift"]:
        typer.echo(f"the configuration in use is not that of {running['source'] or 'its source'}: {running['drift']}")


def row(entry: Mapping[str, Any]) -> list[str]:
    """Write one entry for a reader."""
    mark = "*" if entry["in_use"] else ""
    return [mark, str(entry["number"]), entry["time"], entry["digest"], entry["reason"], entry["summary"]]
