"""`pylos unit`: the unit for systemd."""

from __future__ import annotations

import shlex
import sys
from importlib.resources import files
from pathlib import Path

import typer

PROGRAM = "/usr/local/bin/pylos"
"""What stands in the file for the program."""


def unit() -> None:
    """Print a unit for systemd that runs this program as the user `pylos`, with no rights that it does not need.

    [bold]Examples[/bold]

      pylos unit > /etc/systemd/system/pylos.service
    """
    text = (files("pylos") / "systemd" / "pylos.service").read_text(encoding="utf-8")
    typer.echo(text.replace(PROGRAM, program()), nl=False)


def program() -> str:
    """Give the command that runs Pylos as it runs now."""
    script = Path(sys.executable).with_name("pylos")
    return str(script) if script.exists() else shlex.join([sys.executable, "-m", "pylos"])
