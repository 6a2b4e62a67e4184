"""The command line: one command, one file; each says what it takes and hands it on.

Exit codes: 0 all is well, 1 something is wrong with the input or at run time, 2 the command was not understood.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from pylos._core import version
from pylos.cli.bench import bench
from pylos.cli.certs import certs
from pylos.cli.check import check
from pylos.cli.demo import demo
from pylos.cli.diff import diff
from pylos.cli.drain import drain
from pylos.cli.explain import explain
from pylos.cli.fmt import fmt
from pylos.cli.forget import forget
from pylos.cli.history import history
from pylos.cli.init import init
from pylos.cli.output import show_problems
from pylos.cli.reload import reload
from pylos.cli.reopen import reopen
from pylos.cli.rollback import rollback
from pylos.cli.routes import routes
from pylos.cli.schema import schema
from pylos.cli.serve import serve
from pylos.cli.status import status
from pylos.cli.unit import unit
from pylos.cli.upgrade import upgrade
from pylos.errors import ConfigError, PylosError


class Commands(TyperGroup):
    """Tells what is wrong in words, not by a traceback."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - typer's own context; what the command returns
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            show_problems(error.problems)
        except PylosError as error:
            typer.echo(f"pylos: {error}", err=True)
        raise typer.Exit(1)


app = typer.Typer(
    name="pylos",
    cls=Commands,
    help="Reverse proxy, load balancer and API gateway in one program.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS = (
    serve,
    init,
    check,
    explain,
    routes,
    fmt,
    schema,
    diff,
    status,
    reload,
    upgrade,
    history,
    rollback,
    forget,
    reopen,
    drain,
    demo,
    unit,
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(certs, name="certs")
app.add_typer(bench, name="bench")


def show_version(*, wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        typer.echo(f"pylos {version()}")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", callback=show_version, is_eager=True)
    ] = False,
) -> None:
    """Reverse proxy, load balancer and API gateway in one program."""


def main() -> None:
    """Run the command line."""
    app()
