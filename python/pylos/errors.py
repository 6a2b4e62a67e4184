"""Every error that Pylos raises on purpose.

PylosError
|-- ConfigError    the configuration is wrong; `problems` holds everything that is wrong with it
|-- BindError      an address cannot be listened on
`-- GatewayError   the gateway process did not start, refused a table or ended
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]
KeyPath = tuple[str | int, ...]
"""Where in the document something stands: `("route", "site", "match", 0)`."""


class PylosError(Exception):
    """The base of them all."""


class ConfigError(PylosError):
    """The configuration is wrong. `str()` is the full report, one paragraph a problem, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(problem.render() for problem in self.problems))


class BindError(PylosError):
    """An address cannot be listened on: in use, not of this machine, or not allowed."""


class GatewayError(PylosError):
    """The gateway process did not start, refused a table or ended."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong (or odd) in a configuration."""

    code: str
    """Stable, `P102`: the name to look up in the manual."""
    severity: Severity
    path: KeyPath
    """The key it is about, as the file spells it."""
    message: str
    hint: str | None
    place: Place

    def render(self) -> str:
        """Give the problem as `file:line:column: error P102: ...`, the line itself, a caret and the hint."""
        where = spelled(self.path)
        about = f"{where}: " if where else ""
        lines = [f"{self.place}: {self.severity} {self.code}: {about}{self.message}", *self.place.excerpt()]
        if self.hint:
            lines.append(f"      = {self.hint}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was written: a place in a file, or the line of a call in Python."""

    file: str
    line: int = 0
    """From 1; 0 = the file as a whole."""
    column: int = 0
    """From 1, in characters; 0 = the line as a whole."""
    length: int = 0
    source: str = ""
    """The line's text."""

    @property
    def order(self) -> tuple[str, int, int]:
        """What places are sorted by."""
        return self.file, self.line, self.column

    def __str__(self) -> str:
        numbers = [str(number) for number in (self.line, self.column) if number]
        return ":".join([self.file, *numbers])

    def excerpt(self) -> list[str]:
        """Give the source line, and below it the caret."""
        if not self.source.strip():
            return []
        start = max(0, self.column - LONGEST_LEAD)
        text = printable(self.source.rstrip()[start : start + LONGEST_LINE])
        lines = [f"{self.line:5} | {text}"]
        if self.column:
            lead = "".join("\t" if character == "\t" else " " for character in text[: self.column - 1 - start])
            lead = lead.ljust(self.column - 1 - start)
            room = len(text) - len(lead)
            lines.append(f"      | {lead}{'^' * max(1, min(self.length, room))}")
        return lines


LONGEST_LINE = 120
LONGEST_LEAD = 80
"""A longer line is shown from this many characters before its caret."""


def spelled(path: KeyPath) -> str:
    """Write a path as the file does: `[route.site] match[0]`; the document itself is ''."""
    table, inner = path[:2], path[2:]
    if path[:1] == ("pylos",):
        table, inner = path[:1], path[1:]
    if not table:
        return ""
    keys = ".".join(quoted(str(key)) for key in table)
    steps = "".join(f"[{key}]" if isinstance(key, int) else f".{quoted(key)}" for key in inner)
    return f"[{keys}] {steps.removeprefix('.')}".rstrip()


def quoted(key: str) -> str:
    """Write a key as TOML would: bare where that is possible."""
    bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if bare else '"' + printable(key).replace('"', '\\"') + '"'


def printable(text: str) -> str:
    """Replace what a terminal would obey rather than show."""
    return "".join(character if character.isprintable() or character == "\t" else "\ufffd" for character in text)
