"""`pylos drain`: a running gateway finishes what it has and ends."""

from __future__ import annotations

from typing import Annotated

import typer

from pylos import supervisor
from pylos.cli.running import Name
from pylos.quantities import DURATION

Deadline = Annotated[
    str | None,
    typer.Option(metavar="DURATION", help="How long requests in flight have, 10s. Default: `drain` of the file."),
]


def drain(*, name: Name = supervisor.DEFAULT_NAME, deadline: Deadline = None) -> None:
    """Let a running gateway finish its requests in flight and end, and wait for that.

    It does what SIGTERM does: new connections are refused from the first moment, and what is left at the deadline is
    cut. One that drains already keeps its deadline.

    [bold]Examples[/bold]

      pylos drain

      pylos drain --deadline 10s -n shop
    """
    ms = None if deadline is None else milliseconds(deadline)
    line = supervisor.connect(name)
    try:
        line.ask_for_the_end({"type": "drain", "deadline_ms": ms})
    finally:
        line.close()
    typer.echo("ended")


def milliseconds(text: str) -> int:
    """Read a duration; one that is none is a wrong use of the command."""
    try:
        return DURATION.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--deadline") from None
