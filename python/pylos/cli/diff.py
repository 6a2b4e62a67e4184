"""`pylos diff`: what another configuration would change."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pylos import supervisor
from pylos.cli.options import Json
from pylos.cli.output import show_json, show_problems
from pylos.cli.running import Name
from pylos.config import load
from pylos.config.diff import changes, rendered
from pylos.config.meaning import Meaning
from pylos.config.traffic import Compared, compare
from pylos.errors import ConfigError, PylosError

SAME, DIFFERS, TROUBLE = 0, 1, 2


def diff(
    first: Annotated[Path, typer.Argument(metavar="A", help="A configuration.")],
    second: Annotated[Path | None, typer.Argument(metavar="B", help="Another. Default: what runs.")] = None,
    *,
    name: Name = supervisor.DEFAULT_NAME,
    traffic: Annotated[
        Path | None, typer.Option(metavar="ACCESS_LOG", help="Ask where the requests of this log would go.")
    ] = None,
    json: Json = False,
) -> None:
    """Tell what differs between two configurations: in meaning, by object and key. Formatting and order mean nothing.

    With one, what would change if the running gateway took it over; with two, what changes from A to B. With an access
    log (JSON lines, as Pylos writes them) also: how many of its requests would go elsewhere, and which.

    Exit code 0: they mean the same; 1: they differ; 2: one of them is wrong, or nothing runs to compare with.

    [bold]Examples[/bold]

      pylos diff gateway.toml

      pylos diff old.toml new.toml --traffic access.log
    """
    try:
        before = Meaning(running(name)) if second is None else Meaning.of(load(first))
        after = Meaning.of(load(first if second is None else second))
        found = changes(before, after)
        moved = compare(before, after, traffic) if traffic is not None else None
    except ConfigError as error:
        show_problems(error.problems)
        raise typer.Exit(TROUBLE) from None
    except PylosError as error:
        typer.echo(f"pylos: {error}", err=True)
        raise typer.Exit(TROUBLE) from None
    if json:
        told = {} if moved is None else {"traffic": moved.as_json()}
        show_json({"same": not found, "changes": [change.as_json() for change in found], **told})
    else:
        typer.echo("\n".join([*(rendered(found) or ["no difference"]), *traffic_lines(moved)]))
    raise typer.Exit(DIFFERS if found else SAME)


def running(name: str) -> dict[str, Any]:
    """Give the document in use of a running gateway."""
    try:
        line = supervisor.connect(name)
    except PylosError as error:
        raise PylosError(f"{error}\n      = or compare two files: pylos diff A B") from None
    try:
        document: dict[str, Any] = line.ask({"type": "document", "number": None})["document"]
    finally:
        line.close()
    return document


def traffic_lines(moved: Compared | None) -> list[str]:
    """Write what becomes of the requests."""
    return [] if moved is None else ["", *moved.lines()]
