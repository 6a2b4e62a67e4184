"""JSON text to plain values, and where each of them stands: strictly RFC 8259, and no key twice in an object."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from json import JSONDecodeError
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from pylos.errors import KeyPath

Span = tuple[int, int]
"""Offsets of the first character and of the one behind the last."""

BLANK = re.compile(r"[ \t\n\r]*")
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
WORD = re.compile(r"[A-Za-z_0-9]+")
WORDS = {"true": True, "false": False, "null": None}
DEEPEST = 100
MOST_DIGITS = 400


class JsonError(ValueError):
    """The text is no JSON. Line and column count from 1, columns in characters."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column


class Fault(Exception):  # noqa: N818 - what the reader tells itself, with an offset; users get a JsonError
    """Something at an offset that cannot be there."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.message, self.at = message, at


Position = tuple[KeyPath, int, int, int, int, int, int]
"""Path; line, column and length of the key; likewise of the value. An entry of a list is its own key."""


def parse_json(text: str) -> tuple[Any, list[Position]]:
    """Parse JSON to plain values, and the place of each key and value. Raises JsonError at the first wrong place."""
    reader, lines = Reader(text), Lines(text)
    try:
        value = reader.document()
    except Fault as fault:
        line, column, _ = lines.span((fault.at, fault.at + 1))
        raise JsonError(fault.message, line, column) from None
    return value, [(path, *lines.span(key), *lines.span(value)) for path, key, value in reader.places]


class Lines:
    """Turns offsets into lines and columns."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]
        self._end = len(text) + 1

    def span(self, span: Span) -> tuple[int, int, int]:
        """Give line, column and length; what goes on over lines is told to the end of the first."""
        start, end = span
        line = bisect_right(self._starts, start)
        line_end = (self._starts[line] if line < len(self._starts) else self._end) - 1
        return line, start - self._starts[line - 1] + 1, max(1, min(end, line_end) - start)


class Reader:
    """Reads one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.places: list[tuple[KeyPath, Span, Span]] = []

    def document(self) -> Any:  # noqa: ANN401 - any JSON value
        """Read the whole text as one value."""
        value, end = self.value(self.blank(0), (), None)
        end = self.blank(end)
        if end < len(self._text):
            raise Fault("something stands behind the end of the document", end)
        return value

    def value(self, at: int, path: KeyPath, key: Span | None) -> tuple[Any, int]:
        """Read the value that begins at an offset; note its place."""
        place = len(self.places)
        if path:
            self.places.append((path, (at, at), (at, at)))  # before what stands in it
        value, end = self.read(at, path)
        if path:
            self.places[place] = (path, key or (at, end), (at, end))
        return value, end

    def read(self, at: int, path: KeyPath) -> tuple[Any, int]:
        """Choose by the first character."""
        first = self._text[at : at + 1]
        if first == '"':
            return self.string(at)
        if first in ("{", "["):
            if len(path) >= DEEPEST:
                raise Fault(f"nested deeper than {DEEPEST} levels", at)
            return self.table(at, path) if first == "{" else self.list(at, path)
        if number := NUMBER.match(self._text, at):
            return self.number(number), number.end()
        word = WORD.match(self._text, at)
        if word and word[0] in WORDS:
            return WORDS[word[0]], word.end()
        raise Fault("a value was expected" if first else "the text ends where a value was expected", at)

    def number(self, found: re.Match[str]) -> int | float:
        """Read a number: whole, or a float where it has a fraction or an exponent."""
        if found[1] is None and found[2] is None:
            if len(found[0]) > MOST_DIGITS:
                raise Fault("a number with too many digits", found.start())
            return int(found[0])
        value = float(found[0])
        if value in (float("inf"), float("-inf")):
            raise Fault("a number that is too large", found.start())
        return value

    def string(self, at: int) -> tuple[str, int]:
        """Read a string."""
        try:
            value, end = scanstring(self._text, at + 1, True)  # noqa: FBT003 - strict, by position only
        except JSONDecodeError as error:
            raise Fault(STRING_FAULTS.get(error.msg, "a string that cannot be read"), error.pos) from None
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            raise Fault("half of a surrogate pair", at)
        return value, end

    def table(self, at: int, path: KeyPath) -> tuple[dict[str, Any], int]:
        """Read an object."""
        found: dict[str, Any] = {}
        for start in self.entries(at, "}"):
            if self._text[start : start + 1] != '"':
                raise Fault("a key in quotes was expected", start)
            key, end = self.string(start)
            if key in found:
                raise Fault("this key stands twice in its object", start)
            colon = self.blank(end)
            if self._text[colon : colon + 1] != ":":
                raise Fault("a `:` was expected", colon)
            found[key], self._at = self.value(self.blank(colon + 1), (*path, key), (start, end))
        return found, self._at

    def list(self, at: int, path: KeyPath) -> tuple[list[Any], int]:
        """Read an array."""
        found: list[Any] = []
        for start in self.entries(at, "]"):
            value, self._at = self.value(start, (*path, len(found)), None)
            found.append(value)
        return found, self._at

    def entries(self, at: int, close: str) -> Iterator[int]:
        """Give where each entry begins; who reads it leaves in `_at` where it ends. At last the end of all is there."""
        start = self.blank(at + 1)
        if self._text[start : start + 1] == close:
            self._at = start + 1
            return
        while True:
            yield start
            end = self.blank(self._at)
            mark = self._text[end : end + 1]
            if mark == close:
                self._at = end + 1
                return
            if mark != ",":
                raise Fault(f"{'' if mark else 'the text ends where '}a `,` or `{close}` was expected", end)
            start = self.blank(end + 1)
            if self._text[start : start + 1] == close:
                raise Fault("no comma before the end", end)

    def blank(self, at: int) -> int:
        """Step over blanks."""
        found = BLANK.match(self._text, at)
        return found.end() if found else at


STRING_FAULTS = {
    "Unterminated string starting at": "this string has no end",
    "Invalid control character at": "a control character in a string; it is written as an escape",
    "Invalid \\escape": "an escape that JSON does not have",
    "Invalid \\escape: ": "an escape that JSON does not have",
    "Invalid \\uXXXX escape": "an escape that JSON does not have",
}
