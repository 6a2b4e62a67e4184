"""Every error that Pylos raises on purpose.

PylosError
|-- ConfigError    the configuration is wrong; `problems` holds everything that is wrong with it
|-- BindError      an address cannot be listened on
`-- GatewayError   the gateway process did not start, refused a table or ended
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pylos.pasted import without_keys

Severity = Literal["error", "warning"]
KeyPath = tuple[str | int, ...]
"""Where in the document something stands: `("route", "site", "match", 0)`."""


class PylosError(Exception):
    """The base of them all."""


class ConfigError(PylosError):
    """The configuration is wrong. `str()` is the full report, one paragraph a problem, in the order of the file."""

    def __init__(
        self, problems: Iterable[Problem], files: Iterable[Path] = (), held: Mapping[Path, bytes] | None = None
    ) -> None:
        self.problems = list(problems)
        self.held = dict(held or {})
        """Digests of what files held when they were read, as far as that is known."""
        self.files = list(files)
        """What was read or looked for: a change of one of them is a reason to look again."""
        super().__init__("\n\n".join(rendered(self.problems)))


class BindError(PylosError):
    """An address cannot be listened on: in use, not of this machine, or not allowed."""


class GatewayError(PylosError):
    """The gateway process did not start, refused a table or ended."""


Paint = Callable[[str, str], str]
"""Colours a text by its role: "error", "warning", "also" or "gutter"."""


def plain(_role: str, text: str) -> str:
    """Leave a text as it is."""
    return text


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
    also: tuple[tuple[Place, str], ...] = ()
    """Further places that it is about, each with a few words: the first of two routes that tie."""

    @classmethod
    def from_json(
        cls, plain: Mapping[str, Any], place_of: Callable[[Mapping[str, Any]], Place] | None = None
    ) -> Problem:
        """Make it of its plain values, as `dataclasses.asdict` gives them and JSON carries them."""
        place_of = place_of or Place.from_json
        also = tuple((place_of(place), label) for place, label in plain["also"])
        path, place = tuple(plain["path"]), place_of(plain["place"])
        return cls(plain["code"], plain["severity"], path, plain["message"], plain["hint"], place, also)

    @property
    def sentence(self) -> str:
        """Say in one line what is wrong, and in which key."""
        about = spelled(self.path)
        return f"{about}: {self.message}" if about else self.message

    def render(self, paint: Paint = plain, *, see: bool = True) -> str:
        """Give the problem as a paragraph: what, where, the line itself with a caret, what to do, where to read on."""
        places = [self.place, *(place for place, _ in self.also)]
        gutter = Gutter(max(len(str(place.line)) for place in places), paint)
        lines = [f"{paint(self.severity, f'{self.severity}[{self.code}]')}: {printable(self.sentence)}"]
        lines += gutter.snippet(self.place, "-->", "^", "", self.severity)
        for place, words in self.also:
            lines += [gutter.bar(), *gutter.snippet(place, ":::", "-", words, "also")]
        notes = [("help", self.hint), ("see", f"pylos check --explain {self.code}" if see else None)]
        if self.place.source.strip() and any(text for _, text in notes):
            lines.append(gutter.bar())
        for name, text in notes:
            lines += gutter.note(name, text) if text else []
        return "\n".join(lines)


def rendered(problems: Iterable[Problem], paint: Paint = plain) -> Iterator[str]:
    """Give problems as paragraphs; where to read on is told once for each code."""
    told: set[str] = set()
    for problem in problems:
        yield problem.render(paint, see=problem.code not in told)
        told.add(problem.code)


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
    """The line's text; what may be a private key in it is not."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", without_keys(self.source))

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Place:
        """Make it of its plain values."""
        return cls(**plain)

    @property
    def order(self) -> tuple[str, int, int]:
        """What places are sorted by."""
        return self.file, self.line, self.column

    @property
    def end_column(self) -> int:
        """The column behind the last character, on the same line; 0 = the line as a whole."""
        return self.column + max(1, self.length) if self.column else 0

    @property
    def marked(self) -> str:
        """The text that it is, as far as it stands on one line."""
        return self.source[self.column - 1 : self.end_column - 1] if self.column else ""

    @property
    def has_caret(self) -> bool:
        """Whether there is something to point at."""
        return bool(self.column and self.source.strip())

    def __str__(self) -> str:
        numbers = [str(number) for number in (self.line, self.column) if number]
        return ":".join([self.file, *numbers])

    def excerpt(self) -> tuple[str, str, int]:
        """Give the line as far as it is shown, what stands below it before the caret, and the length of the caret."""
        start = max(0, self.column - LONGEST_LEAD)
        text = printable(self.source.rstrip()[start : start + LONGEST_LINE])
        before = self.column - 1 - start
        lead = "".join("\t" if character == "\t" else " " for character in text[:before]).ljust(before)
        return text, lead, max(1, min(self.length, len(text) - len(lead)))


LONGEST_LINE = 120
LONGEST_LEAD = 80
"""A longer line is shown from this many characters before its caret."""


@dataclass(frozen=True, slots=True)
class Gutter:
    """Writes lines beside a column of line numbers."""

    width: int
    paint: Paint

    def snippet(self, place: Place, arrow: str, mark: str, label: str, role: str) -> list[str]:
        """Write where something stands, the line, and below it the mark with its label."""
        lines = [f"{' ' * self.width}{self.paint('gutter', arrow)} {printable(str(place))}"]
        if not place.source.strip():
            return lines
        text, lead, length = place.excerpt()
        lines += [self.bar(), self.line(str(place.line), text)]
        if place.has_caret:
            lines.append(self.line("", lead + self.paint(role, f"{mark * length} {printable(label)}".rstrip())))
        return lines

    def line(self, number: str, text: str) -> str:
        """Write a line of the file, or one below it."""
        return f"{self.paint('gutter', f'{number:>{self.width}} |')} {text}"

    def bar(self) -> str:
        """Write a line with nothing in it."""
        return self.paint("gutter", f"{' ' * self.width} |")

    def note(self, name: str, text: str) -> list[str]:
        """Write a remark, the further lines of a long one below its first."""
        first, *rest = text.splitlines()
        head = f"{' ' * self.width} {self.paint('gutter', '=')} {name}: "
        indent = " " * (self.width + len(name) + 5)
        return [head + printable(first), *(indent + printable(line.removeprefix(" " * 8)) for line in rest)]


def spelled(path: KeyPath) -> str:
    """Write a path as the file does: `[route.site] match[0]`; the document itself is ''."""
    table, inner = path[:2], path[2:]
    if path[:1] == ("pylos",):
        table, inner = path[:1], path[1:]
    if not table:
        return ""
    if table[0] == "include":
        return "".join(f"[{key}]" if isinstance(key, int) else str(key) for key in path)
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
