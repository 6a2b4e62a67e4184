"""`pylos demo`: a gateway to play with."""

from __future__ import annotations

from typing import Annotated

import typer

from pylos.supervisor import demo as sample

Port = Annotated[int, typer.Option(min=0, max=65535, help="The port of the gateway; 0 takes a free one.")]


def demo(port: Port = 8080) -> None:
    """Start sample services and a gateway in front of them, and print what to try. Ends with Ctrl-C.

    [bold]Examples[/bold]

      pylos demo

      pylos demo --port 9000
    """
    raise typer.Exit(sample.run(port))
