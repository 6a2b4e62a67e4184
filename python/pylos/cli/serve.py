"""`pylos serve`: run a gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pylos import supervisor
from pylos.cli.options import ConfigFile, chosen
from pylos.config import Loaded, proxy_to
from pylos.errors import Place

Targets = Annotated[
    list[str] | None,
    typer.Argument(metavar="[TARGET]...", help="Servers to proxy to, without any file: host:port or a URL."),
]
Bind = Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where to listen, for targets.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on, for targets; 0 takes a free one.")]
ReadyFd = Annotated[
    int | None,
    typer.Option(min=0, metavar="FD", help="Write one JSON line to this descriptor when requests are served."),
]


def serve(
    targets: Targets = None,
    *,
    config: ConfigFile = None,
    port: Port = 8080,
    bind: Bind = None,
    ready_fd: ReadyFd = None,
) -> None:
    """Serve a configuration, or proxy to the given targets, until SIGTERM.

    A changed file is checked and taken over at once, as on SIGHUP; a wrong one is refused as a whole. SIGTERM finishes
    the requests in flight; a second one ends at once.

    [bold]Examples[/bold]

      pylos serve localhost:8000

      pylos serve localhost:8000 localhost:8001 --port 8080

      pylos serve -c gateway.toml
    """
    raise typer.Exit(supervisor.serve(source(targets or [], config, bind or f"0.0.0.0:{port}"), ready_fd))


def source(targets: list[str], config: Path | None, bind: str) -> Path | Loaded:
    """Choose between a file and targets."""
    if not targets:
        return chosen(config)
    if config is not None:
        raise typer.BadParameter("give targets or a file, not both", param_hint="--config")
    return proxy_to(targets, bind, Place("command line"))
