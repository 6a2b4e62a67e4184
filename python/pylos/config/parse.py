"""TOML text to plain values, and where each of them stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pylos._core import TomlError, parse_toml
from pylos.config.problems import Part
from pylos.errors import ConfigError, KeyPath, Place, Problem

Span = tuple[int, int, int]
"""Line, column, length."""


def parse(text: str, name: str) -> tuple[dict[str, Any], FilePlaces]:
    """Parse a document. Raises ConfigError (P101) at the first place that is no TOML."""
    lines = text.split("\n")
    try:
        document, parts = parse_toml(text)
    except TomlError as error:
        raise ConfigError([syntax_problem(error, name, lines)]) from None
    positions = {
        path: ((key_line, key_column, key_length), (line, column, length))
        for path, key_line, key_column, key_length, line, column, length in parts
    }
    return document, FilePlaces(name, lines, positions)


def syntax_problem(error: TomlError, name: str, lines: list[str]) -> Problem:
    """Tell where the text stops to be TOML."""
    source = lines[error.line - 1] if 0 < error.line <= len(lines) else ""
    place = Place(name, error.line, error.column, 1, source.rstrip("\r"))
    message, _, hint = error.message.partition("\n")
    return Problem("P101", "error", (), message, hint.replace("\n", ", ") or None, place)


@dataclass(frozen=True)
class FilePlaces:
    """Where things stand in a file."""

    file: str
    lines: list[str]
    positions: dict[KeyPath, tuple[Span, Span]]
    """Of each key and its value; a table's header is a key without a value, line 0."""

    def place(self, path: KeyPath, part: Part) -> Place:
        """Find a key or its value; what is not in the file (a default) is found at the table that would hold it."""
        while path and path not in self.positions:
            path, part = path[:-1], "key"
        if not path:
            return Place(self.file)
        key, value = self.positions[path]
        line, column, length = value if part == "value" and value[0] else key
        return Place(self.file, line, column, length, self.lines[line - 1].rstrip("\r"))
