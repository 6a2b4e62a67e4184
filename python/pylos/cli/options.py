"""The options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_FILE = Path("pylos.toml")

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help=f"The configuration. Default: {DEFAULT_FILE} in this directory."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def chosen(config: Path | None) -> Path:
    """Give the named file, or the default one where it is there."""
    if config is not None:
        return config
    if DEFAULT_FILE.exists():
        return DEFAULT_FILE
    raise typer.BadParameter(f"name one (-c FILE); there is no {DEFAULT_FILE} in this directory", param_hint="--config")
