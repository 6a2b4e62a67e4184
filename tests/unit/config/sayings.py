"""Short documents with mistakes, and all that is said about them in few lines."""

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from pylos.config import load_text
from pylos.errors import ConfigError, Problem, spelled

REST = """
[listen.http]
bind = "127.0.0.1:0"
[upstream.web]
targets = ["http://127.0.0.1:8000"]
"""
"""Stands below every document, so that it has a listener and an upstream."""


class Wrong(NamedTuple):
    name: str
    document: str
    said: str


def lines_of(wrong: Wrong) -> list[str]:
    """What is to be said, without the indentation of the table."""
    return [line.removeprefix(" " * 8) for line in wrong.said.strip("\n").splitlines()[:-1]]


def report(document: str) -> str:
    """What is said about a document: its errors, or its warnings where it can be used."""
    try:
        problems = load_text(document, "x.toml").warnings
    except ConfigError as error:
        problems = error.problems
    return "\n".join(line for problem in problems for line in short(problem))


def short(problem: Problem) -> Iterator[str]:
    """All that a problem says, in few lines."""
    about = f"{spelled(problem.path)}: " if problem.path else ""
    yield f"{problem.place}: {problem.severity} {problem.code}: {about}{problem.message}"
    if problem.place.source:
        text, lead, length = problem.place.excerpt()
        yield f"{problem.place.line:5} | {text}"
        yield f"      | {lead}{'^' * length}"
    if problem.hint:
        yield f"      = {problem.hint}"


def refused(document: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_text(document, "x.toml")
    return caught.value
