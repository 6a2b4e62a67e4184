"""`pylos status`: what a running gateway is and how it is doing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import typer

from pylos import supervisor
from pylos.cli.options import Json
from pylos.cli.output import show_json, show_table
from pylos.cli.running import Name
from pylos.errors import printable

HEADS = ("UPSTREAM", "TARGET", "STATE", "ACTIVE")


def status(*, name: Name = supervisor.DEFAULT_NAME, json: Json = False) -> None:
    """Tell how a running gateway is doing: its processes, its configuration, where it listens, and its upstreams.

    [bold]Examples[/bold]

      pylos status

      pylos status -n shop --json
    """
    line = supervisor.connect(name)
    try:
        answer = line.ask({"type": "status"})
    finally:
        line.close()
    if json:
        show_json({"name": name, **{key: answer[key] for key in ("running", "status")}})
        return
    for head, text in facts(name, answer["running"], answer["status"]):
        typer.echo(f"{head:<14} {printable(text)}".rstrip())
    rows = list(targets(answer["status"]["upstreams"]))
    if rows:
        typer.echo()
        show_table(HEADS, rows)


def facts(name: str, running: Mapping[str, Any], gateway: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give what stands above the table, each with its heading."""
    yield "gateway", name
    yield "processes", f"supervisor {running['pid']}, gateway {running['gateway']}"
    yield "since", running["since"]
    yield "configuration", f"{running['generation']}, digest {running['digest']}"
    yield "source", running["source"] or "none that could be read again"
    yield "drift", running["drift"] or "none"
    yield "workers", str(gateway["workers"])
    yield "connections", str(gateway["connections"])
    yield "requests", str(gateway["requests"])
    for one in running.get("certificates", ()):  # an earlier version has none
        yield "certificate", certificate(one)
    head = "listeners"
    for listener, addresses in running["listen"].items():
        yield head, f"{listener}: {', '.join(addresses)}"
        head = ""


def certificate(one: Mapping[str, Any]) -> str:
    """Say in a line how one is that comes by itself."""
    held = f"until {one['ends']}" if one["ends"] is not None else "one that signs itself is shown"
    failed = "" if one["error"] is None else f"; {str(one['error']).partition(chr(10))[0]}"
    return f"{one['tls']}: {one['state']}, {held}, next step {one['next_step']}{failed}"


def targets(upstreams: Mapping[str, list[Mapping[str, Any]]]) -> Iterator[list[str]]:
    """Give a row for each target."""
    for upstream, found in upstreams.items():
        for target in found:
            yield [upstream, printable(target["target"]), target["state"], str(target["active"])]
