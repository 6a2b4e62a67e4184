"""Tables on their way to the compiled core."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json

from pylos._core import Compiled, compile_table
from pylos.errors import PylosError

__all__ = ["Compiled", "compile_sound", "encoded"]


def encoded(table: Mapping[str, Any]) -> bytes:
    """Write a table as it goes over to the compiler."""
    return to_json(table)


def compile_sound(table: Mapping[str, Any]) -> Compiled:
    """Compile a table that was checked before: of what runs, or of what was in use.

    Raises PylosError when this version of Pylos cannot use it, though the one that checked it could.
    """
    try:
        problems, compiled = compile_table(encoded(table))
    except ValueError as error:
        raise PylosError(f"this version of Pylos cannot read the table: {error}") from None
    if compiled is None:
        first = next(problem["message"] for problem in problems if problem["severity"] == "error")
        raise PylosError(f"this version of Pylos refuses the table: {first}")
    return compiled
