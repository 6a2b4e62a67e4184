"""An error as the answer to a question, and the error that such an answer tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pylos.errors import BindError, ConfigError, GatewayError, Problem, PylosError

KINDS: dict[str, type[PylosError]] = {
    "config": ConfigError,
    "bind": BindError,
    "gateway": GatewayError,
    "other": PylosError,
}
"""By name, the most particular first."""


def failure(number: object, error: PylosError) -> dict[str, Any]:
    """Write an error as the answer to the question of that number."""
    kind = next(name for name, cls in KINDS.items() if isinstance(error, cls))
    problems = [asdict(problem) for problem in error.problems] if isinstance(error, ConfigError) else []
    return {"type": "failed", "id": number, "error": kind, "text": str(error), "problems": problems}


def error_of(answer: Mapping[str, Any]) -> PylosError:
    """Make the error of an answer."""
    kind = KINDS.get(answer["error"], PylosError)
    if issubclass(kind, ConfigError):
        return kind(Problem.from_json(problem) for problem in answer["problems"])
    return kind(answer["text"])
