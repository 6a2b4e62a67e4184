"""`pylos check`: whether a configuration is sound."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from pylos.cli import reports
from pylos.cli.options import STANDARD_INPUT, ConfigFile, Json, chosen
from pylos.cli.output import counted, show_json, show_problems
from pylos.config import Loaded, load, load_text
from pylos.config.codes import MANUALS
from pylos.config.problem_json import as_json
from pylos.config.problems import listed
from pylos.errors import ConfigError, Problem


class Form(StrEnum):
    """How problems are told."""

    text = "text"
    json = "json"
    github = "github"
    gitlab = "gitlab"
    sarif = "sarif"


FormOption = Annotated[
    Form | None,
    typer.Option("--format", help="For a reader; for programs; or as annotations of a code host.", show_default="text"),
]
Explain = Annotated[
    str | None, typer.Option(metavar="CODE", help="Tell what a code means and what to do about it, and check nothing.")
]


def check(*, config: ConfigFile = None, form: FormOption = None, json: Json = False, explain: Explain = None) -> None:
    """Check a configuration, without starting anything. Exit code 0: it is sound; 1: it is not.

    All problems are told at once, each with its file, line, column and a stable code; warnings alone are no failure.

    [bold]Examples[/bold]

      pylos check

      pylos check -c gateway.toml --json

      pylos check --format github

      pylos check -c - < gateway.toml

      pylos check --explain P102
    """
    if explain is not None:
        typer.echo(page(explain), nl=False)
        return
    if json and form not in (None, Form.json):
        raise typer.BadParameter("give one of the two", param_hint="--json, --format")
    file = STANDARD_NAME if config == STANDARD_INPUT else str(chosen(config))
    problems, loaded = found_in(file)
    show(problems, Form.json if json else form or Form.text, file, loaded)
    raise typer.Exit(0 if loaded else 1)


def page(code: str) -> str:
    """Give the page about a code."""
    if code.upper() not in MANUALS:
        raise typer.BadParameter(f"there is no code `{code}`; known are {', '.join(MANUALS)}", param_hint="--explain")
    return MANUALS[code.upper()].page()


def found_in(file: str) -> tuple[list[Problem], Loaded | None]:
    """Give the problems of a file, and what it says when it can be used all the same."""
    try:
        loaded = load_text(*standard_input()) if file == STANDARD_NAME else load(file)
    except ConfigError as error:
        return error.problems, None
    return loaded.warnings, loaded


STANDARD_NAME = "<stdin>"


def standard_input() -> tuple[str, str]:
    """Give what is piped in, and a name for it by which JSON is read as such. Includes start at this directory."""
    text = sys.stdin.read().removeprefix("\ufeff")
    return text, f"{STANDARD_NAME}.json" if text.lstrip().startswith("{") else STANDARD_NAME


def show(problems: list[Problem], form: Form, file: str, loaded: Loaded | None) -> None:
    """Print what was found."""
    match form:
        case Form.text:
            show_problems(problems)
            if loaded:
                typer.echo(f"{file}: ok" + (f", {counted(problems)}" if problems else ""))
                for route, names in loaded.without.items():
                    typer.echo(f"  route.{route} is without {listed(f'`{name}`' for name in names)}")
                for route, names in loaded.asking.items():
                    typer.echo(f"  route.{route} asks Python: {listed(f'`{name}`' for name in names)}")
        case Form.json:
            told = [as_json(problem) for problem in problems]
            without = loaded.without if loaded else {}
            python = loaded.asking if loaded else {}
            ok = loaded is not None
            show_json({"file": file, "ok": ok, "problems": told, "without": without, "python": python})
        case Form.github:
            typer.echo("\n".join(reports.github(problems)), nl=bool(problems))
        case Form.gitlab:
            show_json(reports.gitlab(problems))
        case Form.sarif:
            show_json(reports.sarif(problems))
