"""`pylos reload`: let a running gateway read its configuration again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from pylos import supervisor
from pylos.cli.options import Json
from pylos.cli.output import show_json, show_problems
from pylos.cli.running import Name
from pylos.config.diff import Change, rendered
from pylos.config.problem_json import as_json
from pylos.errors import ConfigError, Problem


def reload(*, name: Name = supervisor.DEFAULT_NAME, json: Json = False) -> None:
    """Let a running gateway read its configuration again, and tell what that changes.

    Exit code 0: it is in use, and what did not change goes on; 1: it is wrong, and the one before stays as it is.

    [bold]Examples[/bold]

      pylos reload

      pylos reload -n shop --json
    """
    put_into_use(name, {"type": "reload"}, json=json)


def put_into_use(name: str, question: Mapping[str, object], *, json: bool) -> None:
    """Ask a gateway for another configuration, and print what came of it."""
    line = supervisor.connect(name)
    try:
        answer = line.ask(question)
    except ConfigError as error:
        if not json:
            raise
        show_json({"ok": False, "problems": [as_json(problem) for problem in error.problems]})
        raise typer.Exit(1) from None
    finally:
        line.close()
    warnings = [Problem.from_json(problem) for problem in answer["warnings"]]
    if json:
        changed = {"generation": answer["number"], "changes": answer["changes"]}
        show_json({"ok": True, **changed, "problems": [as_json(problem) for problem in warnings]})
        return
    show_problems(warnings)
    typer.echo("\n".join(told(answer)))


def told(answer: Mapping[str, Any]) -> list[str]:
    """Say what is in use, and what changed."""
    if answer["changes"] is None:
        return [f"configuration {answer['number']} is in use; what it changes cannot be told"]
    changes = [Change.from_json(change) for change in answer["changes"]]
    if not changes:
        return [f"nothing changed: configuration {answer['number']} stays in use"]
    return [*rendered(changes), f"configuration {answer['number']} is in use"]
