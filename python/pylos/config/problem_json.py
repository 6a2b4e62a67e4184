"""Problems as programs read them."""

from __future__ import annotations

from typing import Any

from pylos.config.codes import url_of
from pylos.errors import Place, Problem


def as_json(problem: Problem) -> dict[str, Any]:
    """Give a problem as plain values. Lines and columns count from 1; 0 is the whole file, or the whole line."""
    return {
        "code": problem.code,
        "severity": problem.severity,
        "path": list(problem.path),
        "message": problem.message,
        "hint": problem.hint,
        **place_as_json(problem.place),
        "also": [{**place_as_json(place), "label": label} for place, label in problem.also],
        "url": url_of(problem.code),
    }


def place_as_json(place: Place) -> dict[str, Any]:
    """Give a place; `end_column` is the one behind the last character."""
    return {"file": place.file, "line": place.line, "column": place.column, "end_column": place.end_column}
