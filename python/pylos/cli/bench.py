"""`pylos bench policy`: what a policy in Python costs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from pylos.cli.explain import field_of
from pylos.cli.options import ConfigFile, Json, chosen
from pylos.cli.output import show_json
from pylos.config import load
from pylos.config.policies import find_python, wanted
from pylos.errors import PylosError
from pylos.policy.measure import Measured, MeasureError, Question, measure

bench = typer.Typer(
    help="Measure what a part of a configuration costs.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@bench.callback()
def measured() -> None:
    """Measure what a part of a configuration costs."""


@bench.command()
def policy(  # noqa: PLR0913 - each is an option
    name: Annotated[str, typer.Argument(help="The policy.")],
    *,
    config: ConfigFile = None,
    seconds: Annotated[float, typer.Option(min=0.1, max=600, help="How long it is asked.")] = 2.0,
    in_flight: Annotated[int, typer.Option(min=1, max=1024, help="How many questions are under way.")] = 64,
    method: Annotated[str, typer.Option(help="The request's method.")] = "GET",
    target: Annotated[str, typer.Option(help="Its path and query.")] = "/",
    header: Annotated[list[str] | None, typer.Option("--header", "-H", help="A field of it, `name: value`.")] = None,
    data: Annotated[str | None, typer.Option(help="The body, for a policy that reads one.")] = None,
    json: Json = False,
) -> None:
    """Ask a policy in Python about one request, again and again, and tell what a call costs.

    It runs in a lane as it does in a gateway; the asking is done here, without a network.

    [bold]Examples[/bold]

      pylos bench policy fraud

      pylos bench policy staff --in-flight 1 -H 'x-role: staff' --json
    """
    loaded = load(chosen(config))
    kind = find_python(loaded.table["policy"], name)
    fields = [field_of(text) for text in header or []]
    lines = b"".join(f"{field}: {value}\r\n".encode() for field, value in [("host", "localhost"), *fields])
    question = Question(method, target, lines, None if data is None else data.encode())
    try:
        told = measure(wanted(name, kind), loaded.folder, question, seconds=seconds, in_flight=in_flight)
    except MeasureError as error:
        raise PylosError(f"`{name}` cannot be measured: {error}") from None
    if json:
        show_json({"policy": name, "in_flight": in_flight, **asdict(told)})
    else:
        show(name, in_flight, told)


def show(name: str, in_flight: int, told: Measured) -> None:
    """Print what was measured."""
    verdicts = ", ".join(f"{count:,} {verdict}" for verdict, count in sorted(told.verdicts.items()))
    typer.echo(f"{name}: {told.calls:,} calls in {told.seconds:.1f} s, {in_flight} at a time")
    typer.echo(f"  {told.calls / told.seconds:,.0f} calls a second")
    typer.echo(f"  {told.lane_us:.2f} us of CPU a call in the lane, {told.worker_us:.2f} us where it was asked")
    typer.echo(f"  answered after {told.p50_us:,.0f} us (half of them), {told.p99_us:,.0f} us (99 %)")
    typer.echo(f"  {verdicts}")
