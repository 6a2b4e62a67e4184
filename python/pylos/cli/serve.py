"""`pylos serve`: run a gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pylos import supervisor
from pylos.cli.options import ConfigFile, chosen
from pylos.cli.running import Name
from pylos.config import Loaded, proxy_to
from pylos.errors import Place

Targets = Annotated[
    list[str] | None,
    typer.Argument(metavar="TARGET", help="Servers to proxy to, without any file: host:port or a URL."),
]
Bind = Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where to listen. Only for targets.")]
Port = Annotated[
    int | None,
    typer.Option(min=0, max=65535, help="The port to listen on; 0 takes a free one. Default: 8080. Only for targets."),
]
ReadyFd = Annotated[
    int | None,
    typer.Option(min=0, metavar="FD", help="Write one JSON line to this descriptor when requests are served."),
]


def serve(  # noqa: PLR0913 - each is an option
    targets: Targets = None,
    *,
    config: ConfigFile = None,
    port: Port = None,
    bind: Bind = None,
    name: Name = supervisor.DEFAULT_NAME,
    ready_fd: ReadyFd = None,
) -> None:
    """Serve a configuration, or proxy to the given targets, until SIGTERM.

    A changed file is checked and taken over at once, as on SIGHUP; a wrong one is refused as a whole. SIGTERM finishes
    the requests in flight; a second one ends at once. `pylos reload`, `history` and `rollback` find it by its name.

    [bold]Examples[/bold]

      pylos serve localhost:8000

      pylos serve localhost:8000 localhost:8001 --port 8080

      pylos serve -c gateway.toml

      pylos serve -c gateway.py -n shop
    """
    if port is not None and bind is not None:
        raise typer.BadParameter("give --bind or --port, not both", param_hint="--port")
    where = f"0.0.0.0:{port}" if port is not None else bind
    raise typer.Exit(supervisor.serve(source(targets or [], config, where), ready_fd, name))


def source(targets: list[str], config: Path | None, bind: str | None) -> Path | Loaded:
    """Choose between a file and targets."""
    if targets and config is not None:
        raise typer.BadParameter("give targets or a file, not both", param_hint="--config")
    if targets:
        return proxy_to(targets, bind or DEFAULT_BIND, Place("command line"))
    if bind is not None:
        raise typer.BadParameter("only for targets; a file says itself where it listens", param_hint="--bind, --port")
    return chosen(config)


DEFAULT_BIND = "0.0.0.0:8080"
