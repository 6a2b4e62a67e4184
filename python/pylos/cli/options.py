"""The options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_FILE = Path("pylos.toml")
FIRST_FILE = Path("gateway.toml")
"""What `pylos init` writes; it is found, too."""

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help=f"The configuration. Default: {DEFAULT_FILE} or {FIRST_FILE} in this directory.",
    ),
]
STANDARD_INPUT = Path("-")
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def chosen(config: Path | None) -> Path:
    """Give the named file, or the one that is there of the two that need no name."""
    if config == STANDARD_INPUT:
        raise typer.BadParameter("only check and fmt read standard input", param_hint="--config")
    if config is not None:
        return config
    found = [file for file in (DEFAULT_FILE, FIRST_FILE) if file.exists()]
    if len(found) == 1:
        return found[0]
    why = "there are both" if found else "there is no"
    message = f"name one (-c FILE); {why} {DEFAULT_FILE} {'and' if found else 'or'} {FIRST_FILE} in this directory"
    raise typer.BadParameter(message, param_hint="--config")
