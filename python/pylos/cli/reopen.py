"""`pylos reopen`: log files are opened anew."""

from __future__ import annotations

import typer

from pylos import supervisor
from pylos.cli.options import Json
from pylos.cli.output import show_json
from pylos.cli.running import Name


def reopen(*, name: Name = supervisor.DEFAULT_NAME, json: Json = False) -> None:
    """Let a running gateway open its log files anew, once they have been renamed: for rotation.

    When it returns, nothing is written to the files before any more. SIGUSR1 does the same.

    [bold]Examples[/bold]

      pylos reopen

      pylos reopen -n shop
    """
    line = supervisor.connect(name)
    try:
        line.ask({"type": "reopen"})
    finally:
        line.close()
    if json:
        show_json({"ok": True})
    else:
        typer.echo("log files were opened anew")
