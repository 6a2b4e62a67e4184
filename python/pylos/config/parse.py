"""The text of a file, TOML or JSON, to plain values, and where each of them stands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pylos._core import TomlError, parse_toml
from pylos.config.parse_json import JsonError, Position, parse_json
from pylos.config.problems import Part, described
from pylos.config.variables import TOKEN
from pylos.errors import ConfigError, KeyPath, Place, Problem
from pylos.pasted import without_blocks


def parse(text: str, name: str) -> tuple[dict[str, Any], FilePlaces]:
    """Parse a document: JSON where the name ends in `.json`, else TOML.

    Raises ConfigError (P101, P120) at the first place that is neither.
    """
    return parsed_json(text, name) if name.endswith(".json") else parsed_toml(text, name)


def parsed_toml(text: str, name: str) -> tuple[dict[str, Any], FilePlaces]:
    """Parse TOML."""
    lines = without_blocks(text).split("\n")
    try:
        document, positions = parse_toml(text)
    except TomlError as error:
        raise ConfigError([toml_problem(error, name, lines)]) from None
    return document, FilePlaces(name, lines, {position[0]: position for position in positions})


def parsed_json(text: str, name: str) -> tuple[dict[str, Any], FilePlaces]:
    """Parse JSON: an object of kinds."""
    lines = without_blocks(text).split("\n")
    try:
        document, positions = parse_json(text)
    except JsonError as error:
        raise ConfigError(
            [syntax_problem("P120", error.message, "", Place(name, error.line, error.column, 1), lines)]
        ) from None
    if not isinstance(document, dict):
        message = f"must be an object of tables, not {described(document)}"
        raise ConfigError([syntax_problem("P120", message, "", Place(name, 1, 1, 1), lines)])
    if isinstance(document.get(SCHEMA), str):
        del document[SCHEMA]
    return document, FilePlaces(name, lines, {position[0]: position for position in positions})


SCHEMA = "$schema"
"""The key by which an editor finds the schema of a document in JSON."""


def toml_problem(error: TomlError, name: str, lines: list[str]) -> Problem:
    """Tell where a text stops to be TOML, in the words of a file rather than of its grammar."""
    message, _, hint = error.message.partition("\n")
    line = lines[error.line - 1] if error.line <= len(lines) else ""
    if message.startswith("string values must be quoted") and not line[error.column - 1 :].partition("#")[0].strip():
        message, hint = "the value is missing", ""
    elif message.startswith(("string values must be quoted", "unexpected key or value")) and "=" in line:
        message, hint = "no value of TOML", "a text stands in quotes"
    problem = syntax_problem("P101", message, hint, Place(name, error.line, error.column, 1), lines)
    if message == "duplicate key" and (first := first_of(lines, error.line)):
        place = Place(name, first, 1, len(lines[first - 1].strip()), lines[first - 1])
        twice = place.source.partition("#" if place.source.lstrip().startswith("[") else "=")[0].strip()
        problem = replace(problem, message=f"`{twice}` stands twice", also=((place, "here first"),))
    return problem


def first_of(lines: list[str], again: int) -> int | None:
    """Find the line that has the same header, or in the same table the same key, as a later one; both from 1."""
    wanted = lines[again - 1].strip()
    is_header = wanted.startswith("[")
    for number in range(again - 1, 0, -1):
        line = lines[number - 1].strip()
        if is_header and line.partition("#")[0].strip() == wanted.partition("#")[0].strip():
            return number
        if not is_header and line.startswith("["):
            return None
        if not is_header and line.partition("=")[0].strip() == wanted.partition("=")[0].strip():
            return number
    return None


def syntax_problem(code: str, message: str, hint: str, place: Place, lines: list[str]) -> Problem:
    """Tell where the text stops to be what it should."""
    source = lines[place.line - 1] if 0 < place.line <= len(lines) else ""
    place = Place(place.file, place.line, place.column, place.length, source.rstrip("\r"))
    return Problem(code, "error", (), message, hint.replace("\n", ", ") or None, place)


@dataclass(frozen=True)
class FilePlaces:
    """Where things stand in a file."""

    file: str
    lines: list[str]
    positions: dict[KeyPath, Position]
    """Of each key and its value; a table's header is a key without a value, line 0."""

    def place(self, path: KeyPath, part: Part) -> Place:
        """Find a key or its value; what is not in the file (a default) is found at the table that would hold it."""
        while path and path not in self.positions:
            path, part = path[:-1], "key"
        if not path:
            return Place(self.file)
        key, value = self.positions[path][1:4], self.positions[path][4:7]
        line, column, length = value if part == "value" and value[0] else key
        return Place(self.file, line, column, length, self.lines[line - 1].rstrip("\r"))

    def token(self, path: KeyPath, text: str, index: int) -> Place:
        """Find the variable that has `index` others before it in the string at `path`, which means `text`."""
        whole = self.place(path, "value")
        if path not in self.positions:
            return whole
        rest = "\n".join([whole.source[whole.column - 1 :], *self.lines[whole.line :]])
        tokens = TOKEN.finditer(rest)
        token = next((found for at, found in enumerate(tokens) if at == index), None)
        meant = [found[0] for found in TOKEN.finditer(text)][index]
        if token is None or token[0] != meant:  # written with escapes
            return whole
        before = rest[: token.start()]
        down = before.count("\n")
        line = whole.line + down
        column = whole.column + token.start() if down == 0 else token.start() - before.rfind("\n")
        return Place(self.file, line, column, len(meant), self.lines[line - 1].rstrip("\r"))
