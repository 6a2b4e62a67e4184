"""`pylos explain`: where a request would go, and why."""

from __future__ import annotations

from contextlib import closing, nullcontext
from typing import Annotated

import typer

from pylos import supervisor
from pylos.cli.options import ConfigFile, Json, chosen
from pylos.cli.output import show_json
from pylos.cli.running import Name
from pylos.config import load
from pylos.config.explain import Asker
from pylos.errors import PylosError
from pylos.supervisor.live import live_asker


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
    given: Annotated[
        list[str] | None,
        typer.Option(metavar="POLICY=WORD", help="What a policy in Python is taken to say: allow, deny or fail."),
    ] = None,
    listener: Annotated[str | None, typer.Option(help="The listener; else the one at the URL's port.")] = None,
    live: Annotated[bool, typer.Option("--live", help="Ask the running gateway, targets' health included.")] = False,
    name: Name = supervisor.DEFAULT_NAME,
    nearest: Annotated[int, typer.Option(min=0, help="How many other routes are told.")] = 3,
    json: Json = False,
) -> None:
    """Tell where a request would go and why: listener, route, policies, upstream, and the request as sent.

    Nothing is started and nothing is sent. With --live the running gateway is asked, not a file; it knows
    its targets' health, and what it remembers of the decisions of policies.

    [bold]Examples[/bold]

      pylos explain GET https://shop.example.com/items/7

      pylos explain GET /items/7 --live

      pylos explain POST /orders -H 'host: api.example.com' --from 10.0.0.9 --json
    """
    with closing(supervisor.connect(name)) if live else nullcontext() as line:
        asker = Asker.of(load(chosen(config))) if line is None else live_asker(line.ask)
        told = asker.ask(
            method,
            url,
            headers=[field_of(text) for text in header or []],
            peer=None if peer == "unix" else peer,
            listener=listener,
            as_=as_,
            nearest=nearest,
            given=dict(given_in(text) for text in given or []),
        )
        if line is not None:
            told = told.with_health(line.ask({"type": "status"})["status"]["upstreams"])
    if json:
        show_json(told.model_dump(by_alias=True))
    else:
        typer.echo(str(told))


def given_in(text: str) -> tuple[str, str]:
    """Take `policy=word` apart."""
    name, equals, word = text.partition("=")
    if not equals:
        raise PylosError(f"`{text}` says nothing about a policy: it is written `policy=allow`")
    return name, word


def field_of(text: str) -> tuple[str, str]:
    """Take a field line apart."""
    name, colon, value = text.partition(":")
    if not colon:
        raise PylosError(f"`{text}` is no header field: it is written `name: value`")
    return name.strip(), value.strip()
