"""`pylos forget`: what policies in Python have decided before counts no more."""

from __future__ import annotations

from typing import Annotated

import typer

from pylos import supervisor
from pylos.cli.options import Json
from pylos.cli.output import show_json
from pylos.cli.running import Name
from pylos.config.problems import listed


def forget(
    policy: Annotated[str | None, typer.Argument(help="The policy; without one, all of them.")] = None,
    *,
    name: Name = supervisor.DEFAULT_NAME,
    json: Json = False,
) -> None:
    """Forget what a running gateway remembers of the decisions of policies in Python.

    [bold]Examples[/bold]

      pylos forget

      pylos forget fraud
    """
    line = supervisor.connect(name)
    try:
        policies: list[str] = line.ask({"type": "forget", "policy": policy})["policies"]
    finally:
        line.close()
    if json:
        show_json({"policies": policies})
    else:
        typer.echo(f"forgotten: {listed(policies)}" if policies else "there is no policy in Python")
