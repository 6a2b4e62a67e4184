"""`pylos init`: write a first configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pylos.cli.options import FIRST_FILE
from pylos.config import proxy_to
from pylos.config.first import first
from pylos.config.write import write
from pylos.errors import Place

Targets = Annotated[
    list[str] | None,
    typer.Argument(metavar="TARGET", help="Servers to proxy to: host:port or a URL. Without any, a page to try."),
]
Output = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The file that is written.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]


def init(targets: Targets = None, *, output: Output = FIRST_FILE, force: Force = False) -> None:
    """Write a first configuration, with comments that tell what could be next.

    [bold]Examples[/bold]

      pylos init

      pylos init localhost:8000 localhost:8001

      pylos init localhost:8000 -o shop.toml --force
    """
    if targets:
        proxy_to(targets, "127.0.0.1:8080", Place("command line"))  # refuses a wrong one, before there is a file
    write(output, first(targets or []), replace=force)
    typer.echo(f"{output} is written. Now: pylos serve -c {output}")
