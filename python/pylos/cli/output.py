"""How the commands print."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence

import typer

from pylos.errors import Paint, Problem, plain, rendered


def show_problems(problems: Iterable[Problem]) -> None:
    """Print problems for a reader, to standard error: a paragraph each, and at the end how many there are."""
    problems = list(problems)
    paint = painter()
    for paragraph in rendered(problems, paint):
        typer.echo(paragraph + "\n", err=True, color=True)
    if problems:
        worst = "error" if any(problem.severity == "error" for problem in problems) else "warning"
        typer.echo(paint(worst, counted(problems)), err=True, color=True)


def painter() -> Paint:
    """Choose colours where standard error is a terminal, and none where `NO_COLOR` is set."""
    return coloured if is_terminal() and not os.environ.get("NO_COLOR") else plain


def is_terminal() -> bool:
    """Whether a person reads standard error."""
    return sys.stderr.isatty()


def coloured(role: str, text: str) -> str:
    """Colour a text by its role."""
    return typer.style(text, fg=COLOURS[role], bold=True)


COLOURS = {
    "error": typer.colors.RED,
    "warning": typer.colors.YELLOW,
    "also": typer.colors.CYAN,
    "gutter": typer.colors.BLUE,
}


def counted(problems: Sequence[Problem]) -> str:
    """Sum up: "2 errors, 1 warning", or "ok"."""
    counts = {kind: sum(problem.severity == kind for problem in problems) for kind in ("error", "warning")}
    told = [f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts.items() if count]
    return ", ".join(told) or "ok"


def show_json(value: object) -> None:
    """Print a value for a program, to standard output."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def show_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows in columns; the last column takes what it needs."""
    lines = [heads, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        typer.echo("  ".join(cells).rstrip())
