"""`pylos fmt`: lay a configuration out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pylos.cli.options import STANDARD_INPUT, chosen
from pylos.config.format import formatted
from pylos.config.load import read
from pylos.config.write import write
from pylos.errors import PylosError

File = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="The file; `-` lays standard input out. Default: as for check."
    ),
]
Check = Annotated[bool, typer.Option("--check", help="Change nothing; exit code 1 where there would be something to.")]


def fmt(*, config: File = None, check: Check = False) -> None:
    """Lay a TOML file out: blanks and line ends. Comments, order and values stay; included files are not touched.

    [bold]Examples[/bold]

      pylos fmt

      pylos fmt -c gateway.toml --check

      pylos fmt -c - < gateway.toml
    """
    file = chosen(config) if config != STANDARD_INPUT else STANDARD_INPUT
    if file.suffix in (".json", ".py"):
        raise PylosError(f"{file} is no TOML, which is all that can be laid out")
    text = sys.stdin.read() if file == STANDARD_INPUT else read(file, mark=True)
    mark = MARK if text.startswith(MARK) else ""
    result = mark + formatted(text.removeprefix(MARK), str(file))
    if check:
        typer.echo(f"{file}: {'laid out' if result == text else 'would be changed'}", err=result != text)
        raise typer.Exit(0 if result == text else 1)
    if file == STANDARD_INPUT:
        typer.echo(result, nl=False)
    elif result != text:
        write(file, result)


MARK = "\ufeff"
"""A byte order mark. Some editors write one, and read the file as something else without it."""
