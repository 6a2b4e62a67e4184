"""`pylos explain`: where a request would go, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from pylos import supervisor
from pylos.cli.options import ConfigFile, Json, chosen
from pylos.cli.output import show_json
from pylos.cli.running import Name
from pylos.config import load
from pylos.config.explain import Asker
from pylos.errors import PylosError


def explain(  # noqa: PLR0913 - each is an option
    method: Annotated[str, typer.Argument(help="The method, GET.")],
    url: Annotated[str, typer.Argument(help="A URL, or a path.")],
    *,
    config: ConfigFile = None,
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", help="A field of the request, `name: value`.")
    ] = None,
    as_: Annotated[str | None, typer.Option("--as", metavar="ID", help="The identity, as `client.id` has it.")] = None,
    peer: Annotated[str, typer.Option("--from", metavar="ADDRESS", help="Where the connection comes from.")] = (
        "127.0.0.1"
    ),
    listener: Annotated[str | None, typer.Option(help="The listener; else the one at the URL's port.")] = None,
    live: Annotated[bool, typer.Option("--live", help="Ask the running gateway, targets' health included.")] = False,
    name: Name = supervisor.DEFAULT_NAME,
    nearest: Annotated[int, typer.Option(min=0, help="How many other routes are told.")] = 3,
    json: Json = False,
) -> None:
    """Tell where a request would go and why: listener, route, policies, upstream, and the request as sent.

    Nothing is started and nothing is sent. With --live the running gateway's configuration is asked, not a file.

    [bold]Examples[/bold]

      pylos explain GET https://shop.example.com/items/7

      pylos explain GET /items/7 --live

      pylos explain POST /orders -H 'host: api.example.com' --from 10.0.0.9 --json
    """
    running = Running.of(name) if live else None
    told = (running.asker() if running else asker_of(chosen(config))).ask(
        method,
        url,
        headers=[field_of(text) for text in header or []],
        peer=None if peer == "unix" else peer,
        listener=listener,
        as_=as_,
        nearest=nearest,
    )
    if running:
        told = told.model_copy(update={"health": running.health.get(told.upstream or "", {})})
    if json:
        show_json(told.model_dump(by_alias=True))
    else:
        typer.echo(str(told))


@dataclass(frozen=True)
class Running:
    """What a running gateway knows."""

    table: Mapping[str, Any]
    secrets: list[list[str]]
    health: Mapping[str, Mapping[str, str]]
    """By upstream and target."""

    @classmethod
    def of(cls, name: str) -> Running:
        """Ask the gateway of this name."""
        line = supervisor.connect(name)
        try:
            running = line.ask({"type": "table"})
            upstreams = line.ask({"type": "status"})["status"]["upstreams"]
        finally:
            line.close()
        health = {
            upstream: {target["target"]: target["state"] for target in targets}
            for upstream, targets in upstreams.items()
        }
        return cls(running["table"], running["secrets"], health)

    def asker(self) -> Asker:
        """Make what answers about its table."""
        return Asker(self.table, self.secrets)


def asker_of(config: Path) -> Asker:
    """Make what answers about a file."""
    loaded = load(config)
    return Asker(loaded.table, loaded.secrets)


def field_of(text: str) -> tuple[str, str]:
    """Take a field line apart."""
    name, colon, value = text.partition(":")
    if not colon:
        raise PylosError(f"`{text}` is no header field: it is written `name: value`")
    return name.strip(), value.strip()
