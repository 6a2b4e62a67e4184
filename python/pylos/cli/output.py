"""How the commands print."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import typer

from pylos.errors import Problem


def show_problems(problems: Iterable[Problem]) -> None:
    """Print problems for a reader, to standard error."""
    for problem in problems:
        color = typer.colors.RED if problem.severity == "error" else typer.colors.YELLOW
        head, *rest = problem.render().split("\n")
        typer.secho(head, err=True, fg=color, bold=True)
        for line in rest:
            typer.echo(line, err=True)


def show_json(value: object) -> None:
    """Print a value for a program, to standard output."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def as_json(problem: Problem) -> dict[str, Any]:
    """Give a problem as plain values."""
    return {
        "code": problem.code,
        "severity": problem.severity,
        "path": list(problem.path),
        "message": problem.message,
        "hint": problem.hint,
        "file": problem.place.file,
        "line": problem.place.line,
        "column": problem.place.column,
        "length": problem.place.length,
    }


def show_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows in columns; the last column takes what it needs."""
    lines = [heads, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        typer.echo("  ".join(cells).rstrip())
