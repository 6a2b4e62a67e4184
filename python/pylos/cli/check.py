"""`pylos check`: whether a configuration is sound."""

from __future__ import annotations

import typer

from pylos.cli.options import ConfigFile, Json, chosen
from pylos.cli.output import as_json, show_json, show_problems
from pylos.config import load
from pylos.errors import ConfigError, Problem


def check(*, config: ConfigFile = None, json: Json = False) -> None:
    """Check a configuration, without starting anything. Exit code 0: it is sound; 1: it is not.

    All problems are told at once, each with its file, line, column and a stable code; warnings alone are no failure.

    [bold]Examples[/bold]

      pylos check

      pylos check -c gateway.toml --json
    """
    file = chosen(config)
    problems, sound = found_in(str(file))
    if json:
        show_json({"file": str(file), "ok": sound, "problems": [as_json(problem) for problem in problems]})
    else:
        show_problems(problems)
        typer.echo(f"{file}: {verdict(problems)}", err=not sound)
    raise typer.Exit(0 if sound else 1)


def found_in(file: str) -> tuple[list[Problem], bool]:
    """Give the problems of a file, and whether it can be used all the same."""
    try:
        return load(file).warnings, True
    except ConfigError as error:
        return error.problems, False


def verdict(problems: list[Problem]) -> str:
    """Sum up."""
    counts = {kind: sum(problem.severity == kind for problem in problems) for kind in ("error", "warning")}
    told = [f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts.items() if count]
    return ", ".join(told) or "ok"
