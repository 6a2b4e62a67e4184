"""`pylos upgrade`: renew a running gateway without losing a connection."""

from __future__ import annotations

import time

import typer

from pylos import supervisor
from pylos.cli.options import Json
from pylos.cli.output import show_json
from pylos.cli.running import Name
from pylos.errors import GatewayError
from pylos.supervisor.line import GoneError, Line

RETURN_SECONDS = 20.0
"""How long the new program may take to answer at all."""


def upgrade(*, name: Name = supervisor.DEFAULT_NAME, json: Json = False) -> None:
    """Renew a running gateway: the program as it is on disk now takes over, with the same sockets.

    The new program checks the configuration first; where it refuses it, or does not start, all stays as it is. Then a
    new gateway process serves, with what limits have counted, the health of targets and the counters; the one before it
    finishes what it has, as long as `drain` says. SIGUSR2 does the same.

    [bold]Examples[/bold]

      pip install --upgrade pylos && pylos upgrade

      pylos upgrade -n shop
    """
    gateway = upgraded(name)
    if json:
        show_json({"ok": True, "gateway": gateway})
    else:
        typer.echo(f"gateway process {gateway} serves")


def upgraded(name: str) -> int:
    """Have it renewed; gives the new gateway process."""
    line = supervisor.connect(name)
    try:
        return int(line.ask({"type": "upgrade"})["gateway"])
    except GoneError:
        pass  # it has become another program, which has its place
    finally:
        line.close()
    line = again(name)
    try:
        return int(line.ask({"type": "upgraded"})["gateway"])
    finally:
        line.close()


def again(name: str) -> Line:
    """Reach the program that came of it."""
    deadline = time.monotonic() + RETURN_SECONDS
    while True:
        try:
            return supervisor.connect(name)
        except GatewayError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
